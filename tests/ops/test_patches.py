"""Patches: order, round trip, and sizes that do not divide."""

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from saccade.errors import SaccadeError
from saccade.ops import grid_of, patchify, unpatchify


@given(st.sampled_from([1, 2, 3, 7]), st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3, 5]))
def test_round_trip(patch, rows, columns, channels):
    picture = torch.randn(2, channels, rows * patch, columns * patch)
    tokens = patchify(picture, patch)
    assert tokens.shape == (2, rows * columns, patch * patch * channels)
    assert torch.equal(unpatchify(tokens, (rows, columns), patch), picture)


@pytest.mark.parametrize("patch", [16, 32])
def test_patches_of_the_lesson(patch):
    picture = torch.randn(1, 3, 224, 224)
    tokens = patchify(picture, patch)
    assert tokens.shape == (1, (224 // patch) ** 2, patch * patch * 3)
    assert torch.equal(unpatchify(tokens, (224 // patch,) * 2, patch), picture)


def test_order_is_row_by_row_and_channels_last():
    y, x = torch.meshgrid(torch.arange(6), torch.arange(10), indexing="ij")
    picture = torch.stack([y, x])[None]
    tokens = patchify(picture, 2)
    for row in range(3):
        for column in range(5):
            pixels = tokens[0, row * 5 + column].view(2, 2, 2)
            for p in range(2):
                for q in range(2):
                    assert pixels[p, q].tolist() == [2 * row + p, 2 * column + q]


def test_patch_1_makes_every_pixel_a_token():
    picture = torch.randn(2, 3, 5, 7)
    assert torch.equal(patchify(picture, 1), picture.flatten(2).mT)


def test_same_as_unfold():
    """PyTorch's own patches, whose vectors are channels first."""
    picture = torch.randn(2, 3, 15, 21)
    expected = F.unfold(picture, 3, stride=3).view(2, 3, 3, 3, -1).permute(0, 4, 2, 3, 1).flatten(2)
    assert torch.equal(patchify(picture, 3), expected)


@pytest.mark.parametrize(("height", "width"), [(17, 35), (16, 47), (31, 33)])
def test_what_does_not_divide_is_not_seen(height, width):
    """Whole patches only; the rest at the right and at the bottom is left out."""
    picture = torch.randn(1, 3, height, width)
    rows, columns = grid_of(height, width, 16)
    assert (rows, columns) == (height // 16, width // 16)
    assert torch.equal(patchify(picture, 16), patchify(picture[:, :, : rows * 16, : columns * 16], 16))


def test_any_dtype_and_layout():
    picture = torch.arange(2 * 3 * 4 * 6, dtype=torch.uint8).view(2, 4, 6, 3).permute(0, 3, 1, 2)
    assert torch.equal(patchify(picture, 2), patchify(picture.contiguous(), 2))
    assert patchify(torch.randn(0, 3, 4, 6), 2).shape == (0, 6, 12)


@pytest.mark.parametrize(("height", "width"), [(15, 40), (40, 15), (0, 0), (1, 1)])
def test_too_small_a_picture(height, width):
    with pytest.raises(SaccadeError, match=f"{width} x {height} pixels is smaller than one patch of 16 x 16"):
        patchify(torch.randn(1, 3, height, width), 16)


@pytest.mark.parametrize("patch", [0, -1])
def test_no_patch(patch):
    with pytest.raises(SaccadeError, match="at least 1 pixel"):
        grid_of(8, 8, patch)


@pytest.mark.parametrize(("shape", "grid"), [((1, 7, 12), (2, 3)), ((1, 6, 13), (2, 3)), ((1, 6, 12), (3, 3))])
def test_tokens_that_make_no_picture(shape, grid):
    with pytest.raises(SaccadeError, match=f"do not make {grid[0]} x {grid[1]} patches of 2 x 2"):
        unpatchify(torch.randn(shape), grid, 2)
