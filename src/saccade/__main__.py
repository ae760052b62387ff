"""`python -m saccade`, which torchrun needs."""

from saccade.cli import main_of_torchrun

main_of_torchrun()
