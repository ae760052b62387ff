"""What a model says without some of its heads, against weights set to zero."""

import copy
import itertools

import pytest
import torch
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens.scores import head_knockout

from ..models import Attend, Stack


def model():
    torch.manual_seed(3)
    return nn.Sequential(Stack(a=Attend(), b=Attend()), nn.Linear(14, 3)).double().eval()


def said(net):
    return lambda x: net(x).mean(dim=1).softmax(-1)[:, 1]


def zeroed(net, *heads):
    net = copy.deepcopy(net)
    for block, head in heads:
        layer = net[0].blocks[block].v
        for parameter in (layer.weight, layer.bias):
            parameter.data[head * 7 : head * 7 + 7] = 0
    return net


ALL = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


@pytest.mark.parametrize("heads", [[("a", 1)], [("a", 0), ("b", 0)], ALL])
def test_as_if_the_values_were_zero(heads):
    net, x = model(), torch.randn(7, 5, 14, dtype=torch.float64)
    asked = {f"0.blocks.{block}": [n for b, n in heads if b == block] for block in dict(heads)}
    found = head_knockout(net, said(net), x, asked, draws=60, batch=3)
    falls = said(net)(x) - said(zeroed(net, *heads))(x)
    assert found.value == pytest.approx(falls.mean().item(), abs=1e-12)
    assert falls.min().item() <= found.low <= found.value <= found.high <= falls.max().item()
    others = [
        (said(net)(x) - said(zeroed(net, *some))(x)).mean().item() for some in itertools.combinations(ALL, len(heads))
    ]
    assert min(others) - 1e-12 <= found.random <= max(others) + 1e-12
    if len(heads) == 4:
        assert found.random == pytest.approx(found.value)


def test_one_pattern_for_several_modules():
    net, x = model(), torch.randn(4, 5, 14, dtype=torch.float64)
    both = head_knockout(net, said(net), x, {"*": [1]})
    assert both == head_knockout(net, said(net), x, {"*.a": [1], "*.b": [1]})


def test_what_is_not_there_is_said():
    net, x = model(), torch.randn(4, 5, 14, dtype=torch.float64)
    for heads, words in (
        ({"*.c": [0]}, r"heads \[0\] of '\*.c': no such attention; there are 2 of '0.blocks.a', 2 of '0.blocks.b'"),
        ({"*.a": [2]}, r"head 2 of '0.blocks.a' is not there"),
        ({"*.a": []}, "no such attention"),
        ({}, "no heads were given"),
    ):
        with pytest.raises(SaccadeError, match=words):
            head_knockout(net, said(net), x, heads)
    for arguments, words in (
        ((said(net), x[:0], {"*": [0]}), r"pictures of \(0, 5, 14\) were given; expected a tensor of at least one"),
        ((said(net), [x], {"*": [0]}), "pictures of list were given"),
        ((said(net), x, [0]), r"heads were given as \[0\]; expected {pattern: head numbers}"),
        ((said(net), x, {"*": 0}), r"heads of '\*' were given as 0; expected"),
        ((said(net), x, {"*": [0.5]}), r"head 0.5 of '\*': expected whole numbers"),
        ((said(net), x, {"*": [0]}, 0), "0 draws; expected 1 or more"),
        ((said(net), x, {"*": [0]}, 3, 0, 0), "0 pictures at a time"),
        ((lambda x: net(x).sum().item(), x, {"*": [0]}), "run gave a float for 4 pictures; expected a tensor"),
        ((lambda x: net(x)[:, 0, 0] / 0, x, {"*": [0]}), "run gave -?inf for picture 0; expected a finite number"),
    ):
        with pytest.raises(SaccadeError, match=words):
            head_knockout(net, *arguments)
    with pytest.raises(SaccadeError, match=r"shape \(12,\) for 4 pictures"):
        head_knockout(net, lambda x: net(x)[:, 0].flatten(), x, {"*": [0]})


def test_names_with_brackets_are_names():
    net = nn.ModuleDict({"a[0]": Attend(), "b": Attend()}).double()
    net.forward = lambda x: net["b"](net["a[0]"](x))
    x = torch.randn(3, 5, 14, dtype=torch.float64)
    found = head_knockout(net, lambda x: net(x).mean(dim=(1, 2)), x, {"a[0]": [1]}, draws=3)
    assert found.value != 0
