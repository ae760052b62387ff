"""Which axes of a call are heads, pictures and places: folded heads, five axes, channels, sources of one frame."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade import attention_weights
from saccade.errors import SaccadeError
from saccade.lens import drop_heads, edit, watch
from saccade.lens.attention.heads import FOLDED, UNKNOWN


class Folded(nn.Module):
    """Heads folded into the batch before the fused call, as in the encoder of Segment Anything."""

    def __init__(self, fused=True):
        super().__init__()
        self.qkv, self.fused = nn.Linear(6, 18), fused

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, 3, 2).permute(2, 0, 3, 1, 4).reshape(3, b * 3, n, 2).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v) if self.fused else (q @ k.mT / 2**0.5).softmax(-1) @ v
        return x + out.view(b, 3, n, 2).transpose(1, 2).reshape(b, n, 6)


def test_heads_that_were_folded_into_the_batch():
    x, traces = torch.randn(2, 11, 6), []
    fused, eager = nn.Sequential(Folded(), Folded()), nn.Sequential(Folded(False), Folded(False))
    eager.load_state_dict(fused.state_dict())
    for model in (fused, eager):
        with torch.no_grad(), watch(model) as trace:
            model(x)
        assert [call.shape for call in trace] == [(2, 3, 11, 11)] * 2
        traces.append(trace.rollout())
    torch.testing.assert_close(*traces)


def test_an_edit_of_a_head_that_was_folded_into_the_batch():
    model, x = Folded(), torch.randn(2, 11, 6)
    with torch.no_grad():
        plain = model(x)
        with edit(model, {"*": drop_heads(1)}):
            out = model(x)
    expected = plain.clone()
    expected[..., 2:4] = x[..., 2:4]
    torch.testing.assert_close(out, expected)


class Windows(nn.Module):
    """Five axes: batch, heads, windows, tokens, width, in this order or with windows first."""

    def __init__(self, order, heads=2):
        super().__init__()
        self.qkv, self.order = nn.Linear(6, 18), order
        if heads is not None:
            self.num_heads = heads

    def forward(self, x, silent=()):  # 4 windows of 5 tokens, 2 heads of 3
        q, k, v = self.qkv(x).view(len(x), 5, 4, 3, 2, 3).permute(3, 0, *self.order, 1, 5)
        out = F.scaled_dot_product_attention(q, k, v).clone()
        heads = out if self.order == (4, 2) else out.transpose(1, 2)
        heads[:, list(silent)] = 0
        return heads.permute(0, 3, 2, 1, 4).reshape(len(x), 20, 6)


@pytest.mark.parametrize("order", [(4, 2), (2, 4)])
def test_heads_among_five_axes_by_their_number(order):
    model, x = Windows(order), torch.randn(3, 20, 6)
    with torch.no_grad():
        with watch(model) as trace:
            plain = model(x)
        assert trace[0].shape == (12, 2, 5, 5)
        q, k, _ = model.qkv(x).view(3, 5, 4, 3, 2, 3).permute(3, 0, 2, 4, 1, 5).flatten(1, 2)
        torch.testing.assert_close(trace[0].weights(), attention_weights(q, k))
        with edit(model, {"*": drop_heads(1)}) as done:
            out = model(x)
        torch.testing.assert_close(out, model(x, silent=[1]))
        assert done.applied == {"Windows": 1}
        assert not torch.equal(out, plain)


@pytest.mark.parametrize("heads", [None, 4])
def test_heads_that_cannot_be_told_from_windows_are_not_edited(heads):
    model, x = Windows((4, 2), heads=heads), torch.randn(1, 20, 6)
    if heads == 4:
        model.num_heads = 7  # neither axis
    with watch(model) as trace:
        model(x)
    assert trace[0].note.startswith("which of the axes before its tokens is that of the heads cannot be determined")
    with (
        pytest.raises(SaccadeError, match=r"drop_heads of .* which of the axes"),
        edit(model, {"*": drop_heads(1)}),
    ):
        model(x)


class HeadsFirst(nn.Module):
    """3 heads of 2 before pictures, in two axes or one, of attention in a module of its own."""

    def __init__(self, laid, fused, declared):
        super().__init__()
        self.qkv, self.laid, self.kernel = nn.Linear(6, 18), laid, Kernel(fused)
        if declared:
            self.n_head = 3
        self.silent: int | None = None

    def heads(self, x):
        return self.qkv(x).view(2, 7, 3, 3, 2).permute(2, 0, 3, 1, 4)

    def forward(self, x):
        q, k, v = (self.laid(t.transpose(0, 1)) for t in self.heads(x))
        out = self.kernel(q, k, v).view(3, 2, 7, 2)
        if self.silent is not None:
            out[self.silent] = 0
        return out.permute(1, 2, 0, 3).flatten(2)


class Kernel(nn.Module):
    def __init__(self, fused):
        super().__init__()
        self.fused = fused

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v) if self.fused else (q @ k.mT / 2**0.5).softmax(-1) @ v


TWO_AXES, ONE_AXIS = (lambda t: t), (lambda t: t.reshape(6, 7, 2))


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("laid", [TWO_AXES, ONE_AXIS], ids=["two axes", "one axis"])
def test_heads_before_pictures(laid, fused, declared):
    model, x = HeadsFirst(laid, fused, declared), torch.randn(2, 7, 6)
    with watch(model, gradients=True) as trace:
        plain = model(x)
        wanted = torch.randn(2, 7, 6)
        plain.backward(wanted)
    (call,) = trace
    q, k, _ = model.heads(x)
    torch.testing.assert_close(call.weights(), attention_weights(q, k))
    assert not call.note
    torch.testing.assert_close(call.gradient.value(""), wanted.view(2, 7, 3, 2).transpose(1, 2))
    with torch.no_grad(), edit(model, {"*": drop_heads(1)}):
        out = model(x)
    model.silent = 1
    with torch.no_grad():
        torch.testing.assert_close(out, model(x))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("laid", [lambda t: t.reshape(6, 7, 2), lambda t: t.reshape(6, 1, 7, 2)])
def test_heads_beside_pictures_in_an_order_that_is_not_followed_are_noted(laid, fused):
    model, x = HeadsFirst(lambda t: laid(torch.cat(list(t))), fused, declared=True), torch.randn(2, 7, 6)
    with watch(model) as trace:
        model(x)
    assert trace[0].shape == (6, 1, 7, 7)
    assert trace[0].note == FOLDED
    with pytest.raises(SaccadeError, match=r"rollout needs .* by heads; of .* its first axis"):
        trace.rollout()
    with pytest.raises(SaccadeError, match=r"drop_heads of .* heads"), edit(model, {"*": drop_heads(0)}):
        model(x)


def test_heads_of_separate_operations_that_cannot_be_told_from_windows_are_noted():
    class Neighbours(nn.Module):
        def forward(self, x):
            q = x.view(2, 7, 3, 2).transpose(1, 2).unsqueeze(3)  # (b, h, tokens, 1, width)
            k = torch.cat([q.roll(i, 2) for i in (-1, 0, 1)], 3)
            return (q @ k.mT).softmax(-1) @ k

    with watch(model := Neighbours()) as trace:
        model(torch.randn(2, 7, 6))
    assert trace[0].note == UNKNOWN


def test_the_gradient_of_a_call_whose_heads_are_not_the_last_of_five_axes():
    model, x = Windows((4, 2)), torch.randn(3, 20, 6)
    with watch(model, gradients=True) as trace:
        out = model(x)
        wanted = torch.randn(3, 20, 6)
        out.backward(wanted)
    expected = wanted.view(3, 5, 4, 2, 3).permute(0, 2, 3, 1, 4).reshape(12, 2, 5, 3)
    torch.testing.assert_close(trace[0].gradient.value(""), expected)


class Transposed(nn.Module):
    """Channels attend to channels (Restormer, XCiT)."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Conv2d(10, 30, 1)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(1, (3, 2, 5)).flatten(4).unbind(1)
        return x + F.scaled_dot_product_attention(q, k, v).reshape(x.shape)


