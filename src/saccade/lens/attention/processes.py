"""Models whose tensors are spread over several processes: what one process sees of their attention."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

DISTRIBUTED = (
    "its q, k and v are distributed over processes (DTensor), so that no process holds a whole map; watch the model "
    "on one process"
)
PART = "these are the {} heads of one of {} processes alone (tensor parallelism), numbered from 0 on each"


def distributed(t: Tensor) -> bool:
    """Whether a tensor is a part of one that several processes hold."""
    return type(t).__name__ == "DTensor"


def processes_of(module: nn.Module) -> int:
    """Over how many processes the weights of a module are divided, which then attends with a part of its heads; 1 as a
    rule."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    parameters: Iterator[Any] = module.parameters()
    sharded = (p for p in parameters if distributed(p) and any(each.is_shard() for each in p.placements))
    return max((p.device_mesh.size() for p in sharded), default=1)
