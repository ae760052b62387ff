"""Edits of a part of a call (heads, pictures, one of several calls), and edits of one's own."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade import attention_weights, lens
from saccade.errors import SaccadeError
from saccade.lens import bias_source, borrow, cut, drop_heads, during, edit, freeze, limited, scale_source, swap, watch

from ..models import Attend


@pytest.fixture
def model():
    return Attend(width=8, heads=2)


def changed(model, x, given):
    """Which pictures and heads an edit changes: (b h) of 0 and 1."""
    with torch.no_grad():
        plain = model(x)
        with edit(model, {"*": given}):
            out = model(x)
    return ((out - plain).unflatten(-1, (2, 4)).abs().amax(dim=(1, 3)) > 1e-5).int().tolist()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: bias_source(2, 3.0, pictures="conditional"), [[0, 0], [0, 0], [1, 1], [1, 1]]),
        (lambda: bias_source(2, 3.0, pictures="unconditional"), [[1, 1], [1, 1], [0, 0], [0, 0]]),
        (lambda: cut(sources=[1], heads=1, pictures=[0]), [[0, 1], [0, 0], [0, 0], [0, 0]]),
        (lambda: scale_source(1, 0.0, heads=[0]), [[1, 0]] * 4),
        (lambda: drop_heads(1, pictures=-1), [[0, 0], [0, 0], [0, 0], [0, 1]]),
        (lambda: bias_source(2, 3.0, call=1), [[0, 0]] * 4),
    ],
)
def test_an_edit_changes_what_it_is_limited_to(model, make, expected):
    assert changed(model, torch.randn(4, 5, 8), make()) == expected


def test_a_limited_edit_is_exact_where_it_applies_and_leaves_the_rest(model):
    x = torch.randn(2, 5, 8)
    mask = torch.zeros(5, 5)
    mask[:, 2] = -1.5
    masked = Attend(width=8, heads=2, attn_mask=mask)
    masked.load_state_dict(model.state_dict())
    with torch.no_grad():
        with edit(masked, {"*": bias_source(2, 4.0)}):
            whole = masked(x)
        with edit(masked, {"*": bias_source(2, 4.0, pictures=1)}), watch(masked) as trace:
            part = masked(x)
        torch.testing.assert_close(part, torch.stack([masked(x)[0], whole[1]]))
    q, k = (masked._split(layer(x)) for layer in (masked.q, masked.k))
    torch.testing.assert_close(trace[0].weights()[:1], attention_weights(q, k, mask)[:1])


def test_grouped_queries_are_limited_by_query_heads():
    class Grouped(nn.Module):
        def forward(self, q, k, v):
            return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    model, q, k, v = Grouped(), torch.randn(1, 6, 5, 3), torch.randn(1, 2, 7, 3), torch.randn(1, 2, 7, 3)
    plain = model(q, k, v)
    with edit(model, {"*": cut(sources=[0], heads=[1])}):
        out = model(q, k, v)
    assert ((out - plain).abs().amax(dim=(0, 2, 3)) > 1e-5).int().tolist() == [0, 1, 0, 0, 0, 0]


def test_maps_of_another_run_for_some_heads(model):
    x, other = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    with torch.no_grad(), watch(model, values=True) as trace:
        model(other)
    for make in (lambda: swap(trace, heads=0, pictures=1), lambda: borrow(trace, heads=0, pictures=1)):
        assert changed(model, x, make()) == [[0, 0], [1, 0]]
    with torch.no_grad(), edit(model, {"*": freeze(heads=[1])}), watch(model) as frozen:
        model(x)
        model(other)
    first, second = (call.weights() for call in frozen)
    torch.testing.assert_close(second[:, 1], first[:, 1])
    assert float((second[:, 0] - first[:, 0]).abs().max()) > 1e-3


def test_what_cannot_be_limited_is_refused(model):
    x = torch.randn(2, 5, 8)
    with watch(model, values=True) as trace:
        model(x)
    for given, message in (
        (bias_source(2, 3.0, pictures="conditional"), "the batch is 3"),
        (bias_source(2, 3.0, pictures=3), "picture 3; it has 3 pictures, 0 to 2"),
        (bias_source(2, 3.0, heads=2), "head 2; it has 2 heads"),
    ):
        with pytest.raises(SaccadeError, match=message), edit(model, {"*": given}):
            model(torch.randn(3, 5, 8))
    with (
        pytest.raises(SaccadeError, match="cannot be limited to some heads or pictures"),
        edit(model, {"*": borrow(trace, append=True, pictures=0)}),
    ):
        model(x)
    for options, message in (
        ({"pictures": "first"}, "expected numbers"),
        ({"call": -1}, "expected the number of a call"),
    ):
        with pytest.raises(SaccadeError, match=message):
            bias_source(2, 3.0, **options)


def test_guidance_that_ends_is_noticed(model):
    given = {"*": bias_source(2, 3.0, pictures="conditional")}
    with torch.no_grad(), edit(model, given):
        model(torch.randn(4, 5, 8))
        with pytest.raises(SaccadeError, match="the batch is 2 and was 4"):
            model(torch.randn(2, 5, 8))


def test_one_of_several_calls_of_a_module():
    class Decoupled(nn.Module):
        def forward(self, x, text, image):
            q, t, i = x[:, None], text[:, None], image[:, None]
            return F.scaled_dot_product_attention(q, t, t)[:, 0], F.scaled_dot_product_attention(q, i, i)[:, 0]

    model, given = Decoupled(), (torch.randn(1, 11, 6), torch.randn(1, 7, 6), torch.randn(1, 4, 6))
    plain = model(*given)
    with edit(model, {"*": cut(sources=[5], call=0)}):  # the other call has 4 sources
        out = model(*given)
    torch.testing.assert_close(out[1], plain[1], rtol=0, atol=0)
    assert float((out[0] - plain[0]).abs().max()) > 1e-4


def test_an_edit_that_met_no_call_says_so(model):
    with edit(model, {"*": during(drop_heads(0), [3])}) as done:
        model(torch.randn(2, 5, 8))
    assert done.applied == {}
    assert done.missed["Attend"].startswith("the edit changed none of its 1 calls")


class ValueValue(lens.Edit):
    def rewrite(self, arguments, site):
        return replace(arguments, q=arguments.v, k=arguments.v)


class Identity(lens.Edit):
    """Every token attends to itself."""

    def rewrite(self, arguments, site):
        return replace(arguments, mask=torch.eye(arguments.q.shape[2], dtype=torch.bool), causal=False)


def test_edits_of_ones_own(model):
    x = torch.randn(2, 5, 8)
    v = model._split(model.v(x))
    with torch.no_grad():
        with edit(model, {"*": ValueValue()}):
            torch.testing.assert_close(model(x), (attention_weights(v, v) @ v).transpose(1, 2).flatten(2))
        with edit(model, {"*": Identity()}):
            torch.testing.assert_close(model(x), model.v(x))
    assert changed(model, x, limited(Identity(), heads=[1], pictures=[0])) == [[0, 1], [0, 0]]
