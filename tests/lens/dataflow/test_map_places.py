"""Targets that do not lie on their feature map row by row are no picture of words."""

import pytest
import torch
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import watch
from saccade.lens.dataflow.map_places import map_places

from ..models import Attend, eager

B, Y, X, WIDTH = 2, 6, 10, 14


class Painter(nn.Module):
    """Self- and cross-attention over a feature map, cut and put together again by `cut`."""

    def __init__(self, cut, conv=False, **how):
        super().__init__()
        self.cut, self.conv = cut, nn.Conv2d(WIDTH, WIDTH, 1) if conv else None
        self.own, self.norm, self.cross = Attend(**how), nn.LayerNorm(WIDTH), Attend(**how)

    def forward(self, x, text):
        if self.conv is not None:
            x = self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        tokens = self.cut(x)
        tokens = self.norm(tokens + self.own(tokens))
        return self.cross(tokens, text.repeat_interleave(len(tokens) // len(text), 0))


def row_by_row(x):
    return x.flatten(1, 2)


def column_by_column(x):
    return x.transpose(1, 2).flatten(1, 2)


def windows(x):
    return x.unflatten(1, (2, -1)).unflatten(3, (2, -1)).transpose(2, 3).flatten(3, 4).flatten(0, 2)


def crossed(cut, conv, how):
    net = Painter(cut, conv, **how)
    with torch.no_grad(), watch(net) as trace:
        net(torch.randn(B, Y, X, WIDTH), torch.randn(B, 5, WIDTH))
    return trace["cross"]


@pytest.mark.parametrize("how", [{}, {"how": eager}])
@pytest.mark.parametrize("conv", [True, False])
@pytest.mark.parametrize(("cut", "grid"), [(column_by_column, (Y, X)), (windows, (Y // 2, X // 2))])
def test_words_over_targets_in_other_places_are_refused(cut, grid, conv, how):
    trace = crossed(cut, conv, how)
    with pytest.raises(SaccadeError, match="row by row"):
        trace.words({"cat": [2]}, grid=grid)


@pytest.mark.parametrize("how", [{}, {"how": eager}])
@pytest.mark.parametrize("conv", [True, False])
def test_words_over_targets_row_by_row(conv, how):
    trace = crossed(row_by_row, conv, how)
    assert torch.equal(map_places(trace[0].node), torch.arange(B * Y * X))
    expected = trace[0].weights()[..., 2].mean(1).unflatten(-1, (Y, X))
    assert torch.allclose(trace.words({"cat": [2]}, grid=(Y, X))["cat"], expected, atol=1e-6)


def test_places_on_the_map():
    numbers = torch.arange(B * Y * X).view(B, Y, X)
    for cut in (column_by_column, windows):
        places = map_places(crossed(cut, True, {})[0].node)
        assert torch.equal(places, cut(numbers[..., None])[..., 0].flatten())
