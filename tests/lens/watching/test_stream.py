"""Captures too large to keep: chosen calls, and views of calls that are gone."""

import weakref

import pytest
import torch
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import Call, Mean, watch

from ..models import Attend, Stack, ours


def model():
    return Stack(a=Attend(), b=ours(), cross=Attend())


def test_only_the_calls_that_were_asked_for_are_kept():
    x = torch.randn(2, 5, 14)
    for only, names in (("*.b", ["b"]), (["*.a", "blocks.cross"], ["a", "cross"]), ("*", ["a", "b", "cross"])):
        with watch(stack := model(), only=only) as trace:
            stack(x, x)
        assert [call.name for call in trace] == [f"blocks.{name}" for name in names]
        assert not trace.missed  # what was not asked for is not missed
    with watch(stack, only="*.c") as trace:
        stack(x, x)
    with pytest.raises(SaccadeError, match=r"no name matches only=\['\*.c'\]; there are blocks.a, blocks.b, blocks.c"):
        trace[0]


def test_views_are_those_of_the_calls():
    stack = model()
    views = {
        "received": Call.received,
        "mean": Mean(Call.received),
        "rows": lambda call: call.rows([0, 2]).mean(dim=1),
        "kind": lambda call: (call.kind, call.run),
    }
    steps = [(torch.randn(2, 5, 14), torch.randn(2, 5, 14)) for _ in range(4)]
    with watch(stack) as whole:
        for x, context in steps:
            stack(x, context)
    with watch(stack, views=views) as trace:
        for x, context in steps:
            plain = stack(x, context)
    assert torch.equal(plain, stack(*steps[-1]))
    assert len(trace) == 0
    for name in ("blocks.a", "blocks.b", "blocks.cross"):
        calls = list(whole[name])
        for got, call in zip(trace.seen["received"][name], calls, strict=True):
            assert torch.equal(got, call.received())
        for got, call in zip(trace.seen["rows"][name], calls, strict=True):
            assert torch.equal(got, call.rows([0, 2]).mean(dim=1))
        mean = torch.stack([call.received() for call in calls]).mean(dim=0)
        torch.testing.assert_close(trace.seen["mean"][name], mean)
        assert trace.seen["kind"][name] == [(call.kind, call.run) for call in calls]
    with pytest.raises(SaccadeError, match=r"holds no calls: views were computed as they passed, see trace.seen"):
        trace.rollout()


def test_no_query_or_key_outlives_its_call():
    """What is alive, measured at every call: the tensors of that call, and of no call before it."""
    held, alive = [], []

    def spy(call):
        alive.append(sum(ref() is not None for ref in held))
        held.extend(weakref.ref(kept._tensor.untyped_storage()) for kept in (call._q, call._k))
        held.append(weakref.ref(call))
        return call.weights()[:, :, 0]

    stack, n = model(), 53
    with torch.no_grad(), watch(stack, values=True, views={"spy": spy, "mean": Mean(Call.entropy)}) as trace:
        for _ in range(3):
            stack(torch.randn(2, n, 14), torch.randn(2, n, 14))
    assert len(held) == 3 * 3 * 3
    assert alive == [0] * 9
    assert not any(ref() is not None for ref in held)
    # A slice of a map does not keep the map.
    assert all(t.untyped_storage().nbytes() == 2 * 2 * n * 4 for each in trace.seen["spy"].values() for t in each)


def test_a_running_mean_in_low_precision():
    stack = Stack(a=Attend()).bfloat16()
    values = iter(torch.tensor([[256.0], [257.0], [258.0], [259.0]]))
    with torch.no_grad(), watch(stack, views={"mean": Mean(lambda call: next(values).to(torch.bfloat16))}) as trace:
        for _ in range(4):
            stack(torch.randn(2, 5, 14, dtype=torch.bfloat16))
    seen = trace.seen["mean"]["blocks.a"]
    assert seen.dtype == torch.float32
    expected = torch.tensor([256.0, 257.0, 258.0, 259.0]).bfloat16().float().mean()
    torch.testing.assert_close(seen, expected[None])


class Fused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(12, 36)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
        return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def test_what_a_view_computes_is_not_the_models():
    def projected(call: Call) -> torch.Tensor:
        return call.rows(-1)[0, :, 0] @ torch.randn(7, 2)

    with watch(model := nn.Sequential(Fused(), Fused()), views={"projected": projected}) as trace:
        model(torch.randn(1, 7, 12))
    assert not trace.missed
    assert list(trace.seen["projected"]) == ["0", "1"]


def test_what_cannot_be_asked():
    stack, x = Stack(a=Attend()), torch.randn(2, 5, 14)
    for options, said in (
        ({"only": []}, r"only=\[\]: expected a pattern"),
        ({"only": [3]}, r"only=\[3\]: expected a pattern"),
        ({"views": {}}, r"views=\{\}: expected names and functions"),
        ({"views": [Call.received]}, "expected names and functions"),
        ({"views": {"a": Call.received}, "gradients": True}, "ask for gradients or for views"),
    ):
        with pytest.raises(SaccadeError, match=said), watch(stack, **options):
            pass
    wrong = r"view 'top' of 'blocks.a' is a tuple; a mean needs a tensor"
    with pytest.raises(SaccadeError, match=wrong), watch(stack, views={"top": Mean(lambda call: call.top(2))}):
        stack(x)
    with watch(stack, views={"received": Mean(Call.received)}):
        stack(x)
        with pytest.raises(SaccadeError, match=r"was \(2, 2, 5\) and is now \(2, 2, 7\)"):
            stack(torch.randn(2, 7, 14))


def test_views_of_nothing_are_said():
    stack = Stack(a=Attend(how=lambda q, k, v: q.sigmoid() @ (k.transpose(-1, -2).sigmoid() @ v)))
    stack.blocks["a"].__class__ = type("Attention", (Attend,), {})  # a linear one, known by its name only
    with watch(stack, views={"received": Call.received}) as trace:
        stack(torch.randn(2, 5, 14))
    with pytest.raises(SaccadeError, match=r"blocks.a: it ran, but no attention was seen"):
        _ = trace.seen
    with watch(stack) as trace, pytest.raises(SaccadeError, match="the trace holds no views: ask for some"):
        _ = trace.seen
