"""Other people's weight files, in and out: one file a family."""

from saccade.checkpoints.registry import FAMILIES, Loaded, load_checkpoint, save_checkpoint

__all__ = ["FAMILIES", "Loaded", "load_checkpoint", "save_checkpoint"]
