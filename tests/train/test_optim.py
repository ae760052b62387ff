"""Optimizers, rates and the average against plain references."""

import math

import pytest
import torch
from torch import nn

from saccade.train.muon import Muon
from saccade.train.optim import moving_average, optimizers, schedulers, warmup_cosine

from .points import Net, quick


def names(model, group):
    found = {id(p): name for name, p in model.named_parameters()}
    return {found[id(p)] for p in group["params"]}


def test_muon_takes_the_matrices_of_blocks_and_adamw_the_rest():
    model = Net()
    muon, adam = optimizers(model, quick(lr=0.03, adam_lr=0.004, weight_decay=0.05))
    assert isinstance(muon, Muon)
    assert isinstance(adam, torch.optim.AdamW)
    (matrices,) = muon.param_groups
    assert names(model, matrices) == {"blocks.0.weight", "blocks.1.weight"}
    assert (matrices["lr"], matrices["weight_decay"]) == (0.03, 0.05)
    outside, vectors = adam.param_groups
    assert names(model, outside) == {"table", "enter.weight", "head.weight"}
    assert names(model, vectors) == {
        "enter.bias", "blocks.0.bias", "blocks.1.bias", "norm.weight", "norm.bias", "head.bias",
    }  # fmt: skip
    assert (outside["lr"], outside["weight_decay"]) == (0.004, 0.05)
    assert (vectors["lr"], vectors["weight_decay"]) == (0.004, 0.0)


def test_every_parameter_is_trained_once_and_frozen_ones_never():
    model = Net()
    model.enter.requires_grad_(False)
    model.blocks[0].weight.requires_grad_(False)
    found = [p for o in optimizers(model, quick()) for g in o.param_groups for p in g["params"]]
    assert {id(p) for p in found} == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(found) == len({id(p) for p in found})


def test_a_model_without_blocks_is_trained_by_adamw_alone():
    (adam,) = optimizers(nn.Linear(3, 2), quick())
    assert isinstance(adam, torch.optim.AdamW)


def test_no_decay_moves_a_vector_whose_gradient_is_zero():
    model = Net()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for optimizer in optimizers(model, quick(weight_decay=0.5)):
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
    for name, p in model.named_parameters():
        same = torch.equal(p, before[name])
        assert same == (p.ndim == 1), name
        if not same:  # decoupled: every weight is scaled by the same number
            rate = 0.02 if name.startswith("blocks") else 2e-3
            torch.testing.assert_close(p.detach(), before[name] * (1 - rate * 0.5))


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.05), (100, 0.0), (37, 0.31), (1, 0.05), (2, 0.9)])
def test_rates_rise_in_a_line_and_fall_as_a_half_cosine(steps, warmup):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.7)
    (scheduler,) = schedulers([optimizer], warmup_cosine(steps, warmup))
    rise = max(1, round(steps * warmup))
    for step in range(steps):
        if step < rise:
            expected = 0.7 * (step + 1) / rise
        else:
            expected = 0.7 * (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0 if steps > rise else 0.7, abs=1e-12)


@pytest.mark.parametrize("done", [0, 1, 4, 5, 17])
def test_rates_of_a_resumed_run_go_on_where_they_were(done):
    def fresh():
        return torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.7)

    whole = fresh()
    (scheduler,) = schedulers([whole], warmup_cosine(20, 0.25))
    for _ in range(done):
        whole.step()
        scheduler.step()
    resumed = fresh()
    resumed.load_state_dict(whole.state_dict())
    (again,) = schedulers([resumed], warmup_cosine(20, 0.25), done)
    for _ in range(20 - done):
        assert resumed.param_groups[0]["lr"] == pytest.approx(whole.param_groups[0]["lr"], rel=1e-12)
        for optimizer, each in ((whole, scheduler), (resumed, again)):
            optimizer.step()
            each.step()


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.998])
def test_the_average_follows_quickly_at_first(decay):
    model = nn.Linear(3, 2)
    average = moving_average(model, decay)
    torch.testing.assert_close(average.module.weight, model.weight)
    expected = None
    for seen in range(12):
        with torch.no_grad():
            model.weight.normal_()
        average.update_parameters(model)
        now = min(decay, (1 + seen) / (10 + seen))
        expected = model.weight.detach().clone() if seen == 0 else now * expected + (1 - now) * model.weight.detach()
        torch.testing.assert_close(average.module.weight.detach(), expected)
    assert average.module is not model
