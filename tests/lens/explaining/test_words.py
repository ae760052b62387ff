"""Heat maps of words against whole maps, interpolated one by one."""

import pytest
import torch
import torch.nn.functional as F

from saccade.errors import SaccadeError
from saccade.lens import Call, Trace


def call(n, m=7, b=2, kind="cross", **options):
    return Call("up.attn2", kind, torch.randn(b, 3, n, 5), torch.randn(b, 3, m, 5), **options)


def by_hand(calls, places, own, grid, heads=(0, 1, 2)):
    total = torch.zeros(2, *grid)
    for each, (rows, columns) in zip(calls, own, strict=True):
        for head in heads:
            for place in places:
                flat = each.weights()[:, head, :, place].view(2, 1, rows, columns)
                total += F.interpolate(flat, grid, mode="bicubic")[:, 0]
    return total.clamp(min=0) / (len(calls) * len(heads) * len(places))


def test_one_grid_is_the_mean_over_layers_heads_steps_and_tokens():
    calls = [call(6 * 10, run=i) for i in range(3)]
    trace = Trace([*calls, call(7, kind="self")])
    found = trace.words({"cat": [2, 3], "sat": [-1]}, grid=(6, 10))
    assert list(found) == ["cat", "sat"]
    whole = torch.stack([each.weights() for each in calls]).mean(dim=(0, 2)).view(2, 6, 10, 7)
    torch.testing.assert_close(found["cat"], whole[..., [2, 3]].mean(-1))
    torch.testing.assert_close(found["sat"], whole[..., -1])
    torch.testing.assert_close(
        trace.words({"cat": [1]}, (6, 10), heads=[0, -1])["cat"], by_hand(calls, [1], [(6, 10)] * 3, (6, 10), [0, 2])
    )
    words = {str(i): [i] for i in range(7)}
    total = sum(trace.words(words, (6, 10)).values())
    torch.testing.assert_close(total, torch.ones(2, 6, 10))  # every target divides 1 among the words


def test_several_grids_are_brought_to_the_finest():
    calls = [call(5 * 7), call(3 * 4), call(2 * 2), call(5 * 7)]  # halved rounding up
    found = Trace(calls).words({"cat": [2, 5]}, grid=(5, 7))["cat"]
    # Clamped before the tokens are averaged: each has a map of its own.
    own = ((5, 7), (3, 4), (2, 2), (5, 7))
    torch.testing.assert_close(found, sum(by_hand(calls, [place], own, (5, 7)) for place in (2, 5)) / 2)
    square = Trace([call(16), call(4)])
    torch.testing.assert_close(square.words({"a": [0]}, "square")["a"], square.words({"a": [0]}, (4, 4))["a"])


@pytest.mark.parametrize(
    ("n", "asked", "said"),
    [
        (15, {"tokens": {"cat": [2]}}, r"how its 15 targets lie .* give grid=\(rows, columns\)"),
        (16, {"tokens": {"cat": [2]}}, "how its 16 targets lie on the picture is not given"),
        (15, {"tokens": {"cat": [2]}, "grid": "square"}, "its 15 targets are no square"),
        (15, {"tokens": {"cat": [2]}, "grid": (4, 4)}, "its 15 targets are not 4 x 4, nor that halved"),
        (15, {"tokens": {"cat": [2]}, "grid": (0, 4)}, "a grid of 0 x 4"),
        (15, {"tokens": {"cat": [2]}, "grid": 15}, r"a grid of 15: expected \(rows, columns\) or 'square'"),
        (15, {"tokens": {"cat": [7]}, "grid": (3, 5)}, r"source \[7\] of 'up.attn2': it has 7 sources"),
        (15, {"tokens": {}, "grid": (3, 5)}, "expected the tokens of each"),
        (15, {"tokens": ["red"], "grid": (3, 5)}, r"words were asked for \['red'\]: expected the tokens of each"),
        (15, {"tokens": {"red": 3}, "grid": (3, 5)}, r"for {'red': 3}: expected the tokens of each"),
        (15, {"tokens": {"red": "3"}, "grid": (3, 5)}, r"for {'red': '3'}: expected the tokens of each"),
        (15, {"tokens": {"cat": []}, "grid": (3, 5)}, "expected the tokens of each"),
        (15, {"tokens": {"cat": [1]}, "grid": (3, 5), "heads": [3]}, r"heads \[3\] of 'up.attn2': it has 3"),
        (15, {"tokens": {"cat": [1]}, "grid": (3, 5), "heads": []}, r"heads \[\] of"),
    ],
)
def test_what_cannot_be_told_is_asked_for(n, asked, said):
    with pytest.raises(SaccadeError, match=said):
        Trace([call(n)]).words(**asked)


def test_words_need_cross_attention():
    with pytest.raises(SaccadeError, match="none of the 1 calls is"):
        Trace([call(7, kind="self")]).words({"cat": [1]}, "square")
    with pytest.raises(SaccadeError, match="The trace is empty"):
        Trace().words({"cat": [1]}, "square")
