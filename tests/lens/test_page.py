"""The code on the page about views runs as it stands."""

import re
from pathlib import Path

import torch
from torch import nn

import saccade

from .models import Attend, Stack

PAGE = Path(__file__).parents[2] / "docs" / "views.md"


class Painter(nn.Module):
    """Patches that attend to themselves, and to words; and three queries of a decoder."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 14, 11, 11)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 14))
        self.encoder = Stack(a=Attend(), b=Attend())
        self.decoder = Stack(a=Attend(), b=Attend())
        self.head = nn.Linear(14, 5)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = self.encoder(torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1))
        return self.head(self.decoder(x)[:, 0])


def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page():
    found, words = [1, 3], Stack(cross=Attend())
    names = {"saccade": saccade, "model": Painter(), "x": torch.randn(2, 3, 22, 33), "found": found}
    seen = 0
    for code in blocks():
        if "trace.words" in code:
            with saccade.watch(words) as names["trace"]:
                words(torch.randn(2, 24, 14), torch.randn(2, 5, 14))
        exec(code, names)
        seen += 1
        if "among" in code:
            assert names["among"].shape == (2, 2, 2)
            calls = names["trace"]["decoder.*"]
            whole = torch.stack([call.weights().mean(dim=1) for call in calls]).mean(dim=0)
            torch.testing.assert_close(names["among"], whole[:, found][..., found])
    assert seen == 5
    assert [len(each) for each in names["trace"].seen["cls"].values()] == [3] * 4
    assert names["tokens"] == saccade.lens.TokenMap((2, 3), 1)
