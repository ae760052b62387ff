"""Where the targets of a call lie on the feature map that they were made of."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from saccade.lens.dataflow.lineage import MAP, CallNode, replayed, steps_of


def map_places(node: CallNode | None) -> Int[Tensor, "tokens"] | None:
    """For each target of a call, counted over the batch, its place on the last feature map before it, counted picture
    by picture and row by row; None if that is not known."""
    found: Tensor | None = None
    while node is not None and node.queries is not None:
        step = node.queries.step
        if step is None or (begin := list(steps_of(step))[-1]).kind == MAP:
            on_map = None if step is None else _on_map(node, begin.shape)
            return on_map if on_map is None or found is None else on_map[found]
        before = node.moves_before()
        if before is None:
            return None
        found = before if found is None else before[found]
        node = node.queries.last
    return None


def _on_map(node: CallNode, shape: Sequence[int]) -> Int[Tensor, "tokens"] | None:
    assert node.queries is not None
    assert node.queries.step is not None
    for channels in (-1, 1):  # (b y x c), or (b c y x)
        sides = [size for i, size in enumerate(shape) if i != channels % len(shape)]
        numbers = torch.arange(math.prod(sides), dtype=torch.int32).view(sides).unsqueeze(channels).expand(shape)
        if (found := replayed(node, node.queries.step, numbers)) is not None:
            return found
    return None
