"""What a training run can be told; the same schema for the command line and for the run's config.json."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# The parts into which every batch is cut, the same for any number of processes: each part has its own random
# numbers, so that one process and several compute the same pictures and the same losses.
SHARDS = 8


class TrainConfig(BaseModel):
    """How to train. Rates are for the default batch."""

    model_config = ConfigDict(extra="forbid")

    epochs: Annotated[int, Field(gt=0)] = 30
    """Passes over the training pictures."""
    batch: Annotated[int, Field(gt=0)] = 256
    """Pictures an update, over all processes together."""
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
    seed: int = 0
    """Seed of everything random in the run."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 where the processor computes in it, unless told otherwise."""
    compile: Literal["auto", "yes", "no"] = "auto"
    """Use torch.compile; auto: on a GPU."""
    deterministic: bool = False
    """Ask PyTorch for deterministic algorithms throughout."""
