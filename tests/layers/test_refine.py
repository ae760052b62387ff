"""Convolutions behind a generator's blocks."""

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange, repeat

from saccade.layers import PixelRefiner


def random_refine(hidden=5, width=7):
    refine = PixelRefiner(3, hidden, width)
    for parameter in refine.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return refine


def inputs(height=8, width=16, patch=8, n=2):
    shape = (n, 3, height, width)
    return torch.randn(shape), torch.randn(shape), torch.randn(n, height // patch, width // patch, 7)


def test_it_starts_as_the_identity_and_learns():
    refine, (x, z, tokens) = PixelRefiner(3, 5, 7), inputs()
    found = refine(x, z, tokens)
    assert torch.equal(found, x)
    found.square().sum().backward()
    assert refine.out.weight.grad.any()


@torch.no_grad()
def test_it_sees_about_twenty_pixels_around():
    refine, (x, z, tokens) = random_refine(), inputs(64, 72)
    before = refine(x, z, tokens)
    for picture in (x, z):
        picture[:, :, 32, 36] += 9  # the first pixel of a cell of 4 x 4
        change = (refine(x, z, tokens) != before).any(dim=1).any(dim=0).nonzero()
        first, last = change.amin(dim=0), change.amax(dim=0)
        assert first.tolist() == [32 - 20, 36 - 20]
        assert last.tolist() == [35 + 16, 39 + 16]


@torch.no_grad()
@pytest.mark.parametrize(("size", "patch"), [((8, 16), 8), ((20, 4), 4), ((24, 36), 12)])
def test_it_is_what_its_parts_say(size, patch):
    """Channels first throughout."""
    refine, inputs_ = random_refine().double(), inputs(*size, patch)
    x, z, tokens = (each.double() for each in inputs_)

    def norm(layer, places):
        return rearrange(layer(rearrange(places, "n c y x -> n y x c")), "n y x c -> n c y x")

    fine = refine.first(rearrange(torch.cat([x, z], dim=1), "n c (y p) (x q) -> n (c p q) y x", p=2, q=2))
    half = patch // 2
    shift, scale = repeat(refine.modulation(tokens), "n h w (k c) -> k n c (h p) (w q)", k=2, p=half, q=half)
    fine = F.silu(norm(refine.norm, fine) * (1 + scale) + shift)
    coarse = refine.down(fine)
    for residual in refine.residuals:
        coarse = coarse + residual.conv(F.silu(norm(residual.norm, coarse)))
    fine = fine + rearrange(refine.up(coarse), "n (c p q) y x -> n c (y p) (x q)", p=2, q=2)
    correction = refine.out(F.silu(refine.last(fine)))
    expected = x + rearrange(correction, "n (c p q) y x -> n c (y p) (x q)", p=2, q=2)
    torch.testing.assert_close(refine(x, z, tokens), expected)
