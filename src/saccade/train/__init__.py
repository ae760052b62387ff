"""The training loop, its state on disk, its processes."""

from saccade.train.config import TrainConfig, as_started
from saccade.train.loop import Interrupted, Trainable, train

__all__ = ["Interrupted", "TrainConfig", "Trainable", "as_started", "train"]
