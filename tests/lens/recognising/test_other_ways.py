"""Products that are spelled in a rarer way: followed where that is exact, else named; what is none is not named."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import watch

from ..models import Attend, Stack, eager

N, C = 7, 8
TWO = [torch.randn(N, C, generator=torch.Generator().manual_seed(i)) for i in range(3)]
FOUR = [torch.randn(2, 3, N, C, generator=torch.Generator().manual_seed(i)) for i in range(3)]


class Model(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how, self.layer = how, nn.Linear(C, C, bias=False)

    def forward(self, q, k, v):
        return self.how(self, q, k, v)


def watched(how, given):
    model = Model(how)
    torch.manual_seed(3)
    expected = model(*given)
    torch.manual_seed(3)
    with watch(model) as trace:
        assert torch.equal(model(*given), expected)
    return trace


FOLLOWED = {
    "linear": lambda self, q, k, v: F.linear(F.linear(q, k).softmax(-1), v.T),
    "linear by name": lambda self, q, k, v: F.linear(input=F.linear(q, weight=k).softmax(-1), weight=v.T),
    "torch.linalg": lambda self, q, k, v: torch.linalg.matmul(torch.linalg.matmul(q, k.T).softmax(-1), v),
    "values by linear": lambda self, q, k, v: F.linear((q @ k.T).softmax(-1), v.T.contiguous()),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_linear_layers_of_activations_are_products(name):
    trace = watched(FOLLOWED[name], TWO)
    (call,) = trace
    assert not call.note
    assert not trace.missed
    torch.testing.assert_close(call.weights()[0, 0], (TWO[0] @ TWO[1].T).softmax(-1))


NAMED = {
    "gumbel": (lambda self, q, k, v: F.gumbel_softmax(q @ k.mT, hard=True) @ v, FOUR, "gumbel_softmax"),
    "gumbel over targets": (lambda self, q, k, v: F.gumbel_softmax(q @ k.mT, dim=-2).mT @ v, FOUR, "gumbel_softmax"),
    "exp": (lambda self, q, k, v: (e := (q @ k.mT).exp()) @ v / e.sum(-1, keepdim=True), FOUR, "an exponential"),
    "log_softmax": (lambda self, q, k, v: F.log_softmax(q @ k.mT, -1).exp() @ v, FOUR, "an exponential"),
    "stable exp": (
        lambda self, q, k, v: torch.einsum("bhij,bhjc->bhic", ((s := q @ k.mT) - s.amax(-1, keepdim=True)).exp_(), v),
        FOUR,
        "an exponential",
    ),
    "tensordot": (lambda self, q, k, v: torch.tensordot((q @ k.T).softmax(-1), v, dims=1), TWO, "by tensordot"),
    "addmm": (lambda self, q, k, v: torch.addmm(q, (q @ k.T).softmax(-1), v), TWO, "by addmm"),
    "a sum": (lambda self, q, k, v: ((q @ k.mT).softmax(-1)[..., None] * v[:, :, None]).sum(-2), FOUR, "by sum"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_surely_attention_is_named(name):
    how, given, said = NAMED[name]
    trace = watched(how, given)
    assert not len(trace)
    assert said in trace.missed["Model"]


NONE = {
    "a layer": lambda self, q, k, v: self.layer(q.softmax(-1)),
    "bins of a distance": lambda self, q, k, v: F.linear(q.softmax(-1), torch.arange(C * 1.0)[None]),
    "bins by a convolution": lambda self, q, k, v: F.conv2d(q.softmax(1), torch.arange(3.0).view(1, 3, 1, 1)),
    "a codebook": lambda self, q, k, v: F.gumbel_softmax(self.layer(q)) @ self.layer.weight,
    "a gate": lambda self, q, k, v: self.layer(q) * self.layer(q).softmax(-1)[..., :1],
    "text and picture": lambda self, q, k, v: (q @ k.mT).softmax(-1),
    "entropy": lambda self, q, k, v: -((w := (q @ k.mT).softmax(-1)) * w.log()).sum(-1),
    "means": lambda self, q, k, v: (q @ k.mT).softmax(-1).mean(-1) * 2,
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_attention_is_not_named(name):
    trace = watched(NONE[name], FOUR)
    assert not len(trace)
    assert not trace.missed


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize("decomposed", [False, True])
def test_exported_programs(decomposed):
    """They call the operations below autograd by themselves."""
    attend, x = Stack(a=Attend(how=eager), b=Attend()).eval(), torch.randn(2, 5, 14)
    program = torch.export.export(attend, (x,))
    model = (program.run_decompositions() if decomposed else program).module()
    with torch.no_grad():
        expected = model(x)
        with watch(attend) as plain:
            attend(x)
        with watch(model) as trace:
            assert torch.equal(model(x), expected)
    assert len(trace) == 2
    assert not any(call.note for call in trace)
    for one, other in zip(trace, plain, strict=True):
        torch.testing.assert_close(one.weights(), other.weights())


def test_a_blank_tensor_made_like_scores_is_none_of_them():
    def how(self, q, k, v):
        s = q @ k.mT
        mask = torch.ones(N, N, dtype=torch.bool).tril()
        w = torch.where(~mask, torch.full_like(s, -1e9), s).softmax(-1)
        return torch.where(torch.zeros_like(w) > 1, torch.zeros_like(w), w) @ v

    (call,) = watched(how, FOUR)
    assert "kept as its scores" not in call.note
    expected = (FOUR[0] @ FOUR[1].mT).masked_fill(~torch.ones(N, N, dtype=torch.bool).tril(), -1e9).softmax(-1)
    torch.testing.assert_close(call.weights(), expected)


@pytest.mark.parametrize("how", [eager, F.scaled_dot_product_attention])
def test_tensors_without_numbers_are_named(how):
    model = Stack(a=Attend(how=how)).to("meta")
    with watch(model) as trace:
        model(torch.randn(2, 5, 14, device="meta"))
    assert not len(trace)
    assert "without numbers" in trace.missed["blocks.a"]
