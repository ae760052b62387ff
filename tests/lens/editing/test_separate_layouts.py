"""Separate operations whose heads, tokens and values lie in other ways than as (b h n k), edited and swapped."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import bias_source, borrow, cut, drop_heads, during, edit, freeze, scale_heads, swap, watch

from ..models import Attend, eager
from .cases import close, normal


class Folded(nn.Module):
    """Heads in the batch, grouped keys, tokens of two axes, broadcast values: what a layout has to bring back."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, q, k, v):
        return self.how(q, k, v)


def folded(q, k, v):
    b, h, n, c = q.shape
    k, v = (t.repeat_interleave(h // t.shape[1], dim=1).flatten(0, 1) for t in (k, v))
    return torch.bmm((torch.bmm(q.flatten(0, 1), k.mT) * c**-0.5).softmax(-1), v).view(b, h, n, -1)


def transposed(q, k, v):
    """Channels first, as convolutional models have it: v wᵀ."""
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    w = torch.softmax(k @ q.mT * q.shape[-1] ** -0.5, dim=-2)
    return torch.matmul(v.mT, w).mT


def grouped(q, k, v):
    q = q.unflatten(1, (k.shape[1], -1))
    w = torch.softmax(q @ k[:, :, None].mT * q.shape[-1] ** -0.5, dim=-1)
    return (w @ v[:, :, None]).flatten(1, 2)


def grouped_einsum(q, k, v):
    q = q.unflatten(1, (k.shape[1], -1))
    w = torch.einsum("bgrnc,bgmc->bgrnm", q, k).mul(q.shape[-1] ** -0.5).softmax(-1)
    return torch.einsum("bgrnm,bgmc->bgrnc", w, v).flatten(1, 2)


def heads_last(q, k, v):
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    w = torch.einsum("bhnc,bhmc->bnmh", q, k).mul(q.shape[-1] ** -0.5).softmax(2)
    return torch.einsum("bnmh,bhmc->bnhc", w, v).transpose(1, 2)


def in_two_dtypes(q, k, v):
    w = torch.softmax(
        q.double() @ k.double().repeat_interleave(q.shape[1] // k.shape[1], 1).mT * q.shape[-1] ** -0.5, -1
    )
    return w.to(v.dtype) @ v.repeat_interleave(q.shape[1] // v.shape[1], 1)


WAYS = [folded, transposed, grouped, grouped_einsum, heads_last, in_two_dtypes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("how", WAYS)
def test_every_layout_of_prime_sizes(how, dtype):
    shapes = (3, 4, 5, 7), (3, 2, 11, 7), (3, 2, 11, 13)
    q, k, v = (torch.randn(shape).to(dtype).requires_grad_() for shape in shapes)
    w = normal_map(q, k)[..., torch.arange(11) != 3]
    w = normal(w * torch.tensor([0.25] * 2 + [1.0] * 8).to(dtype))
    mixed = w @ v.repeat_interleave(2, dim=1)[:, :, torch.arange(11) != 3]
    expected = mixed * torch.tensor([1.0, 0.0, 1.0, -3.0]).to(dtype)[:, None, None]
    edits = [cut(sources=3), bias_source([0, 1], 0.25), drop_heads(1), scale_heads(-3.0, 3)]
    model = Folded(how)
    with edit(model, {"*": edits}) as done:
        got = model(q, k, v)
    assert done.applied == {"Folded": 1}
    tolerance = {"atol": 1e-5 if dtype == torch.float32 else 1e-12, "rtol": 1e-5 if dtype == torch.float32 else 1e-12}
    torch.testing.assert_close(got, expected, **tolerance)
    assert got.stride() == model(q, k, v).stride()
    weights = torch.randn(got.shape, dtype=dtype)
    for one, other in zip(*(torch.autograd.grad((t * weights).sum(), (q, k, v)) for t in (got, expected)), strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def normal_map(q, k):
    return (q @ k.repeat_interleave(q.shape[1] // k.shape[1], dim=1).mT * q.shape[-1] ** -0.5).softmax(-1)


@pytest.mark.parametrize("how", WAYS)
def test_maps_and_sources_of_other_runs(how):
    """Swapped, borrowed and frozen, between a fused call and one of separate operations, either way."""

    def sdpa(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    one, other = ([torch.randn(3, h, n, 7).double() for h, n in ((4, 5), (2, 11), (2, 11))] for _ in range(2))
    two, fused = Folded(how), Folded(sdpa)
    w, theirs, v = normal_map(*one[:2]), normal_map(*other[:2]), one[2].repeat_interleave(2, dim=1)
    for here, there in ((two, fused), (fused, two), (two, two)):
        with watch(there, values=True) as trace:
            there(*other)
        with edit(here, {"*": swap(trace)}):
            close(here(*one), theirs @ v)
        with edit(here, {"*": swap(trace, {0: 4, 2: 2})}):
            mixed = torch.cat([theirs[..., 4:5], w[..., 1:2], theirs[..., 2:3], w[..., 3:]], dim=-1)
            close(here(*one), normal(mixed) @ v)
        with edit(here, {"*": borrow(trace)}), watch(here) as seen:
            close(here(*one), sdpa(one[0], *other[1:]))
        assert seen[0].kind == "cross"
        with edit(here, {"*": borrow(trace, append=True)}):
            close(here(*one), sdpa(one[0], *(torch.cat(pair, dim=2) for pair in zip(one[1:], other[1:], strict=True))))
    with edit(two, {"*": during(freeze(), [1, 2])}):
        runs = [two(*each) for each in (one, other, one)]
    close(runs[0], w @ v)
    close(runs[2], theirs @ v)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_lowest_number_of_every_dtype(dtype):
    allowed, lowest = torch.ones(5, 5).tril().bool(), torch.finfo(dtype).min

    def masked(q, k, v):
        return (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~allowed, lowest).softmax(-1) @ v

    model, x = Attend(how=masked).to(dtype), torch.randn(2, 5, 14).to(dtype)
    with edit(model, {"*": [cut([4], [1, 2]), drop_heads(0)]}) as done:
        got = model(x)
    assert done.applied == {"Attend": 1}
    model.how = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    with edit(model, {"*": [cut([4], [1, 2]), drop_heads(0)]}):
        tolerance = 5e-2 if dtype == torch.bfloat16 else 1e-6
        torch.testing.assert_close(got, model(x), atol=tolerance, rtol=tolerance)


def test_a_model_may_write_into_what_the_product_gives():
    def gated(q, k, v):
        return (eager(q, k, v)).mul_(3.0).add_(v)

    model, x = Attend(heads=1, how=gated).double(), torch.randn(2, 5, 14).double().requires_grad_()
    with edit(model, {"*": scale_heads(2.0, 0)}):
        (edited,) = torch.autograd.grad(model(x).square().sum(), x)
    model.how = lambda q, k, v: 2.0 * eager(q, k, v) * 3.0 + v
    (expected,) = torch.autograd.grad(model(x).square().sum(), x)
    torch.testing.assert_close(edited, expected, atol=1e-5, rtol=1e-5)
