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
from torch.export import ExportedProgram

from saccade.data.files import escape
from saccade.data.output import write_file
from saccade.data.preprocess import Preprocess
from saccade.engines.capture import capture
from saccade.engines.run import ENGINES, EngineNetwork
from saccade.engines.signature import Axis, Signature
from saccade.engines.write import FORMATS
from saccade.errors import CheckpointError, SaccadeError, in_one_line
from saccade.lazy import resolve
from saccade.tasks.encoders import ceil_to_patches
from saccade.tasks.registry import TASKS, all_commands, commands
from saccade.tasks.saved import TrainedTask, check_names

Network = Callable[[Tensor], dict[str, Tensor]]  # pictures in, outputs by name
FormatName = Literal["onnx", "openvino", "torch"]
TOLERANCE = 1e-3  # largest difference to PyTorch, of the largest number of an output, or of 1 if that is less
MAX_BATCH, MAX_ROWS = 4096, 256  # of an exported network: pictures, and patches along a side


class Graph(nn.Module):
    """What is exported of a task's network: pictures in, a tuple of tensors out.

    Attributes:
        outputs: names of the tensors.
        card: goes to the card of the exported model.
    """

    outputs: tuple[str, ...]
    card: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, task: Any):
        super().__init__()
        self.model = task.model


class Export(NamedTuple):
    """How an exported model compares with its network in PyTorch.

    Attributes:
        signature: what it takes.
        differences: output -> largest difference, of the largest number of that output, or of 1 if that is less.
        shapes: of the inputs that were compared.
    """

    signature: Signature
    differences: dict[str, float]
    shapes: list[tuple[int, ...]]


class ExportedTask(TrainedTask):
    """Base of tasks whose network is in a file of an inference engine. A subclass defines the `graph` that is exported
    and puts its outputs in the place of the network's.

    Attributes:
        class_axis: of the output "logits".
    """

    graph: ClassVar[type[Graph]]
    class_axis: ClassVar[int] = 1

    @property
    def signature(self) -> Signature:
        """What the network takes and gives."""
        assert isinstance(self.model, EngineNetwork)
        return self.model.signature

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
    """Schema of the metadata in an exported file."""

    task: str
    labels: list[str]
    relations: list[str] = []
    preprocess: Preprocess
    card: dict[str, Any] = {}
    network: Signature


def export(task: Any, file: Path, format: FormatName) -> Export:
    """Write a model as a file of an engine and compare it with PyTorch, on inputs of several batches and sizes.

    Raises SaccadeError for a model that cannot be exported, a file with another suffix than the format's, and, without
    leaving a file, for differences above `TOLERANCE`."""
    suffix = FORMATS[format].suffix
    if file.suffix != suffix:
        raise SaccadeError(f"{escape(file)} ends in {file.suffix or 'nothing'}; a file of {format} ends in {suffix}")
    if not isinstance(task, TrainedTask) or isinstance(task, ExportedTask):
        why = "a model of another library, without a head, or exported already"
        raise SaccadeError(f"{task.name} is {why}: it cannot be exported")
    graph = exported_class(task.kind).graph(task).eval().cpu()
    signature = signature_of(task, graph.outputs)
    size = ceil_to_patches(task.preprocess.size, task.vit.config.patch)
    program = capture(graph, signature, size)
    with TemporaryDirectory() as place:
        written = Path(place) / file.name
        FORMATS[format].write(program, signature.outputs, _metadata(task, graph, signature), written)
        network: Network = (
            EngineNetwork(ENGINES[suffix](written), signature) if suffix in ENGINES else _module(program, signature)
        )
        shapes = _shapes(signature, size)
        differences = compare(graph, network, shapes)
        _check(differences, file)
        for part in sorted(Path(place).iterdir()):  # the weights of OpenVINO before the .xml that names them
            write_file(file.parent / part.name, part.read_bytes())
    return Export(signature, differences, shapes)


def _metadata(task: TrainedTask, graph: Graph, signature: Signature) -> str:
    metadata = _Metadata(
        task=task.kind,
        labels=task.labels,
        relations=task.relations,
        preprocess=task.preprocess,
        card={**task.card, **graph.card, "parameters": task.parameters},
        network=signature,
    )
    return metadata.model_dump_json()


def _module(program: ExportedProgram, signature: Signature) -> Network:
    module = program.module()
    return lambda pictures: dict(zip(signature.outputs, module(pictures), strict=True))