def test_channels_that_attend_are_no_tokens_of_a_picture():
    model = nn.Sequential(Transposed(), Transposed())
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(2, 10, 3, 7))
    assert [(call.kind, call.shape) for call in trace] == [("channels", (2, 2, 5, 5))] * 2
    with pytest.raises(SaccadeError, match="rollout needs attention between tokens"):
        trace.rollout()
    with pytest.raises(SaccadeError, match="its tokens are channels"):
        trace[0].distance((1, 5))


def test_tokens_that_attend_are_not_taken_for_channels():
    class Tokens(nn.Module):
        def forward(self, x):  # as many tokens as a head is wide, so that both could be meant
            q = x.unflatten(-1, (2, 5)).transpose(1, 2)
            return F.scaled_dot_product_attention(q, q, q)

    model = Tokens()
    with watch(model) as trace:
        model(torch.randn(2, 5, 10))
    assert trace[0].kind == "self"


class CrossFrame(nn.Module):
    def forward(self, x):
        q = x[:, None]
        k = q[[0] * len(q)]
        return x + F.scaled_dot_product_attention(q, k, k)[:, 0]


def test_frames_that_all_attend_to_one_are_cross_attention():
    model = nn.Sequential(CrossFrame(), CrossFrame())
    with watch(model) as trace:
        model(torch.randn(3, 7, 6))
    assert [call.kind for call in trace] == ["cross", "cross"]
    assert "cross-frame attention" in trace[0].note
    with pytest.raises(SaccadeError, match="all 2 calls are cross-attention"):
        trace.rollout()
    with watch(model) as trace:
        model(torch.randn(1, 7, 6).expand(3, -1, -1))  # the same picture three times attends to itself
    assert [call.kind for call in trace] == ["self", "self"]


def test_a_note_is_the_same_before_and_after_the_kind_is_read():
    model = nn.Sequential(CrossFrame())
    with watch(model) as trace:
        model(torch.randn(3, 7, 6))
    note = trace[0].note
    assert "cross-frame attention" in note
    trace[0].add_note("another")
    trace[0].add_note("another")
    assert trace[0].kind == "cross"
    assert trace[0].note == f"another; {note}"
