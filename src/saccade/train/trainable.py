"""What the training loop needs of a task."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from saccade.device import Device
from saccade.tasks.saved import TrainedTask
from saccade.train.batches import BatchMaker
from saccade.train.best_scores import Scores


class Trainable(BatchMaker, Protocol):
    """Interface of a task for the training loop. It may be `SupportsMicrobatches`, `SupportsCalibration` and `Stateful`
    too."""

    model: nn.Module
    selection_metric: str  # the score by which the best weights are selected; higher is better

    @property
    def recipe(self) -> BaseModel:
        """Options of the task; stored with the run."""

    @property
    def identity(self) -> str:
        """A string that is equal if and only if training samples, validation samples and initial weights are."""

    def sampler(self) -> BatchMaker:
        """What makes its batches, without the network, to be sent to worker processes."""

    def loss(self, model: nn.Module, batches: list[Any], device: torch.device) -> Tensor:
        """Mean loss over all samples of the batches."""

    def compiled(self, model: nn.Module) -> nn.Module:
        """The model with `torch.compile` where it pays."""

    def evaluate(self, model: nn.Module, device: Device) -> Scores:
        """Scores on the validation samples."""

    def save(self, model: nn.Module, folder: Path, scores: Scores) -> None:
        """Write the trained model as users load it."""


@runtime_checkable
class SupportsMicrobatches(Protocol):
    """A task whose steps need not be computed at once."""

    def parts(self, batches: list[Any], device: torch.device) -> list[list[Any]]:
        """The batches of a step in groups whose forward and backward passes run one after the other, so that memory
        holds one of them. The loss of the step is the mean of theirs, weighted by their number of batches."""


@runtime_checkable
class SupportsCalibration(Protocol):
    """A task whose trained model is calibrated at the end of a run."""

    @property
    def calibration_cost(self) -> float:
        """The time that `calibrate` takes, about, in validations."""

    def calibrate(self, folder: Path, device: Device) -> tuple[TrainedTask | None, str]:
        """The calibrated model in `folder`, None if it is calibrated already or cannot be; and a note for the log, or
        ""."""


@runtime_checkable
class Stateful(Protocol):
    """A task that gathers more than weights while it trains."""

    def state_dict(self) -> dict[str, Any]:
        """What it has gathered, as JSON."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
