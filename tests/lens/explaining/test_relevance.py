"""Gradient-weighted relevance against the products of whole maps whose gradients autograd takes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from saccade.errors import CheckpointError, SaccadeError
from saccade.lens import Call, Trace, legrad, watch
from saccade.lens.trace.gradients import Gradient

from ..models import Attend, Stack, ours
from ..trace.test_call import MASKS, Largest, make_mask


def maps(q, k, v, attn_mask=None, is_causal=False, scale=None, kept=None, **_):
    """Attention by its definition; its map goes to `kept` and keeps its gradient."""
    repeat = q.shape[1] // k.shape[1]
    scores = q @ k.repeat_interleave(repeat, 1).mT * (scale or q.shape[-1] ** -0.5)
    if is_causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:]).tril().bool(), -torch.inf)
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if masked else scores + attn_mask
    a = scores.softmax(-1).nan_to_num(0.0)
    if a.requires_grad:
        a.retain_grad()
    kept.append(a)
    return a @ v.repeat_interleave(repeat, 1)


def weighted(a):
    return (a.grad * a).clamp(min=0).mean(dim=1).detach()  # eq. 5


class Double(Stack):
    """A residual stack in float64 with a classifier of token 0, whose blocks attend by `how`."""

    def __init__(self, **blocks):
        super().__init__(**blocks)
        self.head = nn.Linear(14, 3)
        self.double()

    def forward(self, x, context=None):
        return self.head(super().forward(x, context)[:, 0])


def both(model, *inputs, classes=1, **options):
    """The trace of a fused run after a backward pass, and the maps of the same run by definition, in order."""
    kept: list[torch.Tensor] = []
    plain = [m for m in model.modules() if isinstance(m, Attend)]
    with watch(model, gradients=True) as trace:
        model(*inputs)[:, classes].sum().backward()
    hows = [m.how for m in plain]
    for m in plain:
        m.how = lambda q, k, v, how=m.how, **o: how(q, k, v, **o, definition=kept)
    model(*inputs)[:, classes].sum().backward()
    for m, how in zip(plain, hows, strict=True):
        m.how = how
    return trace, kept


def fused(q, k, v, definition=None, **options):
    if definition is not None:
        return maps(q, k, v, kept=definition, **options)
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=q.shape[1] != k.shape[1], **options)


def grouped(q, k, v, **options):
    return fused(q, k[:, :1], v[:, :1], **options)


@pytest.mark.parametrize("token", [0, 3, "weighted"])
@pytest.mark.parametrize(
    "options", [{}, {"is_causal": True}, {"scale": 0.7}, {"attn_mask": True}, {"attn_mask": False}]
)
@pytest.mark.parametrize("how", [fused, grouped])
def test_self_attention_against_whole_maps(how, options, token):
    if "attn_mask" in options:
        mask = torch.rand(7, 7) > 0.3
        mask[:, 0] = True
        options = {"attn_mask": mask if options["attn_mask"] else torch.randn(7, 7).double()}
    model = Double(a=Attend(how=how, **options), b=Attend(how=how, **options), c=Attend(how=how, **options))
    trace, kept = both(model, torch.randn(2, 7, 14).double())
    r = torch.eye(7).double()
    for a in kept:
        r = r + weighted(a) @ r  # eq. 6
    weighting = torch.rand(7) if token == "weighted" else torch.eye(7)[token]
    got = trace.relevance(weighting if token == "weighted" else token)
    torch.testing.assert_close(got, weighting.double() / weighting.sum() @ r, rtol=1e-7, atol=1e-12)
    assert (got - torch.eye(7).double()[0]).abs().max() > 1e-4 or token == 3  # there is something to compare
    for call, a in zip(trace, kept, strict=True):
        torch.testing.assert_close(legrad(call), a.grad.clamp(min=0).mean(dim=(1, 2)), rtol=1e-7, atol=1e-12)


class Detects(nn.Module):
    """An encoder, and a decoder whose layers attend to themselves and then to what was encoded."""

    def __init__(self, how, encode=2, decode=3):
        super().__init__()
        self.encoder = nn.ModuleList(Attend(how=how) for _ in range(encode))
        self.own = nn.ModuleList(Attend(how=how) for _ in range(decode))
        self.cross = nn.ModuleList(Attend(how=how) for _ in range(decode))
        self.head = nn.Linear(14, 3)
        self.double()

    def forward(self, x, queries):
        for block in self.encoder:
            x = x + block(x)
        for own, cross in zip(self.own, self.cross, strict=True):
            queries = queries + own(queries)
            queries = queries + cross(queries, x)
        return self.head(queries[:, 2])


def normalised(r):
    """Eq. 8 and 9."""
    rest = r - torch.eye(r.shape[-1])
    sums = rest.sum(-1, keepdim=True)
    return torch.where(sums > 1e-300, rest / sums, 0.0) + torch.eye(r.shape[-1])


@pytest.mark.parametrize("token", [2, 0])
@pytest.mark.parametrize("encode", [0, 2])
def test_encoder_and_decoder_against_whole_maps(encode, token):
    model = Detects(fused, encode)
    trace, kept = both(model, torch.randn(2, 11, 14).double(), torch.randn(2, 5, 14).double())
    image, query, across = torch.eye(11).double(), torch.eye(5).double(), torch.zeros(2, 5, 11).double()
    image, query = image.expand(2, -1, -1), query.expand(2, -1, -1)
    for a in kept[:encode]:
        image = image + weighted(a) @ image  # eq. 6
    for own, cross in zip(kept[encode::2], kept[encode + 1 :: 2], strict=True):
        across = across + weighted(own) @ across  # eq. 7
        query = query + weighted(own) @ query
        across = across + normalised(query).mT @ weighted(cross) @ normalised(image)  # eq. 10
    assert across[:, 2].min() > 0
    torch.testing.assert_close(trace.relevance(token), across[:, token], rtol=1e-7, atol=1e-12)


@given(
    kind=st.sampled_from(MASKS), causal=st.booleans(), shape=st.tuples(*[st.sampled_from([1, 2, 3, 5, 7])] * 4),
    groups=st.sampled_from([1, 2]), dtype=st.sampled_from([torch.float32, torch.float64]),
    scale=st.sampled_from([None, 0.3, 1.7]), seed=st.integers(0, 1000),
)  # fmt: skip
def test_one_call_of_any_kind(kind, causal, shape, groups, dtype, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    b, n, width, values = shape
    q, k, v, out = (
        torch.randn(*each, generator=generator).to(dtype)
        for each in ((b, 4, n, width), (b, groups, n, width), (b, groups, n, values), (b, 4, n, values))
    )
    mask = make_mask(kind, b, n, n, dtype, generator)
    call = Call("a", "self", q, k, v, None, mask, scale, causal)
    call.gradient = Gradient.of(out)
    kept: list[torch.Tensor] = []
    double = None if mask is None else mask if mask.dtype == torch.bool else mask.double()
    q.requires_grad_()
    mixed = maps(*(t.double() for t in (q, k, v)), double, causal, scale, kept)
    mixed.backward(out.double())
    expected = torch.eye(n) + weighted(kept[0])
    for token in range(n):
        torch.testing.assert_close(Trace([call]).relevance(token).double(), expected[:, token], atol=1e-4, rtol=1e-4)
    expected = kept[0].grad.clamp(min=0).mean(dim=(1, 2))
    torch.testing.assert_close(legrad(call).double(), expected, atol=1e-4, rtol=1e-4)


def test_gradients_change_nothing_and_are_those_of_the_output():
    model, x = Stack(a=Attend(), b=ours()), torch.randn(2, 5, 14)
    plain = model(x)
    with watch(model, gradients=True) as trace:
        out = model(x)
        assert torch.equal(out, plain)
        out.square().sum().backward()
    grads = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model(x).square().sum().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, model.parameters(), strict=True))
    # The last block adds to its input, so the gradient of its output is that of the sum: 2 out.
    last = (2 * plain).unflatten(-1, (2, 7)).transpose(1, 2)
    torch.testing.assert_close(trace[1].gradient.value("b"), last)
    assert trace[0].v is not None


def test_torch_s_own_layers():
    """Their fused call is found behind the module around it."""
    layer = nn.TransformerEncoderLayer(14, 2, 11, batch_first=True, dropout=0.0)
    model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 5, 14)
    with watch(model, gradients=True) as trace:
        model(x)[:, 0, 3].sum().backward()
    assert len(trace) == 2

    kept: list[torch.Tensor] = []
    fused_call, F.scaled_dot_product_attention = (
        F.scaled_dot_product_attention,
        lambda *a, **o: maps(*a, **o, kept=kept),
    )
    try:
        model(x)[:, 0, 3].sum().backward()
    finally:
        F.scaled_dot_product_attention = fused_call
    r = torch.eye(5)
    for a in kept:
        r = r + weighted(a) @ r
    torch.testing.assert_close(trace.relevance(), r[:, 0])


def test_functional_multi_head_attention():
    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(14, 2)

        def forward(self, x):
            m = self.inner
            weights = (m.in_proj_weight, m.in_proj_bias, None, None, False, 0.0, m.out_proj.weight, m.out_proj.bias)
            return F.multi_head_attention_forward(x, x, x, 14, 2, *weights, need_weights=False)[0]

    with watch(model := Direct(), gradients=True) as trace:
        model(torch.randn(5, 2, 14))[0].sum().backward()
    assert trace.relevance().shape == (2, 5)


@pytest.mark.parametrize("how", ["three", "five"])
def test_other_numbers_of_axes(how):
    def folded(q, k, v):
        if how == "three":
            out = [F.scaled_dot_product_attention(*(t[:, i] for t in (q, k, v))) for i in range(2)]
            return torch.stack(out, dim=1)
        return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]

    model, x = Stack(a=Attend(how=folded)), torch.randn(2, 5, 14)
    with watch(model, gradients=True) as trace:
        model(x)[:, 0].sum().backward()
    for call in trace:
        assert call.gradient.value("a").shape == (*call.shape[:3], 7)
        assert Trace([call]).relevance().shape == (2, 5)


def test_no_tensor_of_n_times_n():
    calls = []
    for _ in range(2):
        q, k, v, out = (torch.randn(1, 3, 521, 5) for _ in range(4))
        calls.append(Call("a", "self", q, k, v))
        calls[-1].gradient = Gradient.of(out)
    with Largest() as largest:
        Trace(calls).relevance()
        legrad(calls[0])
    assert largest.elements < 3 * 521 * 521 / 4


def test_save_and_load_keep_gradients(tmp_path):
    model = Stack(a=Attend(), b=ours())
    with watch(model, gradients=True) as trace:
        model(torch.randn(2, 5, 14))[:, 0].sum().backward()
    trace.save(tmp_path / "a.safetensors")
    assert torch.equal(Trace.load(tmp_path / "a.safetensors").relevance(), trace.relevance())
    trace[0].gradient = Gradient.of(torch.zeros(2, 2, 5, 3))
    trace.save(tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="do not fit together"):
        Trace.load(tmp_path / "b.safetensors")


def run(model, x, backward=lambda out: out.sum().backward(), **options):
    with watch(model, **options) as trace:
        out = model(x)
        backward(out)
    return trace


def test_what_has_no_gradient_is_said():
    x = torch.randn(2, 5, 14)
    model = Stack(a=Attend(), b=Attend())
    with pytest.raises(SaccadeError, match=r"'blocks.b' was kept without its values and gradients: watch with"):
        run(model, x, values=True).relevance()
    with pytest.raises(SaccadeError, match=r"no backward pass reached 'blocks.b'"):
        run(model, x, lambda out: None, gradients=True).relevance()
    with pytest.raises(SaccadeError, match=r"2 backward passes reached 'blocks.b'"):
        run(model, x, lambda out: [out.sum().backward(retain_graph=True) for _ in "ab"], gradients=True).relevance()
    with pytest.raises(SaccadeError, match=r"it ran without gradients \(torch.no_grad"), torch.no_grad():
        run(model, x, lambda out: None, gradients=True).relevance()
    with pytest.raises(SaccadeError, match=r"dropout changed its weights .* model.eval\(\)"):
        run(Stack(a=Attend(dropout_p=0.3)), x, gradients=True).relevance()
    with pytest.raises(SaccadeError, match="one forward pass; the trace holds 2"):
        run(model, x, lambda out: model(x).sum().backward(), gradients=True).relevance()
    with pytest.raises(SaccadeError, match="relevance of token 5: there are 5"):
        run(model, x, gradients=True).relevance(5)


def test_encoders_and_decoders_that_cannot_be_told_apart():
    def call(kind, n, m, run=0):
        return Call("a", kind, torch.randn(2, 1, n, 3), torch.randn(2, 1, m, 3), run=run)

    for calls, said in (
        ([call("self", 5, 5), call("cross", 5, 5)], "which self-attention is whose is unknown"),
        ([call("self", 3, 3), call("cross", 5, 7)], r"neither of the 5 targets nor of the 7 sources"),
        ([call("cross", 5, 7), call("cross", 5, 3)], r"of one size; found 5 targets and 3 sources \(batch 2\), 5 ta"),
        ([call("cross", 5, 7), call("cross", 5, 7, run=1)], "one forward pass"),
        ([call("joint", 5, 5)], "is neither: leave it out first"),
    ):
        with pytest.raises(SaccadeError, match=said):
            Trace(calls).relevance()


def test_a_token_of_each_picture():
    model = Stack(first=Attend(), second=Attend())
    x = torch.randn(3, 5, 14, requires_grad=True)
    with watch(model, gradients=True) as trace:
        model(x, None)[torch.arange(3), [0, 4, 2]].sum().backward()
    places = torch.tensor([0, 4, 2])
    for view in (trace.relevance, trace.rollout):
        expected = torch.stack([view(token=int(place))[i] for i, place in enumerate(places)])
        torch.testing.assert_close(view(token=places), expected)
        torch.testing.assert_close(view(token=F.one_hot(places, 5).float()), expected)
    with pytest.raises(SaccadeError, match="expected"):
        trace.rollout(token=torch.ones(2, 5))
