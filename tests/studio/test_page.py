"""The page: its size, its escaping, what it says."""

import torch
from PIL import Image

from saccade.lens import Call, Trace
from saccade.studio.page import PageInput, write_page


def made_up(rows=3, columns=5, prefix=2, layers=2, heads=3, groups=3, width=7, values=True):
    n = prefix + rows * columns
    calls = [
        Call(
            f"blocks.{i}.attn",
            "self",
            torch.randn(1, heads, n, width),
            torch.randn(1, groups, n, width),
            torch.randn(1, groups, n, width) if values else None,
        )
        for i in range(layers)
    ]
    return Trace(calls)


def test_write(tmp_path):
    page = PageInput(Image.new("RGB", (50, 30), "teal"), (3, 5), made_up(), prefix=["cls", "register 1"])
    report = write_page(tmp_path / "look.html", page)
    assert report.bytes < 200_000
    assert report.layers_kept == report.layers == 2
    assert report.error_typical < 0.02
