"""The commands, each a few lines over the library."""

from saccade.cli.early import interruptible

with interruptible():
    from saccade.cli.main import app, main

__all__ = ["app", "main"]
