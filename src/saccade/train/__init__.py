"""The training loop, its state on disk, its processes."""

from saccade.train.config import TrainConfig
from saccade.train.loop import Interrupted, Trainable, train

__all__ = ["Interrupted", "TrainConfig", "Trainable", "train"]
