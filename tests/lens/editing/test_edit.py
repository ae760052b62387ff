"""An edit block changes the attention it names, says what it did, and leaves no trace in the model."""

import doctest

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import borrow, cut, drop_heads, during, edit, freeze, scale_heads, scale_source, swap, watch
from saccade.lens.editing.editor import Editor

from ..models import Attend, Stack, ours

SDPA = F.scaled_dot_product_attention


def grouped(q, k, v):
    return SDPA(q, k[:, :1], v[:, :1], enable_gqa=True)


def without_head(attention, x, context=None):
    """What an Attend gives whose first head is silent."""
    how = attention.how

    def silenced(q, k, v, **options):
        out = how(q, k, v, **options)
        return out * torch.tensor([0.0, 1.0])[:, None, None]

    attention.how = silenced
    try:
        return attention(x, context)
    finally:
        attention.how = how


def assert_untouched(model):
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)
    assert not any(isinstance(mode, Editor) for mode in torch.overrides._get_current_function_mode_stack())


@pytest.mark.parametrize("how", [SDPA, ours().how, grouped])
def test_only_what_matches_is_edited(how):
    model, x = Stack(a=Attend(how=how), b=Attend(how=how), c=Attend(how=how)), torch.randn(2, 5, 14)
    blocks, plain = model.blocks, model(x)
    with edit(model, {"*.b": drop_heads(0)}) as edits:
        got = model(x)
    y = x + blocks["a"](x)
    y = y + without_head(blocks["b"], y)
    torch.testing.assert_close(got, y + blocks["c"](y))
    assert edits.applied == {"blocks.b": 1}
    assert not edits.missed
    assert "blocks.b: 1" in repr(edits)
    assert torch.equal(model(x), plain)
    assert_untouched(model)


@pytest.mark.parametrize("grad", [False, True])
def test_a_model_that_no_edit_touches_computes_the_same_bit_for_bit(grad):
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(14, 2, 11, batch_first=True), 2)
    model = nn.Sequential(Stack(a=Attend(), b=ours(), c=nn.MultiheadAttention(14, 2)), encoder).eval()
    model[0].blocks["c"].forward = lambda x: nn.MultiheadAttention.forward(model[0].blocks["c"], x, x, x)[0]
    x = torch.randn(2, 5, 14)
    got = []
    with torch.set_grad_enabled(grad):
        plain = model(x)
        with watch(model) as trace:
            model(x)
        with (
            pytest.raises(SaccadeError, match=r"'nothing' changed nothing: .* there are 0.blocks.a, 0.blocks.b, "),
            edit(model, {"nothing": drop_heads(0)}),
            watch(model) as again,
        ):
            got.append(model(x))
        with edit(model, {"*.a": during(drop_heads(0), []), "*.b": freeze()}):
            got.append(model(x))
    assert all(torch.equal(each, plain) for each in got)
    assert [c.name for c in trace] == [c.name for c in again]
    assert trace.missed == again.missed


def test_edits_of_a_pattern_and_patterns_of_a_name_apply_in_order():
    model, x = Stack(a=Attend()), torch.randn(2, 5, 14)
    with watch(model, values=True) as trace:
        model(x)
        model(x + 1)
        with edit(model, {"*": [borrow(trace[:1]), scale_source(0, 3.0)], "*.a": drop_heads(0)}) as edits:
            model(x + 2)
    first, last = trace[0], trace[2]
    assert torch.equal(last.k, first.k)
    expected = first.v * torch.tensor([0.0, 1.0])[:, None, None] * torch.tensor([3.0, 1.0, 1.0, 1.0, 1.0])[:, None]
    assert torch.equal(last.v, expected)
    assert edits.applied == {"blocks.a": 1}  # one call, whatever was done to it


