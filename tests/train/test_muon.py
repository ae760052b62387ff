"""Muon against PyTorch's, and its orthogonalization against singular values."""

import pytest
import torch

from saccade.train.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(7, 13), (13, 7), (11, 11)])
def test_singular_values_come_to_lie_about_one(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    found = torch.linalg.svdvals(orthogonalized(matrices))
    assert found.min() > 0.3
    assert found.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    similarity = torch.cosine_similarity((left @ right).flatten(1), orthogonalized(matrices).flatten(1))
    assert similarity.min() > 0.95


@pytest.mark.parametrize("shape", [(7, 13), (13, 7)])
def test_updates_are_those_of_pytorch_up_to_its_bf16(shape):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(2, *shape, generator=generator)
    ours, theirs = ([torch.nn.Parameter(each.clone()) for each in start] for _ in range(2))
    optimizers = Muon(ours, lr=0.05, weight_decay=0.1), torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1)
    for _ in range(4):
        gradients = torch.randn(2, *shape, generator=generator)
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
    moved = (torch.stack(theirs) - start).abs().mean()
    assert (torch.stack(ours) - torch.stack(theirs)).abs().mean() < 0.02 * moved
    buffers = [optimizers[0].state[p]["momentum_buffer"] for p in ours]
    torch.testing.assert_close(buffers, [optimizers[1].state[p]["momentum_buffer"] for p in theirs])


def test_a_matrix_without_a_gradient_stays_as_it_is():
    used, unused = (torch.nn.Parameter(torch.ones(3, 5)) for _ in range(2))
    used.grad = torch.ones(3, 5)
    Muon([used, unused]).step()
    assert not torch.equal(used, torch.ones(3, 5))
    assert torch.equal(unused, torch.ones(3, 5))
