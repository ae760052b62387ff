"""A matcher of a few thousand random weights whose words attend to some patches far more than to others."""

import torch

from saccade.tasks.match.task import MatchTask

from ..tasks.match import matchers


@torch.no_grad()
def task() -> MatchTask:
    found = matchers.task()
    for block in found.model.head.blocks:
        block.cross_attention.query_norm.weight.mul_(9)
    return found