def test_nested_blocks_apply_from_the_inner_to_the_outer():
    model, x = Stack(a=Attend(), b=ours()), torch.randn(2, 5, 14)
    with watch(model, values=True) as trace, edit(model, {"*.a": scale_source(0, 2.0), "*.b": drop_heads(0)}) as outer:
        with edit(model.blocks, {"a": [scale_source(1, 3.0), cut(sources=2)]}) as inner, watch(model, True) as within:
            model(x)
        model(x)
    assert (outer.applied, inner.applied) == ({"blocks.a": 2, "blocks.b": 2}, {"a": 1})
    v = model.blocks["a"]._split(model.blocks["a"].v(x))
    factors = torch.tensor([2.0, 3.0, 1.0, 1.0, 1.0])[:, None]
    for seen in (trace, within):
        torch.testing.assert_close(seen[0].v, v * factors)
        assert not seen[0].columns(2).any()
        assert not seen[1].v[:, 0].any()
    assert trace[2].columns(2).all()
    assert_untouched(model)


@pytest.mark.parametrize("where", ["model", "edit", "block"])
def test_exceptions_leave_the_model_as_it_was(where):
    class Broken(Attend):
        def forward(self, x):
            super().forward(x)
            if where == "model":
                raise RuntimeError("broken")
            return x

    def use(model, x):
        model(x)
        if where == "block":
            raise RuntimeError("broken")

    layer = nn.TransformerEncoderLayer(14, 2, 11, batch_first=True)
    model, x = Stack(e=layer, a=Attend(), b=Broken()).eval(), torch.randn(2, 5, 14)
    each = drop_heads(7) if where == "edit" else drop_heads(0)
    # the unmatched pattern does not hide the error
    with (
        pytest.raises((RuntimeError, SaccadeError), match=r"broken|head 7"),
        edit(model, {"*": each, "not there": each}),
    ):
        use(model, x)
    assert_untouched(model)
    with edit(model.blocks["a"], {"*": drop_heads(0)}) as edits:
        model(x) if where != "model" else model.blocks["a"](x)
    assert edits.applied == {"Attend": 1}


def test_runs_and_calls_are_counted_from_the_start_of_the_block():
    shared = Attend()
    model, x = Stack(a=shared, b=shared), torch.randn(2, 5, 14)
    model(x)
    with watch(model) as trace, edit(model, {"*": during([cut(sources=0), drop_heads(1)], range(1, 3))}) as edits:
        for _ in range(4):
            model(x)
    assert [bool(call.columns(0).any()) for call in trace] == [True] * 2 + [False] * 4 + [True] * 2
    assert [call.run for call in trace] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert edits.applied == {"blocks.a": 4}
    with watch(model) as again, edit(model, {"*": during(swap(trace), [1])}):
        model(x + 1)
        model(x + 2)
    for i in (2, 3):  # the same call of the same run
        assert torch.equal(again[i].weights(), trace[i].weights())
    assert not torch.equal(again[1].q, trace[1].q)
    with watch(model) as again, edit(model, {"*": during(freeze(), [1, 2])}):
        for i in range(4):
            model(x + i)
    assert [torch.equal(again[2].q, again[i].q) for i in (0, 4, 6)] == [False, True, False]
    assert torch.equal(again[3].q, again[5].q)


def test_the_kind_stays_that_of_the_model_unless_sources_are_borrowed():
    model, x, y = Stack(a=Attend(), cross=Attend()), torch.randn(2, 5, 14), torch.randn(2, 5, 14)
    with watch(model, values=True) as trace:
        model(x, y)
    for each, kinds in (
        (swap(trace), ["self", "cross"]),
        (borrow(trace), ["cross"] * 2),
        (borrow(trace, True), ["cross"] * 2),
    ):
        with watch(model) as above, edit(model, {"*": each}), watch(model) as below:
            model(y, x)
        assert [c.kind for c in above] == [c.kind for c in below] == kinds


