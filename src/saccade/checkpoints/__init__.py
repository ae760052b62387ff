"""Loading and saving public weight files: one module per family."""

from typing import TYPE_CHECKING

from saccade.lazy import lazy_exports

if TYPE_CHECKING:
    from saccade.checkpoints.registry import FAMILIES, Loaded, load_checkpoint, save_checkpoint

__all__ = ["FAMILIES", "Loaded", "load_checkpoint", "save_checkpoint"]

__getattr__, __dir__ = lazy_exports(__name__, dict.fromkeys(__all__, ".registry"))
