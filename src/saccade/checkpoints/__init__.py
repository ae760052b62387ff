"""Loading and saving public weight files: one module per family."""

from saccade.checkpoints.registry import FAMILIES, Loaded, load_checkpoint, save_checkpoint

__all__ = ["FAMILIES", "Loaded", "load_checkpoint", "save_checkpoint"]
