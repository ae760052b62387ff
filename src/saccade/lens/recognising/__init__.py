"""Attention that goes past the fused call: recognised as it runs."""
