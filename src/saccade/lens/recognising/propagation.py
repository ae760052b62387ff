"""What becomes of the scores and weights that are followed, by one operation after another."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from torch import Tensor

from saccade.lens.dataflow.operation import Operation, tensors
from saccade.lens.dataflow.tensor_map import TensorMap
from saccade.lens.recognising.records import TensorRecords
from saccade.lens.recognising.scoring import version_of
from saccade.lens.recognising.softmax_weights import shown_name, unfollowed_use, weights_after
from saccade.lens.recognising.steps import STEPS

READING = {"same", "dropout", "reshape", "index", "expand", "permute"}  # may return what they are given, unchanged


class Propagation(TensorRecords):
    """Passes records on from the arguments of an operation to its results.

    missed: called with the reason where weights meet values in a way that is not followed. context: the context in
    which records are computed.
    """

    def __init__(self, missed: Callable[[str], None], context: Callable[[], AbstractContextManager]) -> None:
        super().__init__()
        self._missed, self._context = missed, context

    def _propagate(
        self, does: str | None, op: Operation, given: Sequence[Tensor], args: tuple, kwargs: dict, out: Any
    ) -> None:
        """An operation on something that may be followed. given: the tensors among its arguments."""
        weights, scores = _first(given, self._weights), _first(given, self._scores)
        noise, merged = _first(given, self._noise), _first(given, self._merged)
        if weights is not None:
            with self._context():
                self._propagate_weights(does if noise is None else "dropout", weights, op, args, kwargs, out)
        elif scores is not None:
            with self._context():
                self._propagate_scores(does, scores, op.func, args, kwargs, out)
        elif noise is not None and isinstance(out, Tensor):
            self._noise[out] = 1
        elif merged is not None and does is not None and does != "assign":  # layers mix features, not heads
            with self._context():
                self._propagate_merged(self._merged[merged], out)

    def _propagate_scores(
        self, does: str | None, t: Tensor, func: Callable, args: tuple, kwargs: dict, out: Any
    ) -> None:
        scores = self._get(t, writes=int(out is t and does not in READING))
        for made in tensors((out,)):
            if not made.is_floating_point() or made.is_nested:
                continue
            new = None
            if does in STEPS and made is out and made.device == t.device:
                new = STEPS[does](scores, t, func, args, kwargs, made)
            if new is None or new.shape != tuple(made.shape):
                new = scores.changed_to(made, f"its scores go through {shown_name(func)}")
            self._put(made, new)

    def _propagate_weights(
        self, does: str | None, t: Tensor, op: Operation, args: tuple, kwargs: dict, out: Any
    ) -> None:
        w = self._weights[t]
        if version_of(t) != w.version and out is not t:
            w = replace(w, changed=w.changed or "a write into them")
            self._set_weights(t, w)
        if does == "assign" and args[0] is t:
            self._set_weights(
                t, replace(w, changed="an assignment" if w.changed in ("", "a write into them") else w.changed)
            )
        if why := unfollowed_use(w, does, op.func):
            self._missed(why)
        every = tensors((out,))
        for made in every if does == "part" else every[:1]:  # dropout below autograd returns its mask too
            if not made.is_floating_point() or made.is_nested:
                continue
            if (new := weights_after(w, t, does, op.func, args, kwargs, made)) is not None:
                self._set_weights(made, replace(new, others=w.others + self._others(t, op)))
            else:
                self._weights.pop(made, None)


def _first(given: Sequence[Tensor], table: TensorMap) -> Tensor | None:
    """The first tensor of which a table knows anything."""
    entries = table.entries
    if entries:
        for t in given:
            if id(t) in entries:
                return t
    return None
