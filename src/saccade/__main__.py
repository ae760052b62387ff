"""`python -m saccade`, which torchrun needs."""

from saccade.cli import run

run()
