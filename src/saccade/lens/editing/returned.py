"""The weights that a model returns beside its output, where their attention was edited: those of the edited calls."""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from saccade import ops
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.modes import hidden
from saccade.lens.recognising.eager import Recogniser
from saccade.lens.recognising.products import whole
from saccade.lens.recognising.resolve import ResolvedSoftmax, ScoreLayout
from saccade.lens.recognising.softmax_weights import Weights


class EditedSoftmaxes:
    """Knows the edited call of every softmax as long as its weights live."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._made: WeakKeyDictionary[ResolvedSoftmax, AttentionArgs] = WeakKeyDictionary()

    def add(self, resolved: ResolvedSoftmax, arguments: AttentionArgs) -> None:
        """An edit made this call of the weights of a softmax."""
        self._made[resolved] = arguments

    def replaced(self, output: Any) -> Any:
        """The output of a model, nested as it may be, with edited weights in place of the model's own; None if there
        are none in it. They are known as they met values and in other layouts, not what else was made of them (a mean).
        Where an edit attends to more sources than the model does, None stands for them."""
        if not (len(self._made) and any(self._edited(leaf) for leaf in tree_leaves(output))):
            return None
        with hidden():
            return tree_map(
                lambda leaf: _weights(*arguments, leaf) if (arguments := self._edited(leaf)) else leaf, output
            )

    def _edited(self, leaf: Any) -> tuple[AttentionArgs, Weights, ScoreLayout] | None:
        """The edited call of a tensor of weights."""
        known = self._recogniser.weights(leaf) if isinstance(leaf, Tensor) else None
        if known is None or known.changed or known.softmax is None:
            return None
        arguments = self._made.get(known.softmax)
        return None if arguments is None else (arguments, known, known.softmax.layout)


def _weights(arguments: AttentionArgs, known: Weights, layout: ScoreLayout, t: Tensor) -> Tensor | None:
    if arguments.k.shape[2] != layout.m:
        return None
    with torch.autocast(t.device.type, enabled=False):
        weights = ops.attention_weights(arguments.q, arguments.k, arguments.mask, arguments.scale, arguments.causal)
    found = whole(weights, known, layout)
    return None if found is None else found.to(t.dtype)
