"""What the training of every task is: a new model, two sets, and what is known of how it came to be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch
from pydantic import BaseModel, Field
from torch import nn

from saccade.errors import DataError
from saccade.tasks.base import Task
from saccade.tasks.encoders import digest
from saccade.tasks.saved import TrainedTask

Zoom = Annotated[float, Field(ge=0.1, le=10)]  # of pictures, in augmentation


class Set(Protocol):
    """Pictures with what is to be learned of them."""

    label: str

    @property
    def classes(self) -> list[str]: ...

    @property
    def names(self) -> Sequence[str]: ...


class Training:
    """A task's training begins with this, makes `model` and the samples, and says `batch`, `loss` and `evaluate`.

    Attributes:
        labels: names of the classes.
        about: what the trained model's card says of its data.
    """

    recipe: BaseModel
    model: nn.Module

    def __init__(self, train: Set, val: Set, recipe: BaseModel, seed: int, start: Task | None):
        """Raises DataError where the sets have different classes."""
        if val.classes != train.classes:
            raise DataError(f"the classes of {val.label} are not those of {train.label}: they must be the same")
        self.recipe, self.labels, self.start = recipe, train.classes, start
        self.about: dict[str, Any] = {
            "data": train.label,
            "validated on": val.label,
            "start": None if start is None else start.name,
        }
        self._told: list[object] = [train.classes, [train.names, val.names]]
        torch.manual_seed(seed)

    @property
    def identity(self) -> str:
        """A digest of the names of classes and of all pictures in both sets, and of the start."""
        return digest(*self._told, self.about["start"])

    def trained(self, model: nn.Module, name: str) -> TrainedTask:
        """The task around a model."""
        raise NotImplementedError

    def save(self, model: nn.Module, folder: Path, scores: dict[str, float]) -> None:
        """Write the model as `saccade.load` reads it."""
        task = self.trained(model, folder.parent.name)
        task.save(folder, scores=scores, recipe=self.recipe.model_dump(mode="json"), **self.about)