def _check(differences: Mapping[str, float], file: Path) -> None:
    for name, difference in differences.items():
        if not difference <= TOLERANCE:  # NaN too
            raise SaccadeError(
                f"{escape(file)} is not written, as it answers otherwise than PyTorch: {name} differs by "
                f"{difference:.1e} of its largest number, and at most {TOLERANCE:.0e} is allowed"
            )


def open_exported(file: Path) -> ExportedTask:
    """The task of a file that `export` wrote, ready for `predict`. Raises CheckpointError for another file, and for an
    archive of torch.export, SaccadeError without the package of the engine."""
    if file.suffix not in ENGINES:
        raise CheckpointError(
            f"{file} is an archive of torch.export, which PyTorch unpickles, so that it can run any code: open it "
            "yourself with torch.export.load if you trust it, and give an .onnx or .xml file here"
        )
    engine = ENGINES[file.suffix](file)
    try:
        metadata = _Metadata.model_validate_json(engine.metadata)
        check_names("labels", metadata.labels, len(metadata.labels))
        check_names("relations", metadata.relations, len(metadata.relations))
    except ValueError as error:
        raise CheckpointError(f"{file} was not written by this version of saccade: {in_one_line(error)}") from error
    exported = exported_class(metadata.task)
    return exported(
        EngineNetwork(engine, metadata.network),
        metadata.preprocess,
        file.stem,
        card=metadata.card,
        labels=metadata.labels,
        relations=metadata.relations,
    )


def is_exported(spec: str | Path) -> bool:
    """Whether the name of a model is a file of an engine."""
    return Path(spec).suffix in {each.suffix for each in FORMATS.values()} and Path(spec).is_file()


def compare(graph: Graph, exported: Network, shapes: Iterable[tuple[int, ...]]) -> dict[str, float]:
    """For each output the largest difference, of its largest number, or of 1 if that is less; NaN where one is."""
    generator = torch.Generator().manual_seed(0)
    differences = dict.fromkeys(graph.outputs, 0.0)
    for shape in shapes:
        pictures = torch.randn(shape, generator=generator)
        with torch.no_grad():
            found = exported(pictures)
            expected = dict(zip(graph.outputs, graph(pictures), strict=True))
        for name, right in expected.items():
            if found[name].shape != right.shape:
                raise SaccadeError(f"the exported network gives {name} of shape {tuple(found[name].shape)} for {shape}")
            difference = (found[name] - right).abs().max() / right.abs().max().clamp(min=1)
            differences[name] = float(torch.maximum(torch.tensor(differences[name]), difference))
    return differences


def signature_of(task: TrainedTask, outputs: tuple[str, ...]) -> Signature:
    """Any batch, and any size in whole patches. Positions that are interpolated with an offset (DINOv2's) are computed
    for one size only: that of the preprocessing."""
    config = task.vit.config
    sizes = ceil_to_patches(task.preprocess.size, config.patch)
    fixed = "learned" in config.positions and config.offset
    ranges = [(size, size) if fixed else (config.patch, max(MAX_ROWS * config.patch, size)) for size in sizes]
    batch, channels, height, width = (
        Axis(name=name, low=low, high=high, step=step)
        for name, step, (low, high) in (
            ("batch", 1, (1, MAX_BATCH)),
            ("channels", 1, (config.channels, config.channels)),
            ("height", config.patch, ranges[0]),
            ("width", config.patch, ranges[1]),
        )
    )
    return Signature(axes=(batch, channels, height, width), outputs=outputs)


def _shapes(signature: Signature, size: tuple[int, int]) -> list[tuple[int, ...]]:
    """Inputs to compare: of one picture, of several, and of another size where it may have one."""
    _, channels, height, width = signature.axes
    shapes: list[tuple[int, ...]] = [(1, channels.low, *size), (3, channels.low, *size)]
    if not height.fixed:
        other = min(height.high, size[0] + height.step), max(width.low, size[1] - width.step)
        shapes.append((2, channels.low, *other))
    return shapes


def exported_class(kind: str | None) -> type[ExportedTask]:
    """Of the models of a kind. Raises SaccadeError for a kind that is not exported."""
    name = commands(kind).exported if kind in TASKS else None
    if name is None:
        kinds = [each.name for each in all_commands() if each.exported is not None]
        raise SaccadeError(
            f"models that {' and '.join(kinds)} are exported, and this one is of the kind {kind}: export one of those"
        )
    return resolve(name)
