"""Edits of a generator's attention, each against the same change of readable maps."""

import pytest
import torch

import saccade
from saccade.tasks.generate.sample import Sampling

from . import generators
from .readable import paint, paint_readably

PATCHES = 35
CROSS = "blocks.*.cross_attention"
PROMPT, OTHER = "a red star on rings", "two big blue discs apart"  # as many words


@pytest.fixture(scope="module")
def task():
    return generators.task()


def settings(task, prompt=PROMPT):
    return [task.settings(prompt, "", 5, Sampling(3))]


def check(task, edits, change):
    """An edited generation is the one with changed maps, and another than without."""
    with saccade.edit(task.model, edits) as done:
        edited = paint(task, settings(task))
    assert sum(done.applied.values()) > 0
    torch.testing.assert_close(edited, paint_readably(task, settings(task), PATCHES, change), atol=2e-4, rtol=1e-3)
    assert float((edited - paint(task, settings(task))).abs().max()) > 0.05


def test_scale_source(task):
    def change(kind, _, weights, q, k, v):
        if kind == "cross":
            weights[..., 2] *= 3
        return weights @ v

    check(task, {CROSS: saccade.scale_source(2, 3.0)}, change)


def test_cut(task):
    def change(kind, _, weights, q, k, v):
        if kind == "cross":
            weights[..., 3:] = 0
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return weights @ v

    # words 3 and 4; the negative prompt's one token stays
    check(task, {CROSS: saccade.cut(sources=[3, 4])}, change)


def recorded(task, kind):
    """Maps, keys and values of the other prompt."""
    calls = []

    def keep(found, _, weights, q, k, v):
        calls.extend([(weights, k, v)] if found == kind else [])
        return weights @ v

    paint_readably(task, settings(task, OTHER), PATCHES, keep)
    return calls


@pytest.mark.parametrize("kind", ["self", "cross"])
def test_swap(task, kind):
    maps = recorded(task, kind)
    with saccade.watch(task.model) as trace:
        paint(task, settings(task, OTHER))

    def change(found, i, weights, q, k, v):
        return (maps[i][0] if found == kind else weights) @ v

    check(task, {f"blocks.*.{kind}_attention": saccade.swap(trace)}, change)


def test_borrow(task):
    calls = recorded(task, "self")
    with saccade.watch(task.model, values=True) as trace:
        paint(task, settings(task, OTHER))

    def change(kind, i, weights, q, k, v):
        if kind == "self":
            return saccade.attention_weights(q, calls[i][1]) @ calls[i][2]
        return weights @ v

    check(task, {"blocks.*.self_attention": saccade.borrow(trace)}, change)


def test_during_counts_steps(task):
    def change(kind, i, weights, q, k, v):
        if kind == "cross" and i // 2 == 1:  # of two blocks, the second step
            weights[..., 2] *= 3
        return weights @ v

    check(task, {CROSS: saccade.during(saccade.scale_source(2, 3.0), [1])}, change)
