"""Attention maps scored against the masks of drawn scenes."""
