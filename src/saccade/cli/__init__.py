"""The commands, each a few lines over the library."""

from saccade.cli.early import interruptible

with interruptible():
    from saccade.cli.main import app, main, one_of_several

__all__ = ["app", "main", "one_of_several"]
