"""Calls that one module makes side by side: slices are one call, different sources are different attentions."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import Mean, cut, edit, watch

from ..models import Attend


class Sliced(Attend):
    """Attends in slices of `size` along an axis, the first where heads are folded into the batch."""

    def __init__(self, size, folded, axis=0, **options):
        super().__init__(width=6, heads=2, **options)
        self.size, self.folded, self.axis = size, folded, axis

    def forward(self, x, context=None):
        context = x if context is None else context
        q, k, v = (self._split(layer(t)) for layer, t in ((self.q, x), (self.k, context), (self.v, context)))
        b, h = q.shape[:2]
        if self.folded:
            q, k, v = (t.reshape(b * h, *t.shape[2:]) for t in (q, k, v))
        out = torch.empty_like(q)
        for parts in zip(*(t.split(self.size, dim=self.axis) for t in (q, k, v, out)), strict=True):
            parts[3].copy_(self.how(*parts[:3]))
        return out.view(b, h, *out.shape[-2:]).transpose(1, 2).flatten(2)


def softmax(q, k, v):
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1) @ v


@pytest.mark.parametrize("how", [F.scaled_dot_product_attention, softmax])
@pytest.mark.parametrize(
    ("size", "folded", "axis"),
    [(1, True, 0), (2, True, 0), (3, True, 0), (1, False, 0), (2, False, 0), (1, False, 1)],
)
@pytest.mark.parametrize("cross", [False, True])
def test_slices_of_heads_and_pictures_are_one_call(how, size, folded, axis, cross):
    sliced, whole = Sliced(size, folded, axis, how=how), Attend(width=6, heads=2)
    whole.load_state_dict(sliced.state_dict())
    given = (torch.randn(3, 11, 6), torch.randn(3, 5, 6)) if cross else (torch.randn(3, 11, 6),)
    traces = []
    for model in (sliced, whole):
        with torch.no_grad(), watch(model, values=True) as trace:
            model(*given)
        traces.append(trace)
    (found,), (expected,) = traces
    assert (found.kind, found.shape, found.name) == (expected.kind, expected.shape, "Sliced")
    torch.testing.assert_close(found.weights(), expected.weights())
    torch.testing.assert_close(found.v, expected.v)
    with torch.no_grad(), watch(sliced, views={"received": Mean(lambda call: call.received())}) as trace:
        sliced(*given)
    torch.testing.assert_close(trace.seen["received"]["Sliced"], expected.received())


def test_layers_in_one_forward_are_not_side_by_side():
    class Inline(Attend):
        def forward(self, x):
            for _ in range(3):
                x = x + super().forward(x)
            return x

    model = Inline(width=6, heads=2)
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(1, 7, 6))
    assert [call.name for call in trace] == ["Inline"] * 3
    assert trace.rollout().shape == (1, 7)


class Decoupled(nn.Module):
    """Attends to a text and to a picture that is a prompt too."""

    def forward(self, x, text, image):
        q, t, i = x[:, None], text[:, None], image[:, None]
        return (F.scaled_dot_product_attention(q, t, t) + F.scaled_dot_product_attention(q, i, i))[:, 0]


def test_different_sources_are_different_attentions_by_name():
    model, given = Decoupled(), (torch.randn(1, 16, 6), torch.randn(1, 7, 6), torch.randn(1, 4, 6))
    with watch(model) as trace:
        model(*given)
    assert [call.name for call in trace] == ["Decoupled#text", "Decoupled#image"]
    assert len(trace["Decoupled"]) == len(trace["*"]) == 2
    with pytest.raises(SaccadeError, match="words of 'Decoupled#text' and 'Decoupled#image': one module made both"):
        trace.words({"cat": [2]}, grid=(4, 4))
    text = trace["*#text"]
    expected = text[0].columns([2]).mean(dim=1).view(1, 4, 4)
    torch.testing.assert_close(text.words({"cat": [2]}, grid=(4, 4))["cat"], expected)


def test_an_edit_of_one_of_different_attentions():
    model, given = Decoupled(), (torch.randn(1, 16, 6), torch.randn(1, 7, 6), torch.randn(1, 4, 6))
    with edit(model, {"*#text": cut(sources=[5])}) as done, watch(model) as trace:
        model(*given)
    assert done.applied == {"Decoupled": 1}
    assert float(trace["*#text"][0].columns([5]).sum()) == 0
    assert float(trace["*#image"][0].weights().sum()) == pytest.approx(16)
    with pytest.raises(SaccadeError, match="changed nothing"), edit(model, {"*#sound": cut(sources=[0])}):
        model(*given)


def test_parts_of_the_same_tokens_that_cannot_be_put_together_are_no_layers():
    class Parts(nn.Module):
        """A call for each part of a sequence, of which some share tokens."""

        def forward(self, x):
            q = x.unflatten(-1, (2, 3)).transpose(1, 2)
            parts = (q[:, :, a:z] for a, z in ((0, 4), (3, 11)))
            return [F.scaled_dot_product_attention(each, each, each) for each in parts]

    model = Parts()
    with watch(model) as trace:
        model(torch.randn(1, 11, 6))
    assert [call.name for call in trace] == ["Parts#1", "Parts#2"]
    assert trace[0].note.startswith("one of 2 calls that its module makes of parts of the same tokens")
    with pytest.raises(SaccadeError, match="rollout of 'Parts#1' and 'Parts#2'"):
        trace.rollout()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("heads_first", [False, True])
def test_slices_of_heads_and_pictures_on_one_axis(heads_first, fused):
    class Sliced(nn.Module):
        num_heads = 3

        def forward(self, x):  # 2 pictures of 7 tokens, heads of 5
            q = x.view(2, 7, 3, 5).transpose(1, 2)
            q = (q.transpose(0, 1) if heads_first else q).reshape(6, 7, 5)
            kernel = F.scaled_dot_product_attention if fused else lambda q, k, v: (q @ k.mT).softmax(-1) @ v
            return torch.cat([kernel(part, part, part) for part in (q[:2], q[2:4], q[4:])])

    x = torch.randn(2, 7, 15)
    with torch.no_grad(), watch(model := Sliced()) as trace:
        model(x)
    (call,) = trace
    q = x.view(2, 7, 3, 5).transpose(1, 2)
    torch.testing.assert_close(call.weights(), (q @ q.mT * (5**-0.5 if fused else 1)).softmax(-1))
