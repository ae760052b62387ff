"""Positions against plain loops over the papers' formulas in float64, and against what they promise."""

import itertools
import math

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from saccade.errors import SaccadeError
from saccade.ops import interpolate, rotary_angles, rotate, sincos

GRIDS = [(7,), (3, 5), (5, 3), (2, 3, 5), (1, 1), (1, 7)]


def places(grid):
    """Every place in the order of flattening: the last axis turns fastest."""
    return list(itertools.product(*(range(size) for size in grid)))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("period", [10000.0, 100.0])
def test_sincos_is_the_formula(grid, period):
    """PE(pos, 2i) = sin(pos / period^(2i/d)), PE(pos, 2i + 1) = cos of the same (Vaswani et al. 2017, 3.5), where d
    is an axis's share of the width. All sines of an axis stand before its cosines."""
    share = 14
    width = share * len(grid)
    expected = torch.empty(math.prod(grid), width, dtype=torch.float64)
    for token, place in enumerate(places(grid)):
        for axis, position in enumerate(place):
            for i in range(share // 2):
                angle = position / period ** (2 * i / share)
                expected[token, axis * share + i] = math.sin(angle)
                expected[token, axis * share + share // 2 + i] = math.cos(angle)
    torch.testing.assert_close(sincos(grid, width, period).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("grid", GRIDS)
def test_sincos_tells_places_apart(grid):
    table = sincos(grid, 12 * len(grid))
    assert (torch.cdist(table, table) + torch.eye(len(table)) > 0.05).all()


def test_sincos_width():
    with pytest.raises(SaccadeError, match="over 2 axes needs a width that is a multiple of 4, not 6"):
        sincos((3, 5), 6)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_rotary_angles_are_the_formula(grid, prefix):
    """Pair i of an axis turns by place * period^(-i / pairs of an axis) (Su et al. 2021, eq. 15)."""
    width, axes = 22, len(grid)
    each = width // 2 // axes  # 11 pairs: an odd leftover in 2-D and 3-D
    expected = torch.zeros(prefix + math.prod(grid), width // 2, dtype=torch.float64)
    for token, place in enumerate(places(grid)):
        for axis, position in enumerate(place):
            for i in range(each):
                expected[prefix + token, axis * each + i] = position * 100.0 ** (-i / each)
    angles = rotary_angles(grid, width, prefix)
    torch.testing.assert_close(angles.double(), expected, atol=1e-5, rtol=0)
    assert (angles[:prefix] == 0).all()
    assert (angles[:, each * axes :] == 0).all()


def test_rotary_on_an_extent():
    """The same picture cut twice as fine: four small patches lie around the centre of the large one."""
    coarse = rotary_angles((3, 5), 8, extent=(3, 5))
    fine = rotary_angles((6, 10), 8, extent=(3, 5))
    merged = F.avg_pool2d(fine.view(6, 10, 4).permute(2, 0, 1), 2).permute(1, 2, 0).flatten(0, 1)
    torch.testing.assert_close(merged, coarse)
    shift = coarse - rotary_angles((3, 5), 8)  # at the native grid only a shift of every place by half a token
    torch.testing.assert_close(shift, shift[:1].expand_as(shift))


def test_rotate_is_the_rotation_of_a_pair():
    x = torch.randn(1, 1, 3, 4)
    turned = rotate(x, torch.tensor([[0.0, 0.0], [math.pi / 2, 0.0], [0.3, -0.7]]))
    torch.testing.assert_close(turned[0, 0, 0], x[0, 0, 0])
    a, b, c, d = x[0, 0, 1].tolist()  # pairs are (a, c) and (b, d)
    torch.testing.assert_close(turned[0, 0, 1], torch.tensor([-c, b, a, d]))
    for pair, angle in ((0, 0.3), (1, -0.7)):
        as_complex = torch.complex(x[0, 0, 2, pair], x[0, 0, 2, pair + 2]) * complex(math.cos(angle), math.sin(angle))
        torch.testing.assert_close(turned[0, 0, 2, pair], as_complex.real)
        torch.testing.assert_close(turned[0, 0, 2, pair + 2], as_complex.imag)


@given(st.sampled_from([(7,), (3, 5), (2, 3, 5)]), st.sampled_from([2, 6, 8, 22, 30]), st.integers(0, 2))
def test_a_rotated_product_depends_on_the_difference_of_places_only(grid, width, prefix):
    q, k = torch.randn(2, width, dtype=torch.float64)
    angles = rotary_angles(grid, width, prefix).double()
    n = len(angles)
    products = rotate(q.expand(1, 1, n, -1), angles)[0, 0] @ rotate(k.expand(1, 1, n, -1), angles)[0, 0].T
    seen: dict[tuple[int, ...], float] = {}
    for i, here in enumerate(places(grid)):
        for j, there in enumerate(places(grid)):
            step = tuple(a - b for a, b in zip(here, there, strict=True))
            product = float(products[prefix + i, prefix + j])
            assert abs(product - seen.setdefault(step, product)) < 1e-4
    assert torch.allclose(products[:prefix, :prefix], q @ k)


@pytest.mark.parametrize("grid", [(7,), (3, 5), (2, 3, 5)])
def test_rotation_keeps_lengths_and_the_prefix(grid):
    angles = rotary_angles(grid, 26, prefix=2)
    x = torch.randn(2, 3, len(angles), 26)
    turned = rotate(x, angles)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, :, :2], x[:, :, :2])
    assert not torch.allclose(turned[:, :, -1], x[:, :, -1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_rotate_keeps_the_dtype(dtype):
    x, angles = torch.randn(1, 1, 7, 4), rotary_angles((7,), 4)
    turned = rotate(x.to(dtype), angles)
    assert turned.dtype == dtype
    torch.testing.assert_close(turned.float(), rotate(x, angles), atol=0.04, rtol=0)


def test_more_axes_than_pairs_turn_nothing():
    assert (rotary_angles((2, 3, 5), 4) == 0).all()


def test_an_odd_head_width_has_no_pairs():
    with pytest.raises(SaccadeError, match="must be even, not 7"):
        rotary_angles((3, 5), 7)


@pytest.mark.parametrize("function", [sincos, rotary_angles])
@pytest.mark.parametrize("grid", [(), (0, 5), (3, 0)])
def test_a_grid_without_tokens(function, grid):
    with pytest.raises(SaccadeError):
        function(grid, 12)


# -- learned tables on another grid ------------------------------------------------------------------------------------


def as_picture(table, grid):
    return table.T.reshape(1, table.shape[1], *grid)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("to", [(3, 5), (5, 3), (11, 13), (2, 2), (1, 1), (7, 5)])
def test_interpolate_is_bicubic(to, antialias):
    table = torch.randn(7 * 5, 3)
    expected = F.interpolate(as_picture(table, (7, 5)), size=to, mode="bicubic", antialias=antialias)
    result = interpolate(table, (7, 5), to, antialias=antialias)
    torch.testing.assert_close(result, expected[0].flatten(1).T)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("to", [(3, 5), (5, 3), (11, 13), (16, 16), (37, 37), (1, 2)])
def test_interpolate_with_an_offset_is_the_original_dinov2(to, antialias):
    """facebookresearch/dinov2, vision_transformer.py: scale factors (to + 0.1) / native."""
    table = torch.randn(7 * 7, 3)
    factors = tuple((size + 0.1) / 7 for size in to)
    expected = F.interpolate(as_picture(table, (7, 7)), scale_factor=factors, mode="bicubic", antialias=antialias)
    assert expected.shape[-2:] == to
    torch.testing.assert_close(interpolate(table, (7, 7), to, antialias, offset=0.1), expected[0].flatten(1).T)


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_the_native_grid_is_left_as_it_is(offset):
    table = torch.randn(15, 7)
    assert interpolate(table, (3, 5), (3, 5), antialias=True, offset=offset) is table


def test_as_many_tokens_in_another_shape_are_another_grid():
    table = torch.randn(16, 3)
    assert not torch.allclose(interpolate(table, (4, 4), (2, 8)), table)


def test_a_flat_table_stays_flat():
    table = torch.randn(1, 3).expand(15, 3)
    torch.testing.assert_close(interpolate(table, (3, 5), (7, 11)), table[:1].expand(77, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_interpolate_keeps_the_dtype(dtype):
    table = torch.randn(15, 3, dtype=torch.float64)
    result = interpolate(table.to(dtype), (3, 5), (5, 7))
    assert result.dtype == dtype
    close = 1e-12 if dtype == torch.float64 else 0.04
    expected = F.interpolate(as_picture(table, (3, 5)), size=(5, 7), mode="bicubic")[0].flatten(1).T
    torch.testing.assert_close(result.double(), expected, atol=close, rtol=0)


def test_interpolation_has_gradients():
    table = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: interpolate(t, (2, 3), (3, 4)), (table,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("heads_first", [True, False])
def test_rotate_gives_the_same_numbers_with_and_without_gradients(dtype, heads_first):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 7, 22, generator=generator).to(dtype)
    x = x if heads_first else x.transpose(1, 2)
    angles = torch.randn(x.shape[2], 11, generator=generator) * 9
    with torch.no_grad():
        turned = rotate(x, angles)
    assert torch.equal(turned, rotate(x.clone().requires_grad_(), angles))
    assert turned.dtype == dtype
