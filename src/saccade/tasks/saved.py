"""The folder of a trained model: model.safetensors and config.json."""

import json
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from saccade.data.digests import check_digest, file_digest, with_digest
from saccade.data.files import escape
from saccade.data.output import atomic_folder, make_folder, write_file
from saccade.data.preprocess import Preprocess
from saccade.data.tensor_files import write_tensors
from saccade.errors import CheckpointError, DataError, SaccadeError, in_one_line
from saccade.models.skip_init import SkipInit
from saccade.tasks.base import Task

NAME, WEIGHTS = "config.json", "model.safetensors"
ExtraTensors = dict[str, dict[str, Tensor]]  # name of a safetensors file -> name -> tensor
MAX_PATCHES = 256 * 256  # of a picture: far more than any model has, and not enough to exhaust memory


class _Config(BaseModel):
    """Schema of config.json; `model` is the config of the task's network."""

    task: str
    model: dict[str, Any]
    labels: list[str]
    relations: list[str] = []
    preprocess: Preprocess
    card: dict[str, Any] = {}
    files: dict[str, str] = {}
    """File name -> its digest; models of earlier versions have none."""


@dataclass
class TrainedTask(Task):
    """A model with named classes that is saved to and opened from a folder.

    A subclass defines `kind`, its `network`, and the `network_config`, whose `classes` and `relations` are the numbers
    of names.

    Attributes:
        labels: names of the classes.
        relations: names of the relations between objects; most tasks have none.
        folder: from which it was opened; None for a new one.
    """

    labels: list[str] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)
    folder: Path | None = None

    kind: ClassVar[str]
    network: ClassVar[type[nn.Module]]
    network_config: ClassVar[type[BaseModel]]

    @property
    def extra_tensors(self) -> ExtraTensors:
        """Tensors that are saved beside the network's."""
        return {}

    @classmethod
    def load_extra(cls, tensors: ExtraTensors, card: dict[str, Any], model: nn.Module) -> dict[str, Any]:
        """Arguments of the task around `model`, from its `extra_tensors` and card. Raises ValueError for others."""
        return {}

    def save(self, folder: Path, **card: Any) -> None:
        """Write model.safetensors, `extra_tensors` and config.json with their digests; an earlier model there is
        replaced as a whole.

        card: stored in the config (scores, recipe, data). Raises DataError if they cannot be written."""
        config = {
            "saccade": 1,
            "task": self.kind,
            "model": self.model.config.model_dump(),  # type: ignore[union-attr, operator]
            "labels": self.labels,
            **({"relations": self.relations} if self.relations else {}),
            "preprocess": asdict(self.preprocess),
            "card": {**self.card, **card},
        }
        make_folder(folder.parent)
        with atomic_folder(folder, replace=True) as place:
            tensors = {WEIGHTS: self.model.state_dict(), **self.extra_tensors}
            for name, some in tensors.items():
                write_tensors(some, place / name)
            config = with_digest({**config, "files": {name: file_digest(place / name) for name in tensors}})
            (place / NAME).write_text(json.dumps(config, indent=1, ensure_ascii=False), encoding="utf-8")

    def update_card(self, **card: Any) -> None:
        """Change entries of the card, also in the folder that the model was opened from. Raises DataError if it cannot
        be written."""
        if self.folder is not None:
            config = check_digest(json.loads((self.folder / NAME).read_bytes()))
            config["card"] = {**config.get("card", {}), **card}
            text = json.dumps(with_digest(config), indent=1, ensure_ascii=False)
            write_file(self.folder / NAME, text.encode())
        self.card = {**self.card, **card}

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> Self:
        """Read what `save` wrote, also with the parameter names of earlier versions. Raises CheckpointError, with the
        reason, for a folder that is not a complete model or whose files do not match their digests."""
        try:
            content, tensors, digests = _read(folder)
            config, weights = _Config.model_validate_json(content), tensors.pop(WEIGHTS)
            shape: Any = cls.network_config.model_validate(config.model)
            if config.task != cls.kind:
                raise ValueError(f"its task is {config.task!r}, and {cls.kind!r} was expected")
            rows, columns = (side // getattr(shape, "vit", shape).patch for side in config.preprocess.size)
            if rows * columns > MAX_PATCHES:
                raise ValueError(f"its pictures would have {rows} x {columns} patches; at most {MAX_PATCHES} expected")
            check_names("labels", config.labels, getattr(shape, "classes", 0))
            check_names("relations", config.relations, getattr(shape, "relations", 0))
            weights = {k: v.float() for k, v in weights.items()}
            with torch.device("meta"), SkipInit():  # allocates nothing until the shapes are known to match the file
                cls.network(shape).load_state_dict(weights, assign=True)
            _check_digests(content, config.files, digests)  # last, as the checks before say more of what is wrong
            with SkipInit():
                model = cls.network(shape)
            model.load_state_dict(weights)
            extra = cls.load_extra(tensors, config.card, model)
        except (OSError, ValueError, RuntimeError, RecursionError, SafetensorError) as error:
            raise CheckpointError(f"{folder} is not a complete Saccade model: {in_one_line(error)}") from error
        known: dict[str, Any] = {"labels": config.labels, "relations": config.relations, "folder": folder, **extra}
        return cls(model.eval(), config.preprocess, name or folder.name, card=config.card, **known)


def _read(folder: Path) -> tuple[bytes, dict[str, dict[str, Tensor]], dict[str, str]]:
    """Content of config.json, tensors and digests of its files: of one model, also where it is being replaced
    meanwhile."""
    config = (folder / NAME).read_bytes()
    files = [WEIGHTS, *(name for name in _Config.model_validate_json(config).files if name != WEIGHTS)]
    if any(Path(name).name != name for name in files):
        raise ValueError(f"{NAME} names files outside of the folder: {files}")
    tensors = {name: load_file(folder / name) for name in files}
    digests = {name: file_digest(folder / name) for name in files}
    return (config, tensors, digests) if (folder / NAME).read_bytes() == config else _read(folder)


def is_intact(folder: Path) -> bool:
    """Whether a folder holds the files of a model as they were written."""
    try:
        content, _, digests = _read(folder)
        _check_digests(content, _Config.model_validate_json(content).files, digests)
    except (OSError, ValueError, RecursionError, SafetensorError):
        return False
    return True


def _check_digests(content: bytes, files: dict[str, str], digests: dict[str, str]) -> None:
    try:
        check_digest(json.loads(content))
    except ValueError as error:
        raise ValueError(f"{NAME}: {error}") from error
    for name, digest in digests.items():
        if files.get(name, digest) != digest:
            raise ValueError(f"{name} is damaged: its sha256 does not match that in {NAME}; fetch or train it again")


def read_model_kind(folder: Path) -> str | None:
    """The `kind` of the model that `save` wrote to a folder; None if there is none. Raises CheckpointError for a broken
    config.json."""
    file = folder / NAME
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8", errors="replace")
    if '"saccade"' not in text[:200]:
        return None
    try:
        return _Config.model_validate_json(text).task
    except ValidationError as error:
        raise CheckpointError(f"{folder} is not a complete Saccade model: {in_one_line(error)}") from error


def check_classes(found: list[str], expected: list[str], data: str, model: str) -> None:
    """Raises DataError if the classes of a data set are not those of a model, in the same order."""
    if found != expected:
        raise DataError(
            f"the classes of {data} are not those of the model {model}: {_difference(found, expected)}; the same names "
            "in the same order expected"
        )


def no_pictures_error(data: str, skipped: dict[str, str]) -> DataError:
    """The error of an evaluation without pictures, with the reason why the first was skipped."""
    return DataError(f"no picture of {data} could be read: {next(iter(skipped.values()), 'it is empty')}")


def not_finite_error() -> SaccadeError:
    """The error of a model whose output is not finite."""
    return SaccadeError("the model's output is not a number: its weights are damaged, fetch or train it again")


def _difference(found: list[str], expected: list[str]) -> str:
    lacks, adds = ([n for n in a if n not in b][:12] for a, b in ((expected, found), (found, expected)))
    parts = [f"{what} {', '.join(map(escape, names))}" for what, names in (("lacks", lacks), ("adds", adds)) if names]
    return f"it {' and '.join(parts)}" if parts else "they come in another order"


def check_names(what: str, names: list[str], count: int) -> None:
    """Raises ValueError for another number of names, and for names that are empty, alike or hold control characters."""
    if len(names) != count:
        raise ValueError(f"there are {len(names)} {what} for the {count} of the model")
    for i, name in enumerate(names):
        if name in ("", *names[:i]) or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise ValueError(f"{what} must be printable and different from each other; one is {name!a}")