@pytest.mark.parametrize("model_dtype", [torch.float32, torch.bfloat16])
def test_autocast_and_bfloat16(model_dtype):
    model, x = Stack(a=Attend(), b=ours()).to(model_dtype), torch.randn(2, 5, 14).to(model_dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=model_dtype == torch.float32):
        with watch(model) as plain_trace:
            plain = model(x)
        with watch(model, values=True) as trace, edit(model, {"*": [cut(sources=0), scale_source(1, 2.0)]}):
            got = model(x)
        with watch(model) as again, edit(model, {"*": [swap(trace, {0: 1}), scale_heads(1.0, 0)]}):
            model(x)
    assert got.dtype == plain.dtype
    assert [(c.q.dtype, c.v.dtype) for c in trace] == [(torch.bfloat16,) * 2] * 2
    assert not any(call.columns(0).any() for call in trace)
    # 16 bits would be too few for the difference of the two log-sum-exps
    w = torch.cat([trace[0].columns(1), plain_trace[0].columns([1, 2, 3, 4])], dim=-1)
    torch.testing.assert_close(again[0].weights(), w / w.sum(-1, keepdim=True), atol=2e-3, rtol=0)


def test_dropout_stays():
    model, x = Stack(a=Attend(dropout_p=0.5)), torch.randn(2, 13, 14)
    torch.manual_seed(3)
    plain = model(x)
    torch.manual_seed(3)
    with edit(model, {"*": scale_heads(1.0, 0)}):
        torch.testing.assert_close(model(x), plain)


def test_relevance_of_an_edited_call_with_dropout_is_refused():
    model, x = Stack(a=Attend(dropout_p=0.5)), torch.randn(2, 13, 14, requires_grad=True)
    with edit(model, {"*": scale_heads(1.0, 0)}), watch(model, gradients=True) as trace:
        model(x).sum().backward()
    with pytest.raises(SaccadeError, match="dropout changed its weights"):
        trace.relevance()


def test_targets_left_with_nothing_get_zeros():
    for how in (SDPA, ours().how, grouped):
        attention, x = Attend(how=how), torch.randn(2, 5, 14, requires_grad=True)
        with edit(attention, {"*": cut(targets=[1, 3])}), watch(attention) as trace:
            out = attention(x)
        assert not out[:, [1, 3]].any()
        out.sum().backward()
        assert x.grad.isfinite().all()
        assert not trace[0].rows([1, 3]).any()


def test_a_compiled_model_is_edited(unchecked):
    model, x = Stack(a=Attend(), b=ours()), torch.randn(2, 5, 14)
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        plain = compiled(x)
        with edit(model, {"*": drop_heads(0)}):
            expected = model(x)
        with edit(compiled, {"blocks.*": drop_heads(0)}) as edits:
            torch.testing.assert_close(compiled(x), expected)
        assert edits.applied == {"blocks.a": 1, "blocks.b": 1}
        assert torch.equal(compiled(x), plain)


@pytest.mark.parametrize(
    ("given", "edits", "message"),
    [
        (3, {"*": drop_heads(0)}, "edit was given a int; expected a torch.nn.Module"),
        (nn.Linear(2, 2), drop_heads(0), r"edit was given drop_heads\(\.\.\.\); expected {pattern: edits}"),
        (nn.Linear(2, 2), [scale_source(0, 2), cut([1])], r"given \[scale_source\(\.\.\.\), cut\(\.\.\.\)\]; exp"),
        (nn.Linear(2, 2), {}, "edit was given {}; expected"),
        (nn.Linear(2, 2), {"*": drop_heads}, r"edits of '\*': the function drop_heads; expected an edit"),
        (nn.Linear(2, 2), {"*": [drop_heads(0), 3]}, r"edits of '\*': a int; expected an edit"),
    ],
)
def test_what_is_no_module_and_no_edit_is_refused(given, edits, message):
    with pytest.raises(SaccadeError, match=message), edit(given, edits):
        pass


def test_the_example_of_the_docstring():
    example = doctest.DocTestFinder().find(edit, "edit", globs={})[0]
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
