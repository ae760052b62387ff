"""Traces without a model, for pages."""

import torch
from PIL import Image

from saccade.lens import Call, Trace
from saccade.studio.page.page import PageInput


def trace(rows=3, columns=5, prefix=2, layers=2, heads=4, groups=4, width=7, values=True, sharp=1.0):
    """Random queries and keys over a prefix and a grid, with a mean in the keys as real ones have it."""
    n = prefix + rows * columns
    return Trace(
        [
            Call(
                f"blocks.{i}.attn",
                "self",
                sharp * torch.randn(1, heads, n, width),
                torch.randn(1, groups, n, width) + 3 * torch.randn(1, groups, 1, width),
                torch.randn(1, groups, n, width) if values else None,
            )
            for i in range(layers)
        ]
    )


def page(calls: Trace, rows=3, columns=5, **more) -> PageInput:
    picture = Image.linear_gradient("L").resize((20 * columns, 20 * rows))
    prefix = ["cls", *(f"register {i}" for i in range(1, calls[0].shape[2] - rows * columns))]
    return PageInput(picture, (rows, columns), calls, **{"prefix": prefix, **more})
