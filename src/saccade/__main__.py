"""`python -m saccade`, which torchrun needs."""

from saccade.cli import one_of_several

one_of_several()
