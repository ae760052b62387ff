"""The views of one call against float64 references, for random shapes, masks and scales."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from saccade.errors import SaccadeError
from saccade.lens import Call
from saccade.lens.trace import tiles

PRIMES = [2, 3, 5, 7, 11, 13]
MASKS = ["none", "bool", "rows", "float", "lowest", "keys"]


@st.composite
def cases(draw):
    """A call and its weights, computed in float64 from the definition."""
    b, g, repeat = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2]))
    n, m, width = draw(st.sampled_from(PRIMES)), draw(st.sampled_from(PRIMES)), draw(st.sampled_from(PRIMES))
    kind, causal = draw(st.sampled_from(MASKS)), draw(st.booleans())
    scale = draw(st.sampled_from([None, 0.3, 1.7]))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    q = torch.randn(b, g * repeat, n, width, generator=generator).to(dtype)
    k = torch.randn(b, g, m, width, generator=generator).to(dtype)
    mask = make_mask(kind, b, n, m, dtype, generator)
    scores = (q.double() @ k.double().repeat_interleave(repeat, dim=1).mT) * (scale or width**-0.5)
    if causal:
        scores = scores.masked_fill(~torch.ones(n, m).tril().bool(), -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.double()
    weights = scores.softmax(-1).nan_to_num(0.0)
    lse = scores.logsumexp(-1) if draw(st.booleans()) else None  # from a kernel, or not
    lse = None if lse is None else lse.to(torch.promote_types(dtype, torch.float32))
    return Call("a.b", "self", q, k, None, lse, mask, scale, causal), weights


def make_mask(kind, b, n, m, dtype, generator):
    allowed = torch.rand(b, 1, n, m, generator=generator) > 0.3
    if kind == "bool":
        return allowed[0, 0]
    if kind == "rows":
        allowed[:, :, 0] = False  # a target that may attend to nothing
        return allowed
    if kind == "float":
        return torch.randn(b, 1, 1, m, generator=generator).to(dtype)
    if kind == "lowest":  # as Hugging Face masks: not -inf but the lowest number, which a whole row may have
        allowed[:, :, 0] = False
        # Scores vanish beside it in any precision: equal weights, not none.
        return torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, torch.finfo(torch.bfloat16).min)
    if kind == "keys":
        return allowed[:, :, :1]
    return None


def close(a, b):
    torch.testing.assert_close(a.double(), b, atol=2e-5, rtol=0)


@given(case=cases(), data=st.data())
def test_views(case, data):
    seen, w = case
    *_, n, m = w.shape
    close(seen.weights(), w)
    idx = data.draw(st.lists(st.integers(-n, n - 1), max_size=3))
    close(seen.rows(idx), w[:, :, idx])
    close(seen.rows(n - 1), w[:, :, -1:])
    idx = data.draw(st.lists(st.integers(-m, m - 1), max_size=3))
    close(seen.columns(idx), w[..., idx])
    close(seen.columns(torch.tensor([0])), w[..., :1])
    close(seen.received(), w.mean(dim=2))
    close(seen.entropy(), torch.special.entr(w).sum(-1))
    values, sources = seen.top(2)
    close(values, w.topk(2).values)
    close(w.gather(-1, sources), values.double())


@given(case=cases())
def test_lse(case):
    seen, w = case
    assert seen.lse.shape == seen.shape[:3]
    assert seen.lse.isfinite().all()
    assert not seen.lse[(w == 0).all(-1)].any()  # as PyTorch's kernel on a CPU does


@given(
    rows=st.sampled_from([1, 2, 3, 5]), columns=st.sampled_from([2, 3, 7]), prefix=st.sampled_from([0, 1, 5]),
    causal=st.booleans(),
)  # fmt: skip
def test_distance(rows, columns, prefix, causal):
    n = prefix + rows * columns
    q, k = torch.randn(2, 3, n, 5), torch.randn(2, 1, n, 5)
    seen = Call("a", "self", q, k, causal=causal)
    w = seen.weights().double()[:, :, prefix:, prefix:]
    w = w / w.sum(-1, keepdim=True)
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for i in range(n - prefix):
        for j in range(n - prefix):
            expected += w[:, :, i, j] * math.dist(divmod(i, columns), divmod(j, columns))
    close(seen.distance((rows, columns)), expected / (n - prefix))


def test_distance_leaves_out_patches_that_attend_to_no_patch():
    allowed = torch.ones(7, 7, dtype=torch.bool)
    allowed[3, 1:] = False  # this one attends to the cls token only
    seen = Call("a", "self", torch.zeros(1, 1, 7, 2), torch.zeros(1, 1, 7, 2), mask=allowed)
    steps = torch.tensor([[math.dist(divmod(i, 3), divmod(j, 3)) for j in range(6)] for i in range(6)])
    expected = steps.mean(1)[[0, 1, 3, 4, 5]].mean()
    torch.testing.assert_close(seen.distance((2, 3)).squeeze(), expected)


@pytest.mark.parametrize(("grid", "prefix"), [((3, 3), None), ((2, 3), 2), ((2, 3), 0), ((0, 3), None), ((-2, -3), 1)])
def test_distance_refuses_a_grid_that_does_not_fit(grid, prefix):
    seen = Call("a.b", "self", torch.zeros(1, 1, 7, 2), torch.zeros(1, 1, 7, 2))
    with pytest.raises(SaccadeError, match=r"distance of 'a.b': a grid of .* does not fit 7 targets"):
        seen.distance(grid, prefix)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda seen: seen.rows("a"), "target numbers of 'a.b' must be whole numbers, not 'a'"),
        (lambda seen: seen.rows(None), "target numbers of 'a.b' must be whole numbers, not None"),
        (lambda seen: seen.columns([[1], [2, 3]]), "source numbers of 'a.b' must be whole numbers"),
        (lambda seen: seen.columns(1j), "source numbers of 'a.b' must be whole numbers"),
        (lambda seen: seen.top(1.5), r"top\(1.5\) of 'a.b': expected whole numbers"),
        (lambda seen: seen.top(None), r"top\(None\) of 'a.b': expected whole numbers"),
        (lambda seen: seen.distance(4), r"a grid of 4; expected \(rows, columns\)"),
        (lambda seen: seen.distance((2, 2, 1)), r"a grid of \(2, 2, 1\); expected \(rows, columns\)"),
        (lambda seen: seen.distance((2.0, 3.0)), r"a grid of \(2.0, 3.0\): expected whole numbers"),
        (lambda seen: seen.distance((2, 3), 1.0), "a prefix of 1.0: expected whole numbers"),
    ],
)
def test_what_is_no_index_is_refused(ask, message):
    with pytest.raises(SaccadeError, match=message):
        ask(Call("a.b", "self", torch.zeros(1, 1, 7, 2), torch.zeros(1, 1, 7, 2)))


def test_indices_out_of_range_are_refused():
    seen = Call("a.b", "cross", torch.zeros(1, 1, 7, 2), torch.zeros(1, 1, 5, 2))
    with pytest.raises(SaccadeError, match=r"target \[7\] of 'a.b': it has 7 targets"):
        seen.rows(7)
    with pytest.raises(SaccadeError, match=r"source \[-6\] of 'a.b': it has 5 sources"):
        seen.columns([-6])
    with pytest.raises(SaccadeError, match=r"top\(6\) of 'a.b': it has 5 sources"):
        seen.top(6)
    with pytest.raises(SaccadeError, match="distance"):
        seen.distance((1, 5))


class Largest(TorchDispatchMode):
    """The largest number of elements in memory of any tensor made while active."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
        sizes = [min(t.numel(), t.untyped_storage().nbytes() // t.element_size()) for t in made]
        self.elements = max(self.elements, *sizes, 0)
        return out


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("view", ["rows", "columns", "received", "entropy", "distance", "top", "lse"])
def test_no_view_makes_a_tensor_of_n_times_m(view, masked):
    n, heads = 521, 2
    mask = (torch.rand(1, 1, 1, n) > 0.2) if masked else None
    seen = Call("a", "self", torch.randn(1, heads, n, 3), torch.randn(1, 1, n, 3), mask=mask)
    arguments = {"rows": [[3, 5]], "columns": [[3, 5]], "distance": [(20, 26)], "top": [3]}.get(view, [])
    with Largest() as largest:
        _ = getattr(seen, view) if view == "lse" else getattr(seen, view)(*arguments)
    assert largest.elements <= heads * n * tiles.TILE < heads * n * n / 4
    with Largest() as largest:
        seen.weights()
    assert largest.elements == heads * n * n


def test_a_cache_of_keys_that_is_overwritten_is_noticed():
    cache = torch.randn(1, 2, 5, 3)
    seen = Call("layers.0", "self", torch.randn(1, 2, 5, 3), cache)
    seen.weights()
    cache[:, :, 0] = 0.0
    with pytest.raises(SaccadeError, match=r"k of 'layers.0' was overwritten in place after the attention call"):
        seen.weights()


def test_only_what_must_be_is_copied():
    def address(t):
        return t.untyped_storage().data_ptr()

    q, k = torch.randn(1, 2, 5, 3), torch.randn(1, 2, 5, 3)
    seen = Call("a", "self", q, k)
    assert (address(seen.q), address(seen.k)) == (address(q), address(k))
    both = torch.randn(3, 1, 2, 5, 3)  # one projection for q, k and v
    seen = Call("a", "self", *both[:2])
    assert address(both) not in (address(seen.q), address(seen.k))
    seen = Call("a", "self", *both)
    assert address(both) == address(seen.q) == address(seen.v)
    with torch.inference_mode():  # such tensors do not notice that they are written into
        made = torch.randn(1, 2, 5, 3)
        seen = Call("a", "self", made, k)
        made.zero_()
    assert seen.q.any()
