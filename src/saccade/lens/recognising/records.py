"""What is known of the tensors of one thread on their way from q·k to the values, by tensor, as long as it lives."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from saccade.lens.dataflow.operation import Operation, tensors
from saccade.lens.dataflow.origins import memory
from saccade.lens.dataflow.tensor_map import TensorMap
from saccade.lens.recognising.resolve import ResolvedSoftmax
from saccade.lens.recognising.scoring import OVERWRITTEN, Scores, version_of
from saccade.lens.recognising.softmax_weights import Weights


class TensorRecords:
    """Scores, weights, and what tells how their axes came about."""

    def __init__(self) -> None:
        self._scores: TensorMap[tuple[Scores, int]] = TensorMap()  # and the version of the tensor then
        self._weights: TensorMap[Weights] = TensorMap()
        self._merged: TensorMap[tuple[int, int]] = TensorMap()  # axes, batch and heads, that the third last is made of
        self._noise: TensorMap[int] = TensorMap()  # 1 if it is what a dropout multiplies with

    def _surely_scores(self, t: Tensor) -> bool:
        return t in self._scores and not self._scores[t][0].ambiguous

    def _get(self, t: Tensor, writes: int = 0) -> Scores:
        """The record of t. writes: how often the operation that is looked at wrote into it."""
        scores, version = self._scores[t]
        same = t.is_inference() or version_of(t) == version + writes
        return scores if same else scores.invalidated("its scores are written into")

    def _put(self, t: Tensor, scores: Scores | None) -> None:
        if scores is None:
            self._scores.pop(t, None)
        else:
            eps = max(scores.eps, torch.finfo(t.dtype).eps)
            self._scores[t] = replace(scores, eps=eps), version_of(t)

    def _written(self, t: Tensor, out: Any) -> None:
        """An operation that returned `out` wrote into t: other tensors of the same memory show it too, and so does what
        was made of them."""
        place = memory(t)
        for other, (scores, _) in list(self._scores.items()):
            if other is not out and memory(other) == place:
                self._scores[other] = scores.invalidated("its scores are written into"), version_of(other)
            elif scores.reads_memory(place):
                self._scores[other] = scores.invalidated(OVERWRITTEN), version_of(other)
        for other, w in list(self._weights.items()):
            if other is not out and memory(other) == place:
                self._set_weights(other, replace(w, changed=w.changed or "a write into them"))
            if isinstance(w.resolved, ResolvedSoftmax) and not w.resolved.used and w.resolved.reads_memory(place):
                w.resolved.stale = True

    def _others(self, t: Tensor, op: Operation) -> tuple[Weights, ...]:
        """Weights of other softmaxes that are put together with the weights t."""
        every = [self._weights[other] for other in op.given if other in self._weights]
        return tuple(w for w in every if w.resolved is not self._weights[t].resolved)

    def _set_weights(self, t: Tensor, w: Weights) -> None:
        self._weights[t] = replace(w, version=version_of(t))

    def _note_merged(self, t: Any, out: Any) -> None:
        """A view that merges two axes before the last two, batch and heads, as is the habit before `bmm`."""
        if isinstance(out, Tensor) and t.ndim == out.ndim + 1 > 3 and t.shape[-2:] == out.shape[-2:]:
            b, h = t.shape[-4:-2]
            if b * h == out.shape[-3] and t.shape[:-4] == out.shape[:-3]:
                self._merged[out] = (b, h)

    def _propagate_merged(self, merged: tuple[int, int], out: Any) -> None:
        for t in tensors((out,)):
            if t.ndim >= 3 and t.shape[-3] == merged[0] * merged[1]:
                self._merged[t] = merged
