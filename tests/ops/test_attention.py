"""attend against attention_weights @ v, against plain loops and PyTorch; its gradients; how it is called."""

import math
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from torch import Tensor
from torch.overrides import TorchFunctionMode

import saccade.ops
from saccade.errors import SaccadeError
from saccade.ops import attend, attention_weights, default_scale, score

PRIMES = st.sampled_from([1, 2, 3, 5, 7, 11, 13, 17])


def mixed(q: Tensor, k: Tensor, v: Tensor, **kwargs: Any) -> Tensor:
    """The readable definition: weights times values."""
    return attention_weights(q, k, **kwargs) @ v.repeat_interleave(q.shape[1] // k.shape[1], dim=1)


def tensors(b=2, g=3, each=2, n=7, m=11, k=13, c=5, dtype=torch.float32, grad=False) -> list[Tensor]:
    shapes = (b, g * each, n, k), (b, g, m, k), (b, g, m, c)
    return [torch.randn(shape, dtype=dtype, requires_grad=grad) for shape in shapes]


@st.composite
def calls(draw) -> tuple[list[Tensor], dict[str, Any]]:
    """q, k, v of prime sizes, and a mask, scale and causality to call with."""
    torch.manual_seed(draw(st.integers(0, 10**6)))
    sizes = {axis: draw(PRIMES) for axis in ("n", "m", "k", "c")}
    sizes |= {"b": draw(st.sampled_from([1, 2, 3])), "g": draw(st.sampled_from([1, 3])), "each": draw(PRIMES)}
    q, k, v = tensors(**sizes, grad=draw(st.booleans()))
    full = (*q.shape[:3], k.shape[2])
    shape = [size if draw(st.booleans()) else 1 for size in full][draw(st.integers(0, 3)) :]
    kind = draw(st.sampled_from(["none", "boolean", "additive", "additive with -inf"]))
    mask = None
    if kind == "boolean":
        mask = torch.rand(shape) > 0.4
    elif kind != "none":
        mask = torch.randn(shape)
        if kind == "additive with -inf":
            mask = mask.masked_fill(torch.rand(shape) < 0.4, -math.inf)
    scale = draw(st.sampled_from([None, 0.0, 0.1, 1.0, -0.7]))
    return [q, k, v], {"mask": mask, "scale": scale, "causal": draw(st.booleans())}


@given(calls())
def test_attend_equals_weights_times_values(call):
    (q, k, v), kwargs = call
    torch.testing.assert_close(attend(q, k, v, **kwargs), mixed(q, k, v, **kwargs), atol=1e-5, rtol=0)


@given(calls())
def test_weights_sum_to_one_or_to_nothing(call):
    (q, k, _), kwargs = call
    weights = attention_weights(q, k, **kwargs)
    nothing = torch.isneginf(score(q, k, **kwargs)).all(dim=-1)
    torch.testing.assert_close(weights.sum(dim=-1), (~nothing).float(), atol=1e-6, rtol=0)
    assert (weights >= 0).all()


@given(calls())
def test_gradients_of_both_agree_and_are_finite(call):
    tensors, kwargs = call
    tensors = [t.detach().requires_grad_() for t in tensors]
    out = attend(*tensors, **kwargs)
    direction = torch.randn_like(out)
    fused = torch.autograd.grad(out, tensors, direction)
    readable = torch.autograd.grad(mixed(*tensors, **kwargs), tensors, direction)
    for one, other in zip(fused, readable, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_weights_from_the_formula():
    """Three numbers worked out by hand: scores 0 and ln 3 give weights 1/4 and 3/4."""
    q = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]])
    k = torch.tensor([[[[0.0, 1.0, 0.0, 0.0], [2 * math.log(3), 0.0, 0.0, 0.0]]]])
    assert default_scale(q) == 0.5
    torch.testing.assert_close(attention_weights(q, k), torch.tensor([[[[0.25, 0.75]]]]))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["boolean", "additive"])
