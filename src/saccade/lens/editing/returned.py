"""The weights that a model returns beside its output, where their attention was edited: those of the edited calls."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from saccade import ops
from saccade.lens.attention.args import Asked
from saccade.lens.modes import unseen
from saccade.lens.recognising.eager import Recogniser
from saccade.lens.recognising.products import whole
from saccade.lens.recognising.resolve import Layout, Settled
from saccade.lens.recognising.softmax_weights import Weights


class Returned:
    """Knows the edited call of every softmax as long as its weights live."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._made: WeakKeyDictionary[Settled, Asked] = WeakKeyDictionary()

    def made(self, settled: Settled, asked: Asked) -> None:
        """An edit made this call of the weights of a softmax."""
        self._made[settled] = asked

    def replaced(self, output: Any) -> Any:
        """The output of a model, nested as it may be, with edited weights in place of the model's own; None if there
        are none in it. They are known as they met values and in other layouts, not what else was made of them (a mean).
        Where an edit attends to more sources than the model does, None stands for them."""
        if not (len(self._made) and any(self._asked(leaf) for leaf in tree_leaves(output))):
            return None
        with unseen():
            return tree_map(lambda leaf: _weights(*asked, leaf) if (asked := self._asked(leaf)) else leaf, output)

    def _asked(self, leaf: Any) -> tuple[Asked, Weights, Layout] | None:
        """The edited call of a tensor of weights."""
        known = self._recogniser.weights(leaf) if isinstance(leaf, Tensor) else None
        if known is None or known.changed or known.softmax is None:
            return None
        asked = self._made.get(known.softmax)
        return None if asked is None else (asked, known, known.softmax.layout)


def _weights(asked: Asked, known: Weights, layout: Layout, t: Tensor) -> Tensor | None:
    if asked.k.shape[2] != layout.m:
        return None
    with torch.autocast(t.device.type, enabled=False):
        weights = ops.attention_weights(asked.q, asked.k, asked.mask, asked.scale, asked.causal)
    found = whole(weights, known, layout)
    return None if found is None else found.to(t.dtype)
