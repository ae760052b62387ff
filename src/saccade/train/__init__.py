"""The training loop, its state on disk, its processes."""

from typing import TYPE_CHECKING

from saccade.lazy import lazy_exports

if TYPE_CHECKING:
    from saccade.train.config import TrainConfig, resume_options
    from saccade.train.loop import train
    from saccade.train.signals import Interrupted
    from saccade.train.trainable import Trainable

__all__ = ["Interrupted", "TrainConfig", "Trainable", "resume_options", "train"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Interrupted": ".signals",
        "TrainConfig": ".config",
        "Trainable": ".trainable",
        "resume_options": ".config",
        "train": ".loop",
    },
)