@pytest.mark.parametrize("shape", [(2, 6, 7, 11), (7, 11), (1, 1, 7, 11), (1, 6, 7, 1)])
def test_targets_with_nothing_to_attend_to_get_zeros(shape, kind, causal):
    q, k, v = tensors(grad=True)
    mask = torch.ones(shape, dtype=torch.bool)
    mask[..., 3, :] = False
    if kind == "additive":
        mask = torch.zeros(shape).masked_fill(~mask, -math.inf)
    for out in (attend(q, k, v, mask=mask, causal=causal), mixed(q, k, v, mask=mask, causal=causal)):
        assert (out[:, :, 3] == 0).all()
        assert out[:, :, 4].abs().min() > 0
        for gradient in torch.autograd.grad(out.sum(), (q, k, v)):
            assert gradient.isfinite().all()


def test_everything_masked():
    q, k, v = tensors(grad=True)
    out = attend(q, k, v, mask=torch.zeros(7, 11, dtype=torch.bool))
    assert (out == 0).all()
    assert all((gradient == 0).all() for gradient in torch.autograd.grad(out.sum(), (q, k, v)))


@pytest.mark.parametrize(("n", "m"), [(3, 11), (11, 3), (1, 5), (5, 1), (7, 7)])
def test_causal_is_aligned_at_the_first_token(n, m):
    q, k, v = tensors(n=n, m=m)
    out = attend(q, k, v, causal=True)
    for i in range(n):
        torch.testing.assert_close(out[:, :, [i]], mixed(q[:, :, [i]], k[:, :, : i + 1], v[:, :, : i + 1]))


def test_causal_and_a_mask_both_hold():
    q, k, v = tensors(n=11)
    mask = torch.rand(11, 11) > 0.4
    both = mask & torch.ones(11, 11).tril().bool()
    for given_mask in (mask, torch.zeros(11, 11).masked_fill(~mask, -math.inf)):
        torch.testing.assert_close(attend(q, k, v, mask=given_mask, causal=True), attend(q, k, v, mask=both))


