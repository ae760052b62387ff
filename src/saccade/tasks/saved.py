"""The folder of a trained model: model.safetensors and config.json."""

import json
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from saccade.data.files import escape
from saccade.data.preprocess import Preprocess
from saccade.errors import CheckpointError, DataError, SaccadeError, in_one_line
from saccade.tasks.base import Task

NAME = "config.json"
MAX_PATCHES = 256 * 256  # of a picture: far more than any model has, and not enough to exhaust memory


class _Config(BaseModel):
    """Schema of config.json; `model` is the config of the task's network."""

    task: str
    model: dict[str, Any]
    labels: list[str]
    relations: list[str] = []
    preprocess: Preprocess
    card: dict[str, Any] = {}


@dataclass
class TrainedTask(Task):
    """A model with named classes that is saved to and opened from a folder.

    A subclass defines `kind`, its `network`, and the `network_config`, whose `classes` and `relations` are the numbers
    of names.

    Attributes:
        labels: names of the classes.
        relations: names of the relations between objects; most tasks have none.
    """

    labels: list[str] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)

    kind: ClassVar[str]
    network: ClassVar[type[nn.Module]]
    network_config: ClassVar[type[BaseModel]]

    def save(self, folder: Path, **card: Any) -> None:
        """Write model.safetensors and config.json. card: stored in the config (scores, recipe, data)."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "saccade": 1,
            "task": self.kind,
            "model": self.model.config.model_dump(),  # type: ignore[union-attr, operator]
            "labels": self.labels,
            **({"relations": self.relations} if self.relations else {}),
            "preprocess": asdict(self.preprocess),
            "card": {**self.card, **card},
        }
        save_file({k: v.contiguous() for k, v in self.model.state_dict().items()}, folder / "model.safetensors")
        (folder / NAME).write_text(json.dumps(config, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> Self:
        """Read what `save` wrote, also with the parameter names of earlier versions. Raises CheckpointError, with the
        reason, for a folder that is not a complete model."""
        try:
            config = _Config.model_validate_json((folder / NAME).read_bytes())
            shape: Any = cls.network_config.model_validate(config.model)
            if config.task != cls.kind:
                raise ValueError(f"its task is {config.task!r}, and {cls.kind!r} was expected")
            rows, columns = (side // getattr(shape, "vit", shape).patch for side in config.preprocess.size)
            if rows * columns > MAX_PATCHES:
                raise ValueError(f"its pictures would have {rows} x {columns} patches; at most {MAX_PATCHES} expected")
            _check("labels", config.labels, getattr(shape, "classes", 0))
            _check("relations", config.relations, getattr(shape, "relations", 0))
            weights = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
            with torch.device("meta"):  # allocates nothing until the shapes are known to match the file
                cls.network(shape).load_state_dict(weights, assign=True)
            model = cls.network(shape)
            model.load_state_dict(weights)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(f"{folder} is not a complete Saccade model: {in_one_line(error)}") from error
        known = {"labels": config.labels, "relations": config.relations}
        return cls(model.eval(), config.preprocess, name or folder.name, card=config.card, **known)


def kind_in(folder: Path) -> str | None:
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


def no_readable_pictures(data: str, skipped: dict[str, str]) -> DataError:
    """The error of an evaluation without pictures, with the reason why the first was skipped."""
    return DataError(f"no picture of {data} could be read: {next(iter(skipped.values()), 'it is empty')}")


def not_finite() -> SaccadeError:
    """The error of a model whose output is not finite."""
    return SaccadeError("the model's output is not a number: its weights are damaged, fetch or train it again")


def _difference(found: list[str], expected: list[str]) -> str:
    lacks, adds = ([n for n in a if n not in b][:12] for a, b in ((expected, found), (found, expected)))
    parts = [f"{what} {', '.join(map(escape, names))}" for what, names in (("lacks", lacks), ("adds", adds)) if names]
    return f"it {' and '.join(parts)}" if parts else "they come in another order"


def _check(what: str, names: list[str], count: int) -> None:
    if len(names) != count:
        raise ValueError(f"there are {len(names)} {what} for the {count} of the model")
    for i, name in enumerate(names):
        if name in ("", *names[:i]) or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise ValueError(f"{what} must be printable and different from each other; one is {name!a}")
