"""Differential attention and gates: every softmax is recorded as it was, and a note says what the model does then."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import watch
from saccade.lens.recognising.outputs import GATED, SUBTRACTED

B, H, N, C = 2, 3, 5, 4
SDPA = F.scaled_dot_product_attention


class Differential(nn.Module):
    """Ye et al. 2024, "Differential transformer", section 2.1: 2 H maps, of which H are subtracted from the others. It
    keeps the maps that it made, (2 H) heads, of which two neighbours belong together."""

    def __init__(self, mix):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(2 * H * C, 2 * H * C) for _ in range(4))
        self.factor, self.mix = nn.Parameter(torch.tensor(0.4)), mix

    def forward(self, x):
        q, k = (layer(x).unflatten(-1, (2 * H, C)).transpose(1, 2) for layer in (self.q, self.k))
        v = self.v(x).unflatten(-1, (H, 2 * C)).transpose(1, 2)
        self.maps = (q @ k.mT * C**-0.5).softmax(-1).detach()
        return self.o(self.mix(q, k, v, self.factor).transpose(1, 2).flatten(2))


def soft(q, k):
    return torch.softmax(q * C**-0.5 @ k.mT, dim=-1)


def of_one_softmax(q, k, v, factor):
    w = soft(q, k).view(B, H, 2, N, N)
    return (w[:, :, 0] - factor * w[:, :, 1]) @ v


def unbound(q, k, v, factor):
    one, two = soft(q, k).view(B, H, 2, N, N).unbind(2)
    return torch.einsum("bhij,bhjc->bhic", torch.sub(one, two, alpha=0.4), v)


def chunked(q, k, v, factor):
    one, two = torch.cat([soft(q, k)[:, 0::2], soft(q, k)[:, 1::2]], dim=1).chunk(2, dim=1)
    return torch.matmul(one - factor * two, v)


def of_two(q, k, v, factor):
    return (soft(q[:, 0::2], k[:, 0::2]) - factor * soft(q[:, 1::2], k[:, 1::2])) @ v


def outputs_of_two(q, k, v, factor):
    return soft(q[:, 0::2], k[:, 0::2]) @ v - factor * (soft(q[:, 1::2], k[:, 1::2]) @ v)


def fused(q, k, v, factor):
    return SDPA(q[:, 0::2], k[:, 0::2], v) - factor * SDPA(q[:, 1::2], k[:, 1::2], v)


def halves_of_one_call(q, k, v, factor):
    one, two = SDPA(q, k, v.repeat_interleave(2, dim=1)).view(B, H, 2, N, 2 * C).unbind(2)
    return one - factor * two


MIXES = {
    "one softmax": (of_one_softmax, 1, "weights before sub"),
    "one softmax, unbound": (unbound, 1, "weights before sub"),
    "one softmax, chunked": (chunked, 2, "weights before"),
    "two softmaxes": (of_two, 2, "weights before sub"),
    "two outputs": (outputs_of_two, 2, SUBTRACTED),
    "two fused calls": (fused, 2, SUBTRACTED),
    "halves of a fused call": (halves_of_one_call, 1, SUBTRACTED),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", MIXES)
def test_differential_attention(name, inference):
    mix, calls, note = MIXES[name]
    model, x = Differential(mix), torch.randn(B, N, 2 * H * C)
    with torch.inference_mode(inference):
        expected = model(x)
        with watch(model, values=True) as trace:
            assert torch.equal(model(x), expected)
        assert len(trace) == calls
        assert not trace.missed
        maps = [model.maps] * calls if trace[0].shape[1] == 2 * H else [model.maps[:, 0::2], model.maps[:, 1::2]]
        expected = sorted(maps, key=lambda w: float(w[0, 0, 0, 0]))
        found = sorted((call.weights() for call in trace), key=lambda w: float(w[0, 0, 0, 0]))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)
        assert all(note in call.note for call in trace)


class Gated(nn.Module):
    """Attention, what is done to its output, and a projection."""

    def __init__(self, how, after):
        super().__init__()
        self.q, self.k, self.v, self.g, self.o = (nn.Linear(H * C, H * C) for _ in range(5))
        self.how, self.after = how, after

    def forward(self, x):
        q, k, v = (layer(x).unflatten(-1, (H, C)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        out = self.how(q, k, v)
        return self.o(self.after(out, self.g(x)))


GATES = {
    "tokens": lambda out, g: out.transpose(1, 2).flatten(2).contiguous() * torch.sigmoid(g),
    "heads": lambda out, g: (out * g[..., :H].sigmoid().transpose(1, 2)[..., None]).transpose(1, 2).flatten(2),
    "in place": lambda out, g: out.transpose(1, 2).reshape(B, N, H * C).mul_(F.silu(g)),
}
PLAIN = {
    "nothing": lambda out, g: out.transpose(1, 2).flatten(2),
    "a number": lambda out, g: 0.5 * out.transpose(1, 2).flatten(2) / 2.0,
    "a residual": lambda out, g: out.transpose(1, 2).flatten(2) + g,
    "an input less": lambda out, g: out.transpose(1, 2).flatten(2) - g,
    "a gate of the sum": lambda out, g: (out.transpose(1, 2).flatten(2) + g) * g,
}


@pytest.mark.parametrize("how", [SDPA, lambda q, k, v: (q @ k.mT).softmax(-1) @ v])
@pytest.mark.parametrize(
    ("after", "note"), [*((gate, GATED) for gate in GATES.values()), *((plain, "") for plain in PLAIN.values())]
)
def test_gates_behind_the_attention_are_noted(after, note, how):
    model, x = Gated(how, after), torch.randn(B, N, H * C)
    with torch.no_grad():
        expected = model(x)
        with watch(model) as trace:
            assert torch.equal(model(x), expected)
    (call,) = trace
    assert call.note == note
    assert not trace.missed


@pytest.mark.parametrize("name", ["qwen3_next", "diffllama"])
@pytest.mark.parametrize("way", ["sdpa", "eager"])
def test_of_transformers(name, way):
    transformers = pytest.importorskip("transformers")
    shared = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2}
    shared |= {"intermediate_size": 16, "vocab_size": 32, "head_dim": 6, "attn_implementation": way}
    more = {"layer_types": ["full_attention"], "mlp_only_layers": [0]} if name == "qwen3_next" else {}
    kind = {"qwen3_next": "Qwen3Next", "diffllama": "DiffLlama"}[name]
    config = getattr(transformers, f"{kind}Config")(**shared, **more)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    words = torch.tensor([[1, 7, 5, 3, 2]])
    with torch.no_grad():
        expected = model(words).last_hidden_state
        with watch(model) as trace:
            assert torch.equal(model(words).last_hidden_state, expected)
    assert not trace.missed
    assert len(trace)
    assert all((GATED if name == "qwen3_next" else SUBTRACTED) in call.note for call in trace)
    for call in trace:
        torch.testing.assert_close(call.weights().sum(-1), torch.ones(call.shape[:3]))
