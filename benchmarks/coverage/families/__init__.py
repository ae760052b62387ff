"""Tiny models with random weights of every family that the coverage benchmark runs."""

from benchmarks.coverage.families import torchvision_stub as torchvision_stub  # before any library looks for it
