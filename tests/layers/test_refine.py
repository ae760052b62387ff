"""Convolutions behind a generator's blocks."""

import torch

from saccade.layers import Refine


def test_it_starts_as_the_identity_and_learns():
    refine, x, z, condition = Refine(3, 5, 7), torch.randn(2, 3, 8, 12), torch.randn(2, 3, 8, 12), torch.randn(2, 7)
    found = refine(x, z, condition)
    assert torch.equal(found, x)
    found.square().sum().backward()
    assert refine.out.weight.grad.any()


@torch.no_grad()
def test_it_sees_three_pixels_around_and_the_time():
    refine, x, z = Refine(3, 5, 7), torch.randn(1, 3, 12, 12), torch.randn(1, 3, 12, 12)
    for parameter in refine.parameters():
        torch.nn.init.normal_(parameter)
    condition = torch.randn(1, 7)
    before = refine(x, z, condition)
    assert (refine(x, z, condition + 1) - before).abs().max() > 1e-3
    z[..., 5, 5] += 1
    change = (refine(x, z, condition) - before).abs().amax(dim=(0, 1)) > 1e-6
    assert change.nonzero().amin(dim=0).tolist() == [2, 2]
    assert change.nonzero().amax(dim=0).tolist() == [8, 8]
