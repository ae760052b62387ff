"""What a backward pass says of an attention call: the gradient of its output, from which that of its map follows.

The output is O = A V, so dL/dA = dO Vᵀ exactly: with dO kept beside v, the gradient of any row of the map is one small
product, and the map itself is never part of the graph.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import Node

from saccade.errors import SaccadeError
from saccade.lens.dataflow.operation import tensors

DROPPED = "dropout changed its weights in a way that is not kept; call model.eval() first"
DEEPEST = 12  # operations between the output of an attention module of torch.nn and the call within it


class Gradient:
    """dL/dO of one call, once a backward pass has brought it. why: what keeps it from being known, "" if nothing.
    rows: makes (b h n c) of the output of a call whose axes are in another order."""

    def __init__(
        self, shape: tuple[int, int, int], why: str = "", rows: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self._shape, self._why, self._rows = shape, why, rows  # (b h n)
        self._arrived: list[Tensor] = []
        self.followed = False

    @classmethod
    def of(cls, arrived: Float[Tensor, "b h n c"]) -> "Gradient":
        """One that a backward pass has brought already."""
        gradient = cls((arrived.shape[0], arrived.shape[1], arrived.shape[2]))
        gradient.followed = True
        gradient.arrive(arrived)
        return gradient

    @property
    def known(self) -> bool:
        """Whether `value` gives it."""
        return len(self._arrived) == 1 and not self._why

    @property
    def refused(self) -> bool:
        """Whether it can never be known."""
        return bool(self._why)

    def follow(self, out: Tensor, rows: Callable[[Tensor], Tensor | None] | None = None) -> None:
        """Wait for the gradient of the output of a call, however its batch and heads are laid out.

        rows: makes (b h n c) of it where it has other axes."""
        if out.requires_grad:
            self.followed, rows = True, rows or self._rows
            out.register_hook(self.arrive if rows is None else lambda given: self.arrive(rows(given)))

    def refuse(self, why: str) -> None:
        """It turned out that the gradient of the map is not what dL/dO tells."""
        self._why = self._why or why

    def follow_inner(self, out: Any) -> None:
        """The same for the fused call nearest before `out`, what the module or function around it returned."""
        node = nearest_node(out, "ScaledDotProduct")
        if node is not None:
            self.follow_node(node)

    def follow_node(self, node: Node, rows: Callable[[Tensor], Tensor | None] | None = None) -> None:
        """The same for the result of a node of the graph."""

        def arrive(given: tuple[Tensor | None, ...]) -> None:
            self.arrive(given[0] if rows is None or given[0] is None else rows(given[0]))

        self.followed = True
        node.register_prehook(arrive)

    def arrive(self, gradient: Tensor | None) -> None:
        """A backward pass came by."""
        if gradient is not None:
            self._arrived.append(gradient.detach().reshape(*self._shape, -1))

    def agrees(self, whole: Float[Tensor, "b h n m"], v: Float[Tensor, "b g m c"]) -> bool:
        """Whether dO Vᵀ of the last backward pass is the gradient of the map, as autograd has it."""
        if not self._arrived:
            return False
        last = self._arrived[-1]
        coarse = max(torch.finfo(t.dtype).eps for t in (last, whole, v))
        for out, values, expected in zip(last, v, whole, strict=True):  # a picture at a time
            values = values.repeat_interleave(len(out) // len(values), dim=0)
            dtype = torch.promote_types(expected.dtype, torch.float32)
            off = (out.to(dtype) @ values.to(dtype).mT - expected).abs().max()
            if not off <= (1e-3 if coarse < 1e-6 else 6e-2) * expected.abs().max():
                return False
        return True

    def value(self, name: str) -> Float[Tensor, "b h n c"]:
        """dL/dO. Raises SaccadeError, naming the call, unless exactly one backward pass brought it."""
        if self._why:
            raise SaccadeError(f"the gradient of the map of {name!r} is not known: {self._why}")
        if not self.followed:
            raise SaccadeError(
                f"no gradient can reach {name!r}: it ran without gradients (torch.no_grad, frozen weights and inputs, "
                "reentrant checkpointing) or in an order of operations that is not known; run the model with gradients "
                "enabled and a parameter or an input that requires them"
            )
        if not self._arrived:
            raise SaccadeError(
                f"no backward pass reached {name!r}: call .backward() on a number that depends on it, such as "
                "logits[0, 281], inside the watch block; or choose the calls that it depends on first"
            )
        if len(self._arrived) > 1:
            raise SaccadeError(
                f"{len(self._arrived)} backward passes reached {name!r}: which one is meant? Watch one at a time"
            )
        return self._arrived[0]


def nearest_node(out: Any, name: str, deepest: int = DEEPEST) -> Node | None:
    """The operation of this name in the graph that is nearest before `out`, a node, a tensor, or several of which the
    first counts."""
    first = out if isinstance(out, Node) else next((t.grad_fn for t in tensors((out,))), None)
    level = [] if first is None else [first]
    for _ in range(deepest):
        for found in level:
            if name in found.name():
                return found
        level = [before for each in level for before, _ in each.next_functions if before is not None]
    return None
