"""Models as files of inference engines: written with what their task needs, checked against PyTorch, opened."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor, nn

from saccade.data.files import escape
from saccade.data.output import write_file
from saccade.data.preprocess import Preprocess
from saccade.engines.capture import capture
from saccade.engines.run import ENGINES, EngineNetwork
from saccade.engines.signature import Signature
from saccade.engines.write import FORMATS
from saccade.errors import CheckpointError, SaccadeError, in_one_line
from saccade.lazy import resolve_name
from saccade.tasks.exported_graph import Case, ExportGraph
from saccade.tasks.match.index import fingerprint
from saccade.tasks.registry import TASKS, all_task_commands, task_commands
from saccade.tasks.saved import TrainedTask, check_names

Network = Callable[..., dict[str, Tensor]]  # tensors in, outputs by name
FormatName = Literal["onnx", "openvino", "torch"]
TOLERANCE = 1e-3  # largest difference to PyTorch, of the largest number of an output, or of 1 if that is less


class ExportReport(NamedTuple):
    """How an exported model compares with its network in PyTorch.

    Attributes:
        signature: what it takes.
        differences: output -> largest difference, of the largest number of that output, or of 1 if that is less.
        shapes: of the pictures that were compared.
        files: that were written; the first is the one to open.
    """

    signature: Signature
    differences: dict[str, float]
    shapes: list[tuple[int, ...]]
    files: list[Path]


class ExportedTask(TrainedTask):
    """Base of tasks whose network is in a file of an inference engine. A subclass defines the `graph` that is exported
    and puts its outputs in the place of the network's.

    Attributes:
        parts: name -> graph of further networks, each in a file of its own beside the first.
        class_axis: of the output "logits".
    """

    graph: ClassVar[type[ExportGraph]]
    parts: ClassVar[Mapping[str, type[ExportGraph]]] = MappingProxyType({})
    class_axis: ClassVar[int] = 1

    @classmethod
    def assemble(cls, networks: Mapping[str, EngineNetwork], card: Mapping[str, Any], fingerprint: str) -> nn.Module:
        """The model of the task. networks: "" is the one of `graph`, the others are those of `parts`."""
        return networks[""]

    @property
    def signature(self) -> Signature:
        """What the network takes and gives."""
        return self.model.signature  # type: ignore[return-value]

    @property
    def parameters(self) -> int:
        """Number of parameters of the model that was exported."""
        return int(self.card.get("parameters", 0))

    def run(self, pictures: Float[Tensor, "b c y x"]) -> dict[str, Tensor]:
        """The outputs by name. Raises SaccadeError as `EngineNetwork` does, and for another number of classes than
        there are labels."""
        outputs = self.model(pictures)
        if (found := outputs["logits"].shape[self.class_axis]) != len(self.labels):
            raise CheckpointError(f"{self.name} has {found} classes and {len(self.labels)} labels: export it again")
        return outputs

    def save(self, folder: Path, **card: Any) -> None:
        """Raises SaccadeError: there is no network to save."""
        raise SaccadeError(f"{self.name} is a file already, and is not saved as a folder: copy the file")


class _Metadata(BaseModel):
    """Schema of the metadata in an exported file. part: "", or which of the task's `parts` it is. fingerprint: of the
    model that was exported, the same in all of its files."""

    task: str
    part: str = ""
    fingerprint: str
    labels: list[str]
    relations: list[str] = []
    preprocess: Preprocess
    card: dict[str, Any] = {}
    network: Signature


def export(task: Any, file: Path, format: FormatName) -> ExportReport:
    """Write a model as a file of an engine and compare it with PyTorch, on inputs of several batches and sizes. A
    matcher is written as three: FILE.onnx of its pictures, FILE.texts.onnx, FILE.head.onnx.

    Raises SaccadeError for a model that cannot be exported, a file with another suffix than the format's, and, without
    leaving a file, for differences above `TOLERANCE`."""
    suffix = FORMATS[format].suffix
    if file.suffix != suffix:
        raise SaccadeError(f"{escape(file)} ends in {file.suffix or 'nothing'}; a file of {format} ends in {suffix}")
    if not isinstance(task, TrainedTask) or isinstance(task, ExportedTask):
        why = "a model of another library, without a head, or exported already"
        raise SaccadeError(f"{task.name} is {why}: it cannot be exported")
    exported = exported_class(task.kind)
    FORMATS[format].require()
    graphs = {name: graph(task).eval().cpu() for name, graph in (*exported.parts.items(), ("", exported.graph))}
    metadata = _metadata(task, graphs[""])
    differences: dict[str, float] = {}
    with TemporaryDirectory() as place:
        for part, graph in graphs.items():
            network = _write(graph, metadata, part, part_file(Path(place) / file.name, part), format)
            cases = graph.comparison_inputs(torch.Generator().manual_seed(0))
            differences |= compare_outputs(graph, network, cases)
        _check(differences, file)
        main = [Path(file.name).with_suffix(end) for end in (".bin", suffix)]  # last, as it is the one that is opened
        written = sorted(Path(place).iterdir(), key=lambda part: (Path(part.name) in main, part.name))
        for each in written:
            write_file(file.parent / each.name, each.read_bytes())
    return ExportReport(
        graph.signature(),
        differences,
        [tuple(case[0].shape) for case in cases],
        [file.parent / each.name for each in reversed(written)],
    )


def part_file(file: Path, part: str) -> Path:
    """Where a part of an exported model is: FILE.texts.onnx beside FILE.onnx; of "" the file itself."""
    return file.with_suffix(f".{part}{file.suffix}") if part else file


def _write(graph: ExportGraph, metadata: _Metadata, part: str, file: Path, format: FormatName) -> Network:
    """Write one network; what it is on its engine."""
    signature = graph.signature()
    program = capture(graph, signature, graph.example())
    own = metadata.model_copy(update={"part": part, "network": signature})
    FORMATS[format].write(program, signature, own.model_dump_json(), file)
    if file.suffix in ENGINES:
        return EngineNetwork(ENGINES[file.suffix](file), signature)
    module = program.module()
    return lambda *inputs: dict(zip(signature.outputs, module(*inputs), strict=True))


def _metadata(task: TrainedTask, graph: ExportGraph) -> _Metadata:
    return _Metadata(
        task=task.kind,
        fingerprint=fingerprint(task),
        labels=task.labels,
        relations=task.relations,
        preprocess=task.preprocess,
        card={**task.card, **graph.card, "parameters": task.parameters},
        network=graph.signature(),
    )


def _check(differences: Mapping[str, float], file: Path) -> None:
    for name, difference in differences.items():
        if not difference <= TOLERANCE:  # NaN too
            raise SaccadeError(
                f"{escape(file)} is not written, as it answers otherwise than PyTorch: {name} differs by "
                f"{difference:.1e} of its largest number, and at most {TOLERANCE:.0e} is allowed"
            )


def open_exported(file: Path) -> ExportedTask:
    """The task of a file that `export` wrote, ready for `predict`. Raises CheckpointError for another file, for an
    archive of torch.export, and for a matcher whose parts are missing or of another export, SaccadeError without the
    package of the engine."""
    if file.suffix not in ENGINES:
        raise CheckpointError(
            f"{file} is an archive of torch.export, which PyTorch unpickles, so that it can run any code: open it "
            "yourself with torch.export.load if you trust it, and give an .onnx or .xml file here"
        )
    network, metadata = _open(file)
    exported = exported_class(metadata.task)
    networks = {"": network}
    for part in exported.parts:
        networks[part], found = _open(part_file(file, part))
        if (found.fingerprint, found.part) != (metadata.fingerprint, part):
            raise CheckpointError(
                f"{part_file(file, part)} is not of the export that wrote {file}: export the model again"
            )
    return exported(
        exported.assemble(networks, metadata.card, metadata.fingerprint),
        metadata.preprocess,
        file.stem,
        card=metadata.card,
        labels=metadata.labels,
        relations=metadata.relations,
    )


def _open(file: Path) -> tuple[EngineNetwork, _Metadata]:
    if not file.is_file():
        raise CheckpointError(f"{file} is missing: copy all files of an exported model, or export it again")
    engine = ENGINES[file.suffix](file)
    try:
        metadata = _Metadata.model_validate_json(engine.metadata)
        check_names("labels", metadata.labels, len(metadata.labels))
        check_names("relations", metadata.relations, len(metadata.relations))
    except ValueError as error:
        raise CheckpointError(f"{file} was not written by this version of saccade: {in_one_line(error)}") from error
    return EngineNetwork(engine, metadata.network), metadata


def is_exported(spec: str | Path) -> bool:
    """Whether the name of a model is a file of an engine."""
    return Path(spec).suffix in {each.suffix for each in FORMATS.values()} and Path(spec).is_file()


def compare_outputs(graph: ExportGraph, exported: Network, cases: Iterable[Case]) -> dict[str, float]:
    """For each output the largest difference, of its largest number, or of 1 if that is less; NaN where one is."""
    differences = dict.fromkeys(graph.outputs, 0.0)
    for case in cases:
        with torch.no_grad():
            found = exported(*case)
            expected = dict(zip(graph.outputs, graph(*case), strict=True))
        for name, right in expected.items():
            if found[name].shape != right.shape:
                shapes = [tuple(each.shape) for each in case]
                raise SaccadeError(
                    f"the exported network gives {name} of shape {tuple(found[name].shape)} for {shapes}"
                )
            difference = (found[name] - right).abs().max() / right.abs().max().clamp(min=1)
            differences[name] = float(torch.maximum(torch.tensor(differences[name]), difference))
    return differences


def exported_class(kind: str | None) -> type[ExportedTask]:
    """Of the models of a kind. Raises SaccadeError for a kind that is not exported."""
    name = task_commands(kind).exported if kind in TASKS else None
    if name is None:
        kinds = [each.name for each in all_task_commands() if each.exported is not None]
        raise SaccadeError(
            f"models that {', '.join(kinds[:-1])} and {kinds[-1]} are exported, and this one is of the kind {kind}: "
            "export one of those"
        )
    return resolve_name(name)
