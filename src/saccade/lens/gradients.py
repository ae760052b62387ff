"""What a backward pass says of an attention call: the gradient of its output, from which that of its map follows.

The output is O = A V, so dL/dA = dO Vᵀ exactly: with dO kept beside v, the gradient of any row of the map is one small
product, and the map itself is never part of the graph.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import Node

from saccade.errors import SaccadeError
from saccade.lens.origins import tensors

DEEPEST = 12  # operations between the output of an attention module of torch.nn and the fused call within it


class Gradient:
    """dL/dO of one call, once a backward pass has brought it. dropped: the call used dropout."""

    def __init__(self, shape: tuple[int, int, int], dropped: bool) -> None:
        self._shape, self._dropped = shape, dropped  # (b h n)
        self._arrived: list[Tensor] = []
        self.followed = False

    @classmethod
    def of(cls, arrived: Float[Tensor, "b h n c"]) -> "Gradient":
        """One that a backward pass has brought already."""
        gradient = cls((arrived.shape[0], arrived.shape[1], arrived.shape[2]), dropped=False)
        gradient.followed = True
        gradient.arrive(arrived)
        return gradient

    @property
    def known(self) -> bool:
        """Whether `value` gives it."""
        return len(self._arrived) == 1 and not self._dropped

    def follow(self, out: Tensor) -> None:
        """Wait for the gradient of the output of a call, however its batch and heads are laid out."""
        if out.requires_grad:
            self.followed = True
            out.register_hook(self.arrive)

    def follow_within(self, out: Any) -> None:
        """The same for the fused call nearest before `out`, what the module or function around it returned."""
        first = next(tensors((out,), {}), None)
        node = None if first is None else _fused(first.grad_fn)
        if node is not None:
            self.followed = True
            node.register_prehook(lambda given: self.arrive(given[0]))

    def arrive(self, gradient: Tensor | None) -> None:
        """A backward pass came by."""
        if gradient is not None:
            self._arrived.append(gradient.detach().reshape(*self._shape, -1))

    def value(self, name: str) -> Float[Tensor, "b h n c"]:
        """dL/dO. Raises SaccadeError, naming the call, unless exactly one backward pass brought it."""
        if self._dropped:
            raise SaccadeError(
                f"the gradient of the map of {name!r} is not known: dropout changed its weights in a way that is not "
                "kept; call model.eval() first"
            )
        if not self.followed:
            raise SaccadeError(
                f"no gradient can reach {name!r}: it ran without gradients (torch.no_grad, frozen weights and inputs, "
                "reentrant checkpointing) or as separate operations; run the model with gradients enabled, a parameter "
                'or an input that requires them, and fused attention (attn_implementation="sdpa")'
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


def _fused(node: Node | None) -> Node | None:
    """The fused attention nearest before a node of the graph."""
    level = [node] if node is not None else []
    for _ in range(DEEPEST):
        for found in level:
            if "ScaledDotProduct" in found.name():
                return found
        level = [before for each in level for before, _ in each.next_functions if before is not None]
    return None
