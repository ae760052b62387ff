"""Learned queries as many as there are sources: cross-attention, told by where queries and keys come from."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import watch

from ..models import Attend, eager

N, C = 7, 12
HOW = {"sdpa": F.scaled_dot_product_attention, "eager": eager}


class Norm(nn.Module):  # a module of the model's own, which is followed too
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(C))

    def forward(self, x):
        return x / x.square().mean(-1, keepdim=True).sqrt() * self.weight


class Core(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, q, k, v):
        return self.how(q, k, v)


class Attention(nn.Module):
    """One input. `sources` makes queries and keys of it and of what is learned, `n` tokens each."""

    def __init__(self, sources, how, core=False, norm=False):
        super().__init__()
        self.learned = nn.Parameter(torch.randn(1, N, C))
        self.matrix = nn.Parameter(torch.randn(C, C))
        self.embedding, self.several = nn.Embedding(N, C), nn.ParameterList([torch.randn(N, C)])
        self.q, self.k = nn.Linear(C, C), nn.Linear(C, C)
        self.norm = Norm() if norm else nn.Identity()
        self.sources, self.how = sources, Core(how) if core else how

    def forward(self, x):
        q, k = self.sources(self, x)
        q, k, v = (t.unflatten(-1, (2, -1)).transpose(1, 2) for t in (self.q(self.norm(q)), self.k(self.norm(k)), x))
        return self.how(q, k, v).transpose(1, 2).flatten(2)


CROSS = {
    "latents": lambda self, x: (self.learned.expand(len(x), -1, -1), x),
    "repeated latents": lambda self, x: (self.learned.repeat(len(x), 1, 1), x),
    "an embedding": lambda self, x: (self.embedding.weight[None] + torch.zeros(len(x), 1, 1), x),
    "an embedding by number": lambda self, x: (self.embedding(torch.arange(N)).expand(len(x), -1, -1), x),
    "a list of parameters": lambda self, x: (self.several[0].expand(len(x), -1, -1), x),
    "learned keys": lambda self, x: (x, self.learned.expand(len(x), -1, -1)),
    "latents and their positions": lambda self, x: ((self.learned + self.several[0]).expand(len(x), -1, -1), x),
}
SELF = {
    "plain": lambda self, x: (x, x),
    "positions": lambda self, x: (x + self.learned, x),
    "positions of both": lambda self, x: (x + self.learned, x + self.several[0]),
    "a matrix": lambda self, x: (x @ self.matrix, x),
    "a token before": lambda self, x: (torch.cat([self.learned[:, :1].expand(len(x), -1, -1), x[:, 1:]], 1),) * 2,
    "learned among themselves": lambda self, x: (self.learned.expand(len(x), -1, -1),) * 2,
    "of the picture as well": lambda self, x: (self.learned * x.mean(1, keepdim=True), x),
}


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("core", [False, True])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    ("sources", "kind"), [*((each, "cross") for each in CROSS.values()), *((each, "self") for each in SELF.values())]
)
def test_the_kind_of_learned_queries(sources, kind, how, core, norm):
    model, x = nn.Sequential(Attention(sources, HOW[how], core, norm)), torch.randn(2, N, C)
    expected = model(x)
    with watch(model) as trace:
        assert torch.equal(model(x), expected)
    assert [call.kind for call in trace] == [kind]


def test_with_other_weights_for_one_call():
    model, x = Attention(CROSS["latents"], F.scaled_dot_product_attention), torch.randn(2, N, C)
    other = {name: 2 * p.detach() for name, p in model.named_parameters()}
    with watch(model) as trace:
        torch.func.functional_call(model, other, (x,))
    assert trace[0].kind == "cross"


class Perceiver(nn.Module):
    """Latents that attend by way of modules inside, and then in the module itself."""

    def __init__(self, inner):
        super().__init__()
        self.latents, self.inner = nn.Parameter(torch.randn(1, N, C)), inner
        self.norm, self.q, self.kv = Norm(), nn.Linear(C, C), nn.Linear(C, 2 * C)

    def forward(self, x):
        latents = self.latents.expand(len(x), -1, -1)
        if isinstance(self.inner, nn.MultiheadAttention):
            latents = latents + self.inner(latents, self.norm(x), self.norm(x), need_weights=False)[0]
        else:
            latents = latents + self.inner(latents, self.norm(x))
        q, k, v = (t[:, None] for t in (self.q(self.norm(latents)), *self.kv(self.norm(x)).chunk(2, -1)))
        return F.scaled_dot_product_attention(q, k, v)[:, 0]


@pytest.mark.parametrize("inner", [lambda: nn.MultiheadAttention(C, 2, batch_first=True), lambda: Attend(C, 2)])
def test_latents_that_have_attended_before(inner):
    with watch(model := Perceiver(inner())) as trace:
        model(torch.randn(2, N, C))
    assert [call.kind for call in trace] == ["cross", "cross"]