def test_grouped_queries_use_their_own_head():
    """With g key heads, queries 0 to h/g - 1 use key head 0, and so on."""
    q, k, v = tensors(g=3, each=2)
    out = attend(q, k, v)
    for head in range(6):
        one = attend(q[:, [head]], k[:, [head // 2]], v[:, [head // 2]])
        torch.testing.assert_close(out[:, [head]], one)


def test_same_as_pytorch():
    q, k, v = tensors(each=1)
    mask = torch.rand(2, 1, 7, 11) > 0.3
    torch.testing.assert_close(attend(q, k, v), F.scaled_dot_product_attention(q, k, v), atol=0, rtol=0)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3)
    torch.testing.assert_close(attend(q, k, v, mask, 0.3), expected, atol=0, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["none", "boolean", "additive"])
def test_gradcheck(kind, causal):
    q, k, v = tensors(b=1, g=1, n=3, m=5, k=2, c=3, dtype=torch.float64, grad=True)
    mask = {"none": None, "boolean": torch.rand(3, 5) > 0.3, "additive": torch.randn(3, 5, dtype=torch.float64)}[kind]
    if mask is not None:
        mask[1] = False if kind == "boolean" else -math.inf
    kwargs = {"mask": mask, "causal": causal, "scale": 0.9}
    assert torch.autograd.gradcheck(lambda *t: attend(*t, **kwargs), (q, k, v), fast_mode=True)
    assert torch.autograd.gradcheck(lambda *t: attention_weights(*t, **kwargs), (q, k), fast_mode=True)


def test_gradient_of_a_learned_bias():
    """An additive mask may be learned, as relative position biases are."""
    q, k, v = tensors()
    bias = torch.randn(6, 7, 11, requires_grad=True)
    direction = torch.randn(2, 6, 7, 5)
    one = torch.autograd.grad(attend(q, k, v, mask=bias), bias, direction)[0]
    other = torch.autograd.grad(mixed(q, k, v, mask=bias), bias, direction)[0]
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_of_one_input_only(which, dtype):
    tensors_ = tensors(dtype=dtype)
    tensors_[which].requires_grad_()
    gradient = torch.autograd.grad(attend(*tensors_).float().sum(), tensors_[which])[0]
    assert gradient.dtype == dtype
    assert gradient.isfinite().all()


class Seen(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Any, tuple, dict]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def test_a_function_mode_sees_attend_once_with_its_arguments():
    q, k, v = tensors()
    mask = torch.rand(7, 11) > 0.3
    with Seen() as seen:
        watched = attend(q, k, v, mask, causal=True)
    assert torch.equal(watched, attend(q, k, v, mask, causal=True))
    mine = [call for call in seen.calls if call[0] is saccade.ops.attend]
    assert len(mine) == 1
    _, args, kwargs = mine[0]
    assert all(one is other for one, other in zip(args, (q, k, v), strict=True))
    assert kwargs == {"mask": mask, "scale": None, "causal": True}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("q", "k", "v"),
    [
        ((2, 6, 7, 13), (1, 3, 11, 13), (2, 3, 11, 5)),  # batches differ
        ((2, 6, 7, 13), (2, 3, 11, 12), (2, 3, 11, 5)),  # q and k differ in width
        ((2, 6, 7, 13), (2, 3, 11, 13), (2, 3, 10, 5)),  # k and v differ in length
        ((2, 6, 7, 13), (2, 3, 11, 13), (2, 6, 11, 5)),  # k and v differ in heads
        ((2, 6, 7, 13), (2, 4, 11, 13), (2, 4, 11, 5)),  # 4 heads do not serve 6
        ((2, 6, 7, 13), (2, 0, 11, 13), (2, 0, 11, 5)),  # no heads at all
        ((2, 7, 78), (2, 11, 78), (2, 11, 78)),  # heads not split
    ],
)
def test_wrong_shapes_are_named(q, k, v):
    with pytest.raises(SaccadeError, match="do not fit together") as caught:
        attend(torch.randn(q), torch.randn(k), torch.randn(v))
    for shape in (q, k, v):
        assert str(shape) in str(caught.value)


@pytest.mark.parametrize("shape", [(5, 11), (7, 10), (3, 1, 7, 11), (1, 2, 6, 7, 11), (7,)])
@pytest.mark.parametrize("function", [attend, mixed])
def test_masks_that_do_not_broadcast_are_named(function, shape):
    with pytest.raises(SaccadeError, match=r"does not broadcast .*\(2, 6, 7, 11\)") as caught:
        function(*tensors(), mask=torch.ones(shape, dtype=torch.bool))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("function", [attend, mixed])
def test_integer_masks_are_refused(function):
    """0 and 1 would otherwise be added to the scores, which nobody who writes them wants."""
    with pytest.raises(SaccadeError, match=r"torch.int64.*mask.bool\(\)"):
        function(*tensors(), mask=torch.ones(7, 11, dtype=torch.long))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mask", [None, torch.rand(7, 11) > 0.3, torch.randn(2, 1, 7, 11)])
def test_compiled(mask, dtype):
    torch._dynamo.reset()
    inputs = tensors(dtype=dtype, grad=True)
    compiled = torch.compile(attend, backend="eager", fullgraph=True)
    for causal in (False, True):
        out = compiled(*inputs, mask=mask, causal=causal)
        torch.testing.assert_close(out, attend(*inputs, mask=mask, causal=causal))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("autocast", [False, True])
def test_compiled_as_one_graph(autocast):
    """Whether a device has autocast cannot be traced by torch.compile of PyTorch 2.11, where a block with attention
    then breaks into several graphs."""
    q, k, v = (torch.randn(2, 3, n, 7, generator=torch.Generator().manual_seed(n)) for n in (5, 11, 11))
    mask = torch.rand(2, 1, 1, 11, generator=torch.Generator().manual_seed(1)) < 0.7
    torch._dynamo.reset()
    compiled = torch.compile(attend, fullgraph=True, backend="eager")
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        expected, found = attend(q, k, v, mask=mask), compiled(q, k, v, mask=mask)
    assert found.dtype == (torch.bfloat16 if autocast else torch.float32)
    assert torch.equal(found, expected)
