"""Watching changes nothing, and knows the name and kind of each call."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from saccade.errors import SaccadeError
from saccade.lens import drop_heads, edit, watch
from saccade.lens.watching.watcher import Watcher

from ..models import Attend, Stack, ours

MASK = torch.rand(13, 13, generator=torch.Generator().manual_seed(1)) > 0.3
SDPA = F.scaled_dot_product_attention


def outputs(model, x, dtype=None, grad=True):
    """Output and gradients of one forward pass, from the same seed."""
    torch.manual_seed(7)
    model.zero_grad()
    x = x.clone().requires_grad_(grad)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
        out = model(x)
    if grad:
        out.float().square().sum().backward()
    return [out, *([x.grad, *(p.grad for p in model.parameters())] if grad else [])]


def grouped(q, k, v, **options):
    return SDPA(q, k[:, :1], v[:, :1], enable_gqa=True, **options)


def three_axes(q, k, v, **options):
    return torch.stack([SDPA(q[:, i], k[:, i], v[:, i], **options) for i in range(q.shape[1])], dim=1)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize(
    ("how", "options", "calls"),
    [
        (SDPA, {}, 1),
        (SDPA, {"attn_mask": MASK}, 1),
        (SDPA, {"attn_mask": MASK.float()}, 1),
        (SDPA, {"is_causal": True}, 1),
        (SDPA, {"scale": 0.7}, 1),
        (SDPA, {"dropout_p": 0.4}, 1),
        (grouped, {}, 1),
        (grouped, {"attn_mask": MASK}, 1),
        (three_axes, {}, 1),  # slices of one call
        (three_axes, {"attn_mask": MASK}, 1),
        (ours, {}, 1),
        (ours, {"mask": MASK, "causal": True}, 1),
    ],
)
def test_same_output_and_gradients_bit_for_bit(how, options, calls, dtype, grad):
    model = Stack(a=ours(**options) if how is ours else Attend(how=how, **options))
    x = torch.randn(3, 13, 14)
    plain = outputs(model, x, dtype, grad)
    with watch(model) as trace:
        watched = outputs(model, x, dtype, grad)
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert len(trace) == calls
    assert not trace.missed
    for call in trace:
        assert call.q.dtype == (dtype or torch.float32)
        assert not call.q.requires_grad
        torch.testing.assert_close(call.weights().sum(-1), torch.ones(call.shape[:3]))


def test_bfloat16_model_and_inference_mode():
    model = Stack(a=Attend(), b=ours()).bfloat16()
    x = torch.randn(2, 7, 14, dtype=torch.bfloat16)
    with torch.inference_mode():
        plain = model(x)
        with watch(model, values=True) as trace:
            assert torch.equal(model(x), plain)
    assert [call.q.dtype for call in trace] == [torch.bfloat16] * 2
    # The weights are those of the call: applied to its values they give its output.
    attention = model.blocks["a"]
    got = (trace[0].weights() @ trace[0].v.float()).transpose(1, 2).flatten(2)
    torch.testing.assert_close(got, attention(x).float(), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_kernels_own_lse_is_kept(context):
    model = Stack(a=Attend(), b=ours())
    x = torch.randn(2, 7, 14)
    with context():
        plain = model(x)
        with watch(model) as trace:
            assert torch.equal(model(x), plain)
    for call in trace:
        assert call._lse is not None  # not yet asked for, so it came from the kernel
        s = call.q @ call.k.transpose(-1, -2) * call.scale
        torch.testing.assert_close(call.lse, s.logsumexp(-1))


def test_names_kinds_and_runs():
    shared = Attend()
    model = Stack(a=shared, crossed=Attend(), b=shared, c=ours(), cross_ours=ours())
    x, context = torch.randn(2, 5, 14), torch.randn(2, 5, 14)  # of one length: only origins tell them apart
    with watch(model) as trace:
        model(x, context)
        model(x, torch.randn(2, 11, 14))
    assert [c.name for c in trace] == [f"blocks.{n}" for n in ("a", "crossed", "a", "c", "cross_ours")] * 2
    assert [c.kind for c in trace] == ["self", "cross", "self", "self", "cross"] * 2
    assert [c.run for c in trace] == [0] * 5 + [1] * 5
    assert trace[6].shape == (2, 2, 5, 11)


def test_positions_added_to_queries_only_are_still_self_attention():
    class Positioned(Attend):
        def forward(self, x, position, context=None):
            q, k, v = self.q(x + position), self.k(x if context is None else context), self.v(x)
            return SDPA(*(self._split(t) for t in (q, k, v))).transpose(1, 2).flatten(2)

    model, x = Positioned(), torch.randn(2, 5, 14)
    with watch(model) as trace:
        model(x, torch.randn(2, 5, 14))
        model(x, torch.randn(2, 5, 14), torch.randn(2, 5, 14))
    assert [c.kind for c in trace] == ["self", "cross"]
    assert trace[0].name == "Positioned"


def test_a_module_that_is_given_q_and_k_leaves_the_kind_to_the_one_around_it():
    class Core(nn.Module):
        def forward(self, q, k, v):
            return SDPA(q, k, v)

    class Outer(Attend):
        def __init__(self):
            super().__init__(how=Core())

    model = Stack(a=Outer(), cross=Outer())
    with watch(model) as trace:
        model(torch.randn(2, 5, 14), torch.randn(2, 5, 14))
    assert [(c.name, c.kind) for c in trace] == [("blocks.a.how", "self"), ("blocks.cross.how", "cross")]


def test_recomputation_is_not_recorded_twice():
    model = Stack(a=Attend(), b=ours())
    x = torch.randn(2, 5, 14, requires_grad=True)
    with watch(model) as trace:
        model(checkpoint(model, x, use_reentrant=False)).sum().backward()
    assert [c.name for c in trace] == ["blocks.a", "blocks.b"] * 2
    assert not trace.missed


def test_exceptions_leave_the_model_and_the_names_right():
    class Broken(Attend):
        def forward(self, x):
            super().forward(x)
            raise RuntimeError("broken")

    model, x = Stack(a=Attend(), b=Broken()), torch.randn(2, 5, 14)
    with pytest.raises(RuntimeError, match="broken"), watch(model) as trace:
        model(x)
    assert [c.name for c in trace] == ["blocks.a", "blocks.b"]
    with watch(model) as trace:
        with pytest.raises(RuntimeError, match="broken"):
            model(x)
        model.blocks["a"](x)
    assert [(c.name, c.run) for c in trace] == [("blocks.a", 0), ("blocks.b", 0), ("blocks.a", 1)]
    assert_untouched(model)


def test_nested_watches_see_the_same():
    model, x = Stack(a=Attend(), b=ours(), cross=ours()), torch.randn(2, 5, 14)
    plain = model(x, x)
    with watch(model) as outer:
        with watch(model.blocks) as inner:
            assert torch.equal(model(x, x), plain)
        model(x, x)
    assert [c.name for c in outer] == ["blocks.a", "blocks.b", "blocks.cross"] * 2
    assert [c.name for c in inner] == ["a", "b", "cross"]
    for a, b in zip(outer, inner, strict=False):
        assert torch.equal(a.q, b.q)
        assert torch.equal(a.lse, b.lse)
    assert_untouched(model)


def test_nothing_of_the_trace_stays_in_the_model():
    model = Stack(a=Attend(), b=nn.TransformerEncoderLayer(14, 2, 11, batch_first=True))
    with watch(model) as trace:
        model(torch.randn(2, 5, 14))
    call, whole = weakref.ref(trace[0]), weakref.ref(trace)
    del trace
    gc.collect()
    assert call() is None
    assert whole() is None
    assert_untouched(model)


def test_a_compiled_model_runs_uncompiled_while_watched(unchecked):
    model, x = Stack(a=Attend(), cross=ours()), torch.randn(2, 5, 14)
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        plain = compiled(x, x)
        for watched in (model, compiled):
            with watch(watched) as trace:
                assert torch.equal(compiled(x, x), plain)
            assert [c.name for c in trace] == ["blocks.a", "blocks.cross"]
        assert torch.equal(compiled(x, x), plain)


def assert_untouched(model):
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._forward_hooks_always_called
        assert "forward" not in vars(module)
    assert not any(isinstance(mode, Watcher) for mode in torch.overrides._get_current_function_mode_stack())


@pytest.mark.parametrize("block", [watch, lambda model: edit(model, {"*": drop_heads(1)})])
def test_a_copy_made_inside_the_block_runs_its_own_weights(block):
    model = nn.Sequential(Attend(), nn.TransformerEncoderLayer(14, 2, 22, batch_first=True)).eval()
    x = torch.randn(2, 5, 14)
    model(x)
    with block(model) as trace:
        twin = copy.deepcopy(model)
        model(x)
        names = len(trace) if block is watch else dict(trace.applied)
        twin(x)
        assert names == (len(trace) if block is watch else trace.applied)
    assert_untouched(twin)
    assert pickle.dumps(twin)
    expected = model(x)
    for parameter in model.parameters():
        parameter.data.zero_()
    torch.testing.assert_close(twin(x), expected)
    assert names == (len(trace) if block is watch else trace.applied)


@pytest.mark.parametrize("block", [watch, lambda model: edit(model, {"*": drop_heads(1)})])
@pytest.mark.parametrize(
    "model", [Stack(a=Attend()), nn.MultiheadAttention(14, 2), nn.TransformerEncoderLayer(14, 2, 22, batch_first=True)]
)
def test_files_are_written_of_a_model_that_nothing_follows(model, block, tmp_path):
    x = torch.randn(2, 5, 14)
    model.eval()
    given = (x, x, x) if isinstance(model, nn.MultiheadAttention) else (x,)
    with block(model):
        model(*given)
        torch.save(model.state_dict(), tmp_path / "weights.pt")
        with pytest.raises(SaccadeError, match=r"cannot be pickled while it is watched or edited: save its state_dict"):
            torch.save(model, tmp_path / "model.pt")
        copies = [copy.copy(model), copy.deepcopy(model), copy.deepcopy(copy.deepcopy(model))]
    torch.save(model, tmp_path / "model.pt")
    assert_untouched(copies[1])
    for twin in copies:
        assert_same(twin(*given), model(*given))


def test_a_forward_that_the_user_puts_in_its_place_stays():
    model, x = nn.TransformerEncoderLayer(14, 2, 22, batch_first=True).eval(), torch.randn(2, 5, 14)
    expected = model(x)
    with watch(model) as trace:
        before = model.forward
        model.forward = lambda x: 2 * before(x)
        torch.testing.assert_close(model(x), 2 * expected)
    assert len(trace) == 1
    torch.testing.assert_close(model(x), 2 * expected)
    assert len(trace) == 1


def assert_same(a, b):
    torch.testing.assert_close(a[0], b[0])


def test_a_copy_of_a_copy_lets_go_of_the_trace():
    model, x = Stack(a=Attend()), torch.randn(2, 5, 14)
    with watch(model) as trace:
        twin = copy.deepcopy(copy.deepcopy(model))
        model(x)
    whole = weakref.ref(trace)
    del trace
    gc.collect()
    assert whole() is None
    torch.testing.assert_close(twin(x), model(x))


@pytest.mark.parametrize(
    "how",
    [
        lambda x: torch.flatten(input=x, start_dim=1).unflatten(1, x.shape[1:]),
        lambda x: torch.unsqueeze(input=x, dim=0)[0],
        lambda x: torch.eye(5).to_sparse_csr() @ x[0] + x * 0,
        lambda x: torch.clamp(input=torch.softmax(torch.clamp(input=x @ x.mT, min=-9), -1), min=0) @ x,
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_no_spelling_stops_the_model(how):
    class Model(nn.Module):
        def forward(self, x):
            return how(x)

    model, x = Model(), torch.randn(2, 5, 14)
    plain = model(x)
    with watch(model):
        assert torch.equal(model(x), plain)


def test_an_error_of_the_watch_does_not_stop_the_model(monkeypatch):
    def broken(*args):
        raise RuntimeError("no such thing")

    monkeypatch.setattr("saccade.lens.recognising.eager.Recogniser.follow", broken)
    model, x = Stack(a=Attend()), torch.randn(2, 5, 14)
    plain = model(x)
    with watch(model) as trace:
        assert torch.equal(model(x), plain)
    assert "could not be followed: no such thing" in trace.missed["blocks.a"]


def test_a_mask_that_is_written_into_in_inference_mode():
    class Model(nn.Module):
        def forward(self, q, mask):
            out = SDPA(q, q, q, attn_mask=mask)
            mask.zero_()
            return out

    with torch.inference_mode():
        q, mask = torch.randn(1, 2, 5, 8), torch.zeros(5, 5)
        mask[:, :2] = -torch.inf
        with watch(model := Model()) as trace:
            model(q, mask)
        assert not trace[0].weights()[..., :2].any()
