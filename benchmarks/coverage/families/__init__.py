"""Tiny models with random weights of every family that the coverage benchmark runs."""
