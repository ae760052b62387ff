"""A generation by readable attention, whose maps a test may change: the reference of edits."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import saccade
from saccade.layers import attention
from saccade.tasks.generate.sample import sample
from saccade.tasks.generate.sampling_start import seeded_noise
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask

Change = Callable[[str, int, Tensor, Tensor, Tensor, Tensor], Tensor]


@torch.no_grad()
def paint(task: GenerateTask, settings: list[Settings]) -> Tensor:
    """The pictures as numbers."""
    noise = torch.stack([seeded_noise(each.seed, 3, each.size) for each in settings])
    return sample(task.model, noise, task.encode(settings), settings[0].sampling)


def paint_readably(task: GenerateTask, settings: list[Settings], patches: int, change: Change) -> Tensor:
    """The same with change(kind, number of the call of this kind, map, q, k, v), which returns the output, in place of
    each fused call of the blocks."""
    calls = {"self": 0, "cross": 0}

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        weights = saccade.attention_weights(q, k, mask=mask)
        if q.shape[2] != patches:
            return weights @ v
        kind = "self" if k.shape[2] == patches else "cross"
        calls[kind] += 1
        return change(kind, calls[kind] - 1, weights, q, k, v)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "attend", attend)
        return paint(task, settings)
