"""Attention written as separate operations is recorded as what it is, whatever it is spelled with."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from saccade.lens import watch

from ..models import Attend, Stack

B, H, N, C = 3, 2, 5, 7
ALLOWED = torch.rand(B, 1, N, N, generator=torch.Generator().manual_seed(1)) > 0.4
ALLOWED[..., 0] = True
EMPTY = ALLOWED.clone()
EMPTY[1, :, 2] = False  # a target that may attend to nothing
BIAS = torch.randn(H, N, N, generator=torch.Generator().manual_seed(2))
PER_HEAD = torch.tensor([0.3, 1.7]).reshape(H, 1, 1)
LOWEST = torch.finfo(torch.float32).min


class Written(Attend):
    """Attention whose weights are written as scores(q, k), softmax, and a product. It keeps the weights it used."""

    def __init__(self, scores=None, soft=None, mix=None):
        super().__init__(H * C, H, how=self.write)
        self.scores, self.soft, self.mix = scores or plain, soft or softmax, mix or torch.matmul

    def write(self, q, k, v):
        s = self.scores(q, k)
        w = self.soft(s)
        self.weights = w.detach().clone()
        return self.mix(w, v)


def plain(q, k):
    return q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5


def softmax(s):
    return s.softmax(dim=-1)


def bmm(q, k, joined=torch.bmm):
    b, h, n, c = q.shape
    q, k = q.reshape(b * h, n, c), k.contiguous().view(b * h, -1, c)
    return joined(q, k.transpose(1, 2)).view(b, h, n, -1)


def inplace(q, k):
    s = q @ k.mT
    s *= 0.4
    s += BIAS
    s.masked_fill_(~ALLOWED, -math.inf)
    return s.div_(1.3)


def window_mask(q, k):
    s = plain(q, k) + BIAS
    s = s.view(1, B, H, N, N) + torch.where(ALLOWED, 0.0, -100.0)[None]
    return s.view(-1, H, N, N)


def decomposed(q, k):
    """A relative position in two parts, as SAM adds it: N + 1 sources as a grid of 2 x 3."""
    k = torch.cat([k, k[:, :, :1]], dim=2)
    rows, columns = q @ torch.ones(C, 2), q @ torch.linspace(0, 1, 3 * C).view(C, 3)
    s = (q @ k.mT).view(B * H, N, 2, 3) + rows.reshape(B * H, N, 2, 1) + columns.reshape(B * H, N, 1, 3)
    return s.view(B, H, N, 6)


def repeated(w, v):
    return w @ torch.cat([v, v[:, :, :1]], dim=2)


def from_einsum(equation):
    return lambda q, k: torch.einsum(equation, q, k) / C**0.5


SCORES = {
    "matmul": plain,
    "function": lambda q, k: torch.matmul(q * C**-0.5, k.permute(0, 1, 3, 2)),
    "bmm": bmm,
    "baddbmm": lambda q, k: bmm(q, k, lambda a, b: torch.baddbmm(torch.ones(1, N, N), a, b, beta=0, alpha=0.3)),
    "baddbmm with a bias": lambda q, k: bmm(q, k, lambda a, b: torch.baddbmm(BIAS.repeat(B, 1, 1), a, b, alpha=0.3)),
    "einsum": from_einsum("bhid,bhjd->bhij"),
    "einsum of other names": from_einsum("b h n c, b h m c -> b h n m"),
    "einsum with dots": lambda q, k: torch.einsum("...id,...jd->...ij", [q, k]),
    "einsum the other way": lambda q, k: torch.einsum("bhjd,bhid->bhij", k, q).mul(0.5),
    "einsum that transposes": lambda q, k: torch.einsum("bhid,bhjd->bijh", q, k).permute(0, 3, 1, 2) * 0.5,
    "numbers before": lambda q, k: 0.3 * (q @ k.mT),
    "divided": lambda q, k: (q @ k.mT) / math.sqrt(C),
    "a scale for each head": lambda q, k: F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * PER_HEAD.exp(),
    "a temperature": lambda q, k: q @ k.mT / torch.tensor(2.3),
    "a scale for each source": lambda q, k: q @ k.mT * torch.linspace(0.2, 1, N),
    "a bias": lambda q, k: plain(q, k) + BIAS.unsqueeze(0),
    "two biases": lambda q, k: BIAS + (plain(q, k) + torch.where(ALLOWED, 0.0, -100.0)) * 0.7,
    "a boolean mask": lambda q, k: plain(q, k).masked_fill(~ALLOWED, -math.inf),
    "a lowest number": lambda q, k: plain(q, k).masked_fill(~EMPTY, LOWEST),
    "a low number over whole rows": lambda q, k: plain(q, k).masked_fill(~EMPTY, -2e3),
    "a mask that is added": lambda q, k: plain(q, k) + torch.where(EMPTY, 0.0, LOWEST),
    "where": lambda q, k: torch.where(ALLOWED, plain(q, k), torch.full([], LOWEST)),
    "where the other way": lambda q, k: torch.where(~ALLOWED, torch.full((B, H, N, N), -1e9), plain(q, k)),
    "the best only": lambda q, k: (s := plain(q, k)).masked_fill(s < s.topk(2).values[..., -1:], -math.inf),
    "in place": inplace,
    "windows": window_mask,
    "less its largest": lambda q, k: (s := plain(q, k)) - s.amax(-1, keepdim=True),
    "a clamp that does nothing": lambda q, k: plain(q, k).clamp(-50000, 50000),
    "merged and split": lambda q, k: plain(q, k).flatten(0, 1)[None].float().contiguous().reshape(B, H, N, N),
    "half": lambda q, k: plain(q.double(), k.double()).float(),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", SCORES)
def test_every_way_to_write_scores(name, inference):
    check(Written(SCORES[name]), inference=inference)


SOFT = {
    "function": lambda s: F.softmax(s, -1),
    "torch": lambda s: torch.softmax(s, dim=3, dtype=torch.float64).to(s.dtype),
    "module": nn.Softmax(dim=-1),
    "dropout": lambda s: F.dropout(s.softmax(-1), 0.0),
    "views": lambda s: s.softmax(-1).reshape(B * H, N, N)[:, None].squeeze(1).view(B, H, N, N),
    "after a view": lambda s: s.view(B * H, N, N).softmax(-1).view(B, H, N, N),
    "the other way": lambda s: s.mT.softmax(-2).mT,
    "where not a number": lambda s: s.softmax(-1).nan_to_num(),
}


@pytest.mark.parametrize("name", SOFT)
def test_every_way_to_write_the_softmax(name):
    check(Written(soft=SOFT[name]))


MIX = {
    "bmm": lambda w, v: torch.bmm(w.reshape(B * H, N, N), v.reshape(B * H, N, C)).view(B, H, N, C),
    "einsum": lambda w, v: torch.einsum("bhij,bhjd->bhid", w, v),
    "einsum of tokens first": lambda w, v: torch.einsum("bhij,bjhd->bhid", w, v.transpose(1, 2)),
    "einsum of swapped weights": lambda w, v: torch.einsum("bijh,bhjd->bhid", w.permute(0, 2, 3, 1), v),
    "channels first": lambda w, v: (v.mT @ w.mT).mT,
    "twice": lambda w, v: w @ v + w @ v.abs(),
}


@pytest.mark.parametrize("name", MIX)
def test_every_way_to_mix_values(name):
    check(Written(mix=MIX[name]))


def test_a_decomposed_position_bias():
    check(Written(decomposed, mix=repeated))


def check(model, inference=False, note=""):
    """The one call of the model has its weights and values, and the output is that of the unwatched model."""
    x = torch.randn(B, N, H * C)
    with torch.inference_mode(inference):
        expected = model(x)
        with watch(model, values=True) as trace:
            assert torch.equal(model(x), expected)
    assert not trace.missed
    (call,) = trace
    assert call.name == type(model).__name__
    assert call.kind == "self" or call.shape[2] != call.shape[3]
    assert note in call.note if note else not call.note
    torch.testing.assert_close(call.weights().float(), model.weights.nan_to_num(), atol=1e-5, rtol=0)
    assert call.v.shape[:3] == call.k.shape[:3]
    if model.mix is torch.matmul:
        mixed = call.weights().float() @ call.v
        torch.testing.assert_close(mixed.transpose(1, 2).flatten(2), expected.nan_to_num(), atol=1e-5, rtol=0)


MIXED = torch.tensor([[0.7, 0.4], [-0.2, 1.1]])
KEPT = {
    "clamp": (lambda q, k: (3 * plain(q, k)).clamp(max=0.5), "q and k as|clamp"),
    "soft cap": (lambda q, k: 2 * torch.tanh(plain(q, k) / 2), "tanh"),
    "talking heads": (lambda q, k: torch.einsum("bhij,hg->bgij", plain(q, k), MIXED), "einsum"),
    "talking heads by a layer": (lambda q, k: layered(plain(q, k)), "linear"),
    "a convolution": (lambda q, k: F.conv2d(plain(q, k), MIXED[..., None, None]), "conv2d"),
    "a square": (lambda q, k: plain(q, k) ** 2, "pow"),
    "a factor for each pair": (lambda q, k: plain(q, k) * BIAS, "depends on target and source"),
    "ordinary numbers filled in": (lambda q, k: plain(q, k).masked_fill(~ALLOWED, 0.3), "replaced"),
    "more over rows that are masked": (lambda q, k: plain(q, k).masked_fill(~EMPTY, -2e3) + BIAS, "do not give"),
    "assignment": (lambda q, k: assigned(plain(q, k)), "written into"),
    "writing into a view": (lambda q, k: written(plain(q, k)), "written into"),
    "writing into q": (lambda q, k: used(q.clone(), k), "written into"),
    "dropped keys": (lambda q, k: F.dropout(plain(q, k), 0.3), "dropout"),
}


def layered(s):
    return F.linear(s.permute(0, 2, 3, 1), MIXED).permute(0, 3, 1, 2)


def assigned(s):
    s[:, :, 1] = 0.0
    return s


def written(s):
    s.view(B * H, N, N)[2].mul_(2.0)
    return s


def used(q, k):
    s = torch.matmul(q, k.mT)
    q.zero_()
    return s


@pytest.mark.parametrize("name", KEPT)
def test_what_is_no_plain_product_is_kept_as_its_scores(name):
    scores, why = KEPT[name]
    if name == "dropped keys":
        torch.manual_seed(3)
    model, x = Written(scores), torch.randn(B, N, H * C)
    with torch.no_grad():
        torch.manual_seed(4)
        expected = model(x)
        torch.manual_seed(4)
        with watch(model, values=True) as trace:
            assert torch.equal(model(x), expected)
    (call,) = trace
    assert "kept as its scores, 5 x 5" in call.note
    assert any(word in call.note for word in why.split("|"))
    assert not call.q.any()
    torch.testing.assert_close(call.weights(), model.weights, atol=1e-6, rtol=0)
    torch.testing.assert_close((call.weights() @ call.v).transpose(1, 2).flatten(2), expected, atol=1e-5, rtol=0)


CHANGED = {
    "gate": lambda s: s.softmax(-1) * PER_HEAD,
    "renormalised": lambda s: (w := s.softmax(-1).sqrt()) / w.sum(-1, keepdim=True),
    "talking heads": lambda s: torch.einsum("bhij,hg->bgij", s.softmax(-1), MIXED),
    "a convolution": lambda s: F.conv2d(s.softmax(-1), MIXED[..., None, None]),
}


@pytest.mark.parametrize("name", CHANGED)
def test_weights_that_are_changed_after_the_softmax_are_noted(name):
    model, x = Written(soft=CHANGED[name]), torch.randn(B, N, H * C)
    with watch(model) as trace:
        model(x)
    (call,) = trace
    assert "weights before" in call.note
    torch.testing.assert_close(call.weights(), (call.q @ call.k.mT * call.scale).softmax(-1))


SINK = torch.randn(H, 1, 1, generator=torch.Generator().manual_seed(3))


def sinks(s, joined=torch.cat, steady=False):
    """A score a head that takes weight and gives nothing."""
    s = joined([s, SINK.expand(B, H, N, 1)], dim=-1)
    s = s - s.max(-1, keepdim=True).values if steady else s
    return s.softmax(-1)[..., :-1]


@pytest.mark.parametrize("joined", [torch.cat, torch.concat])
@pytest.mark.parametrize("steady", [False, True])
def test_attention_sinks_are_a_source_more(joined, steady):
    model, x = Written(soft=lambda s: sinks(s, joined, steady)), torch.randn(B, N, H * C)
    expected = model(x)
    with watch(model) as trace:
        assert torch.equal(model(x), expected)
    (call,) = trace
    assert not trace.missed
    assert call.shape == (B, H, N, N + 1)
    assert "1 of its 6 sources" in call.note
    assert "a choice of its sources" in call.note
    assert not call.k[:, :, -1].any()
    assert call.k[:, :, :-1].any()
    weights = call.weights()
    torch.testing.assert_close(weights[..., :-1], model.weights, atol=1e-6, rtol=0)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, N))


@pytest.mark.parametrize(("pad", "options"), [((0, 1), {}), ((2, 1), {"value": -0.5}), ((2, 1, 0, 0), {})])
def test_scores_that_are_padded_have_sources_more(pad, options):  # by 0: softmax off by one
    model = Written(soft=lambda s: F.pad(s, pad, **options).softmax(-1)[..., pad[0] : pad[0] + N])
    x = torch.randn(B, N, H * C)
    with watch(model) as trace:
        model(x)
    (call,) = trace
    assert not trace.missed
    assert call.shape == (B, H, N, N + sum(pad))
    assert f"{sum(pad)} of its {N + sum(pad)} sources" in call.note
    weights = call.weights()
    torch.testing.assert_close(weights[..., pad[0] : pad[0] + N], model.weights, atol=1e-6, rtol=0)
    assert bool((weights.sum(-1) - 1 < 1e-6).all())


def test_queries_put_together_of_a_product_and_another_part_are_queries():
    turn, places = torch.randn(B, C, C), torch.randn(B, N, 2)  # of each picture its own

    class Placed(nn.Module):
        def forward(self, x):
            q = torch.cat([x @ turn, places], dim=-1)
            return (q @ q.mT).softmax(-1) @ x

    model, x = Placed(), torch.randn(B, N, C)
    with watch(model) as trace:
        model(x)
    (call,) = trace
    assert not call.note
    assert call.q.shape[-1] == C + 2


MISSED = {
    "over targets": ({"soft": lambda s: s.softmax(-2)}, "another axis"),
    "slots": ({"soft": lambda s: (w := s.softmax(-2) + 1e-8) / w.sum(-1, keepdim=True)}, "another axis"),
    "over heads": ({"soft": lambda s: s.softmax(1)}, "not that of the sources"),
    "of no product": ({"scores": lambda q, k: F.linear(q, torch.ones(N, C))}, "not followed from a product"),
    "linear attention": ({"scores": lambda q, k: q, "mix": lambda w, v: w @ (v.mT @ v)}, "not followed"),
}


@pytest.mark.parametrize("name", MISSED)
def test_what_cannot_be_kept_is_named(name):
    how, why = MISSED[name]
    model = Stack(a=Written(**how))
    with watch(model) as trace:
        model(torch.randn(B, N, H * C))
    assert len(trace) == 0
    assert list(trace.missed) == ["blocks.a"]
    assert why in trace.missed["blocks.a"]


def test_softmaxes_that_mix_no_values_are_not_recorded():
    class Classifier(nn.Module):
        def forward(self, x):
            logits = x @ x.mT
            return logits.softmax(-1).argmax(-1), (logits.softmax(-1) * x.sum()).mean(), x[0].softmax(-1) @ x[0].mT

    model = Classifier()
    with watch(model) as trace:
        model(torch.randn(B, N, C))
    assert len(trace) == 0
    assert not trace.missed


OPERATIONS = {
    "scale": lambda s: s * 0.7,
    "divide": lambda s: s / 1.3,
    "by head": lambda s: s * PER_HEAD,
    "bias": lambda s: s + BIAS,
    "minus": lambda s: s - BIAS[:1],
    "fill": lambda s: s.masked_fill(~ALLOWED, -math.inf),
    "lowest": lambda s: s.masked_fill(~EMPTY, LOWEST),
    "low": lambda s: s.masked_fill(~EMPTY, -1e4),
    "zero": lambda s: s.masked_fill(~ALLOWED, 0.0),
    "add in place": lambda s: s.add_(BIAS),
    "fill in place": lambda s: s.masked_fill_(~ALLOWED, -1e9),
    "view in place": lambda s: ((s := s.contiguous().clone()).view(B, H * N, N)[:, 3:5].add_(1.0), s)[1],
    "assign": lambda s: assigned(s),
    "tanh": lambda s: s.tanh(),
    "clamp": lambda s: s.clamp(-1, 1),
    "reshape": lambda s: s.reshape(B * H, N, N).unsqueeze(0).view(B, H, N, N),
    "transpose": lambda s: s.transpose(-1, -2),
    "swap heads": lambda s: s.transpose(0, 1).contiguous().transpose(0, 1),
    "flip heads": lambda s: s.flip(1),
    "roll": lambda s: s.roll(1, dims=-1),
    "sort": lambda s: s.sort(dim=-1).values,
    "mix": lambda s: torch.einsum("bhij,hg->bgij", s, MIXED),
    "cast": lambda s: s.double().float(),
    "copy": lambda s: s.clone(),
    "less": lambda s: s - s.mean(),
    "pair": lambda s: s * BIAS.abs(),
    "self": lambda s: s + s.roll(1, 0),
}


@given(
    chain=st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=6), inference=st.booleans(),
    after=st.sampled_from(["nothing", "reshape", "cast", "copy"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_no_chain_of_operations_is_recorded_wrongly(chain, inference, after, seed):
    def scores(q, k):
        s = q @ k.mT
        for name in chain:
            s = OPERATIONS[name](s.clone() if "in place" in name or name == "assign" else s)
        return s

    torch.manual_seed(seed)
    softened = []

    def soft(s):
        softened.append(s.softmax(-1))
        return OPERATIONS[after](softened[-1]) if after != "nothing" else softened[-1]

    model, x = Written(scores, soft), torch.randn(B, N, H * C)
    with torch.inference_mode(inference):
        expected = model(x)
        with watch(model) as trace:
            assert torch.equal(model(x).nan_to_num(), expected.nan_to_num())
    (call,) = trace
    expected = softened[0].detach().nan_to_num()
    torch.testing.assert_close(call.weights().float().nan_to_num(), expected, atol=2e-5, rtol=0)
    followed = {"scale", "divide", "by head", "bias", "minus", "fill", "reshape", "swap heads", "cast", "copy", "less"}
    assert call.note == "" or not set(chain) <= followed


@pytest.mark.parametrize("write", [lambda w: w[:, 1].zero_(), lambda w: w.diagonal(dim1=-2, dim2=-1).zero_()])
def test_weights_that_are_written_into_through_a_view(write):
    def attention(q, k, v):
        weights = torch.softmax(q @ k.mT, -1)
        write(weights)
        return weights @ v

    with torch.no_grad(), watch(model := Stack(a=Attend(how=attention))) as trace:
        model(torch.randn(2, 5, 14))
    assert "weights before a write into them" in trace[0].note


def test_a_softmax_into_its_own_scores_is_named():
    def attention(q, k, v):
        scores = q @ k.mT
        return torch.softmax(scores, -1, out=scores) @ v

    with torch.no_grad(), watch(model := Stack(a=Attend(how=attention))) as trace:
        model(torch.randn(2, 5, 14))
    assert not len(trace)
    assert "written into another tensor" in trace.missed["blocks.a"]
