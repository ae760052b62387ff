"""Attention maps of every model family, as the lens captures them, beside the true ones."""
