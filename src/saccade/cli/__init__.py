"""The commands, each a few lines over the library."""

from saccade.cli.main import app, main

__all__ = ["app", "main"]
