"""The training loop, its state on disk, its processes."""

from saccade.train.config import TrainConfig, resume_options
from saccade.train.loop import Interrupted, Trainable, train

__all__ = ["Interrupted", "TrainConfig", "Trainable", "resume_options", "train"]
