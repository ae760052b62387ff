"""Options of a training run: one schema for the command line and for the config.json of a run."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from saccade.errors import SaccadeError, in_one_line

# Every batch is divided into this many shards, each with its own random generator, so that images and losses are the
# same for any number of processes.
SHARDS = 8

Options = TypeVar("Options", bound=BaseModel)


class TrainConfig(BaseModel):
    """How to train. Rates are for the default batch."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    epochs: Annotated[int | None, Field(gt=0)] = None
    """Passes over the training pictures; default: 30, or as many as 1,000 updates take."""
    batch: Annotated[int | None, Field(gt=0)] = None
    """Pictures an update, over all processes together; default: 256, less for small sets."""
    lr: Annotated[float, Field(gt=0)] = 0.02
    """Peak learning rate of Muon, which trains the matrices inside the blocks."""
    adam_lr: Annotated[float, Field(gt=0)] = 2e-3
    """Peak learning rate of AdamW, which trains everything else."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    """Decoupled weight decay of matrices."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Part of the run over which rates rise from 0; afterwards they fall as a half cosine."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay of the moving average of the weights, which is what is validated and kept."""
    patience: Annotated[int | None, Field(gt=0)] = None
    """Epochs without a better validation score after which the run ends early; default: it never does."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random in the run."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """auto: bf16 where the hardware supports it, else fp32."""
    compile: Literal["auto", "yes", "no"] = "auto"
    """Use torch.compile; auto: where a compiler is found, unless the run is too short to earn it back."""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Processes that prepare batches beside the training, which a GPU needs; 0 prepares them in its own process. The
    batches are the same for any number."""
    deterministic: bool = False
    """Ask PyTorch for deterministic algorithms throughout."""

    def fitted(self, samples: int) -> "TrainConfig":
        """A copy whose unset batch size and number of epochs are chosen for this many training samples."""
        batch = self.batch or max(SHARDS, min(256, samples // 8 // SHARDS * SHARDS))
        epochs = self.epochs or max(30, math.ceil(1000 / max(1, samples // batch)))
        return self.model_copy(update={"batch": batch, "epochs": epochs})


def nothing_to_resume(folder: Path) -> SaccadeError:
    """The error for a folder without a state to resume from."""
    return SaccadeError(f"{folder} holds no complete state to resume from: start a run under a new name")


def saved_options(folder: Path) -> dict[str, Any]:
    """Contents of the config.json of a run: the fields of its TrainConfig, "recipe" and "source" (both objects), and
    "data", the task's identity. Raises SaccadeError if there is no run to resume, or it cannot be read."""
    if not (folder / "state").is_dir():
        raise nothing_to_resume(folder)
    file = folder / "config.json"
    try:
        before = json.loads(file.read_text())
        if not all(isinstance(part, dict) for part in (before, before.get("recipe", {}), before.get("source", {}))):
            raise TypeError("it does not hold the options of a run")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SaccadeError(f"{file} of the run to resume cannot be read: {in_one_line(error)}") from error
    return before


def resume_options(folder: Path, given: Options, part: Literal["recipe", "source"] | None = None) -> Options:
    """`given` with its unset fields taken from the run in `folder`, for resuming it.

    part: where config.json holds these options; None for those of TrainConfig. A field is unset if
    it was not passed to the constructor of `given`. Raises SaccadeError as `saved_options` does, and for invalid
    options.
    """
    before = saved_options(folder)
    if part is None:
        before = {name: before[name] for name in type(given).model_fields if name in before}
    else:
        before = before.get(part, {})
    try:
        return type(given).model_validate({**before, **given.model_dump(include=given.model_fields_set)})
    except ValueError as error:
        raise SaccadeError(f"{folder / 'config.json'} of the run to resume: {in_one_line(error)}") from error
