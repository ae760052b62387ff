"""Sums of rows by a fused kernel are those of the maps."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from saccade.lens import Call, watch
from saccade.lens.trace import row_sums
from saccade.lens.trace.row_sums import fused_weighted_sum
from saccade.lens.trace.views import WeightedRowSum


def case(heads: int = 6, groups: int = 3, sharp: float = 1.0) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(1)
    q, k = (torch.randn(2, h, n, 7, generator=g, dtype=torch.float64) for h, n in ((heads, 13), (groups, 11)))
    share = torch.rand(2, 13, generator=g, dtype=torch.float64)
    share[0, 4:9] = 0
    return q * sharp, k * sharp, share


@pytest.mark.parametrize("sharp", [0.01, 1.0, 4.0])
@pytest.mark.parametrize("groups", [6, 3, 1])
def test_against_the_map(sharp, groups):
    q, k, share = case(groups=groups, sharp=sharp)
    call = Call("a", "cross", q.float(), k.float())
    scores = q @ k.repeat_interleave(6 // groups, dim=1).mT / 7**0.5
    expected = torch.einsum("bn,bhnm->bhm", share, scores.softmax(dim=-1))
    fused = fused_weighted_sum(q.float(), k.float(), scores.logsumexp(-1).float(), share.float(), 7**-0.5)
    torch.testing.assert_close(fused, expected.float(), atol=1e-6, rtol=2e-5)
    walked = WeightedRowSum(share)
    call.walk(walked)
    for got in (walked.value(), call.weighted_sum(share)):
        torch.testing.assert_close(got.double(), expected, atol=1e-6, rtol=2e-5)


def test_some_targets_only_and_a_picture_without_any():
    q, k, share = case()
    share[:, 5:] = 0
    call = Call("a", "cross", q, k)
    torch.testing.assert_close(call.weighted_sum(share), torch.einsum("bn,bhnm->bhm", share, call.weights()))
    share[1] = 0
    share[0] = 1
    torch.testing.assert_close(call.weighted_sum(share), torch.einsum("bn,bhnm->bhm", share, call.weights()))


def test_where_no_kernel_tells_the_log_sum_exp():
    q, k, share = case()
    call = Call("a", "cross", q, k)
    with sdpa_kernel(SDPBackend.MATH):
        assert fused_weighted_sum(q, k, call.lse, share, call.scale) is None
        torch.testing.assert_close(call.weighted_sum(share), torch.einsum("bn,bhnm->bhm", share, call.weights()))


def test_it_is_not_attention_of_the_model():
    class Curious(nn.Module):
        def forward(self, x):
            return Call("inner", "self", x[None], x[None]).received()

    x = torch.randn(2, 5, 8)
    with torch.autocast("cpu", torch.bfloat16), watch(model := Curious()) as trace:
        received = model(x)
    assert len(trace) == 0
    assert not trace.missed
    torch.testing.assert_close(received, Call("a", "self", x[None], x[None]).weights().mean(dim=2))


@pytest.mark.parametrize(("heads", "n", "m"), [(6, 13, 11), (3, 257, 131), (2, 1, 7)])
def test_tiles_against_the_map(heads, n, m, monkeypatch):
    monkeypatch.setattr(row_sums, "ROWS", 64)
    monkeypatch.setattr(row_sums, "NUMBERS", 64 * m * 2)  # two heads at a time
    g = torch.Generator().manual_seed(3)
    q, k = (torch.randn(2, h, t, 5, generator=g) for h, t in ((heads, n), (1, m)))
    share = torch.rand(2, n, generator=g)
    scores = q.double() @ k.double().mT / 5**0.5
    expected = torch.einsum("bn,bhnm->bhm", share.double(), scores.softmax(dim=-1))
    got = row_sums.tiled_weighted_sum(q, k, scores.logsumexp(-1).float(), share, 5**-0.5)
    torch.testing.assert_close(got.double(), expected, atol=1e-6, rtol=2e-5)
