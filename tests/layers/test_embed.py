"""From pictures to tokens, and where they are."""

import pytest
import torch
import torch.nn.functional as F

from saccade.errors import SaccadeError
from saccade.layers import LearnedPositions, PatchEmbed, RotaryPositions, SinCosPositions
from saccade.ops import grid_of, interpolate, patchify, rotary_angles, sincos


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(8, 12), (11, 5), (4, 4)])
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_it_is_one_linear_map_of_flattened_patches(patch, height, width, bias):
    """The convolution keeps its weight as (d c p q); a flattened patch is (p q c), so the same linear map has the
    weight rearranged to (d p q c)."""
    embed, picture = PatchEmbed(3, 5, patch, bias=bias), torch.randn(2, 3, height, width)
    weight = embed.project.weight.permute(0, 2, 3, 1).flatten(1)
    expected = F.linear(patchify(picture, patch), weight, embed.project.bias)
    torch.testing.assert_close(embed(picture), expected)


@pytest.mark.parametrize(("patch", "window"), [(1, 3), (4, 4), (4, 8), (4, 10), (2, 12), (16, 32)])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (37, 50)])
def test_a_wider_window_keeps_the_grid(patch, window, height, width):
    rows, columns = grid_of(height, width, patch)
    assert PatchEmbed(3, 5, patch, window)(torch.randn(2, 3, height, width)).shape == (2, rows * columns, 5)


def test_a_wider_window_reaches_equally_far_on_every_side():
    embed = PatchEmbed(1, 1, patch=4, window=8, bias=False)
    torch.nn.init.ones_(embed.project.weight)
    picture = torch.zeros(1, 1, 20, 20, requires_grad=True)
    embed(picture)[0, 12, 0].backward()  # the token in the middle of 5 x 5
    seen = torch.zeros(20, 20)
    seen[6:14, 6:14] = 1  # its patch is 8 to 11; two pixels more on every side
    assert torch.equal(picture.grad[0, 0], seen)


@pytest.mark.parametrize(("patch", "window"), [(4, 5), (4, 7), (1, 2), (4, 2), (4, 0)])
def test_windows_that_cannot_be_centred(patch, window):
    with pytest.raises(SaccadeError, match=rf"window of {window} pixels .* {patch}, {patch + 2}, {patch + 4}"):
        PatchEmbed(3, 5, patch, window)


def test_pixels_beyond_the_grid_are_not_seen():
    embed, picture = PatchEmbed(3, 5, 4, window=8), torch.randn(1, 3, 11, 13)
    changed = picture.clone()
    changed[:, :, 8:], changed[..., 12:] = 99, 99
    assert torch.equal(embed(picture), embed(changed))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (1, 1, 8, 8), (3, 8, 8), (1, 8, 8, 3)])
def test_pictures_of_another_layout(shape):
    with pytest.raises(SaccadeError, match=r"expected \(b c y x\) with 3 channels") as caught:
        PatchEmbed(3, 5, 4)(torch.randn(shape))
    assert str(shape) in str(caught.value)


def test_no_pictures():
    assert PatchEmbed(3, 5, 4)(torch.randn(0, 3, 8, 12)).shape == (0, 6, 5)


@pytest.mark.parametrize("offset", [0.0, 0.1])
@pytest.mark.parametrize("antialias", [False, True])
def test_learned_positions(antialias, offset):
    positions = LearnedPositions((3, 5), 7, antialias, offset)
    assert positions((3, 5)) is positions.table
    expected = interpolate(positions.table, (3, 5), (4, 11), antialias, offset)
    assert torch.equal(positions((4, 11)), expected)
    positions((4, 11)).sum().backward()
    assert (positions.table.grad != 0).any(dim=1).sum() > 10


def test_sincos_positions():
    positions = SinCosPositions(8)
    assert torch.equal(positions((3, 5)), sincos((3, 5), 8))
    assert not positions.state_dict()
    assert positions.double()((3, 5)).dtype == torch.float64
    assert positions.to("meta")((3, 5)).device.type == "meta"


def test_rotary_positions():
    positions = RotaryPositions(8, prefix=2, native=(3, 5))
    assert torch.equal(positions((6, 10)), rotary_angles((6, 10), 8, 2, extent=(3, 5)))
    assert not positions.state_dict()
    assert positions.bfloat16()((3, 5)).dtype == torch.float32  # angles stay exact in a half-precision model
    assert positions.to("meta")((3, 5)).device.type == "meta"
