"""The command line, built from the registry of tasks."""

from saccade.cli.interrupt import exit_on_signal

with exit_on_signal():
    from saccade.cli.main import build_app, main, main_of_torchrun

__all__ = ["build_app", "main", "main_of_torchrun"]
