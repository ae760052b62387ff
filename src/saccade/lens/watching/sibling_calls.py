"""Calls that one module makes side by side: of slices of its queries, or of the same queries over several sources.

A layer that computes attention in slices to save memory (a head or a picture at a time) makes a call for each, which
are one call together. A layer with an image prompt beside its text (Ye et al. 2023, IP-Adapter) makes a call over each,
which are two attentions. Neither is a sequence of layers, as calls of one module can be too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.dataflow.lineage import broken_link, joined_node
from saccade.lens.trace.call import Call

PIECE = "one of {} calls that its module makes of parts of the same tokens, which could not be put together"


@dataclass(frozen=True)
class StridedView:
    """Where a tensor lies in its memory."""

    storage: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def of(cls, t: Tensor) -> "StridedView":
        try:
            return cls(t.untyped_storage().data_ptr(), int(t.storage_offset()), tuple(t.shape), t.stride())
        except RuntimeError:  # no memory of its own
            return cls(-id(t), 0, tuple(t.shape), ())

    def step(self, before: "StridedView", axis: int) -> int:
        """How far apart its entries and those of another are along an axis, if it is the part of the same tensor that
        comes after that one; 0 if it is not."""
        alike = self.storage == before.storage and len(self.shape) == len(before.shape) > axis
        for i, (size, other) in enumerate(zip(self.shape, before.shape, strict=False)):
            same = size == other and (size == 1 or self.stride[i] == before.stride[i])
            alike = alike and (i == axis or same)
        step, rest = divmod(self.offset - before.offset, before.shape[axis]) if alike else (0, 0)
        steps = {each.stride[axis] for each in (self, before) if each.shape[axis] > 1}  # of one entry it has no meaning
        return step if step > 0 and not rest and steps <= {step} else 0


def _consecutive(views: Sequence[StridedView], axis: int) -> bool:
    """Whether the views are the parts of one tensor along an axis, in order."""
    steps = {z.step(a, axis) for a, z in pairwise(views)}
    return len(steps) == 1 and 0 not in steps


@dataclass
class SiblingCalls:
    """Consecutive calls of one module side by side.

    queries, keys: where their tensors lie. sources: for each the name of the argument that its keys come from, "" if
    that is not known. merged: (batch, heads) of the tensor that the queries are slices of, where these are one axis.
    """

    calls: list[Call]
    queries: list[StridedView]
    keys: list[StridedView]
    sources: list[str]
    merged: tuple[int, int] | None = None

    def add_if_sibling(self, call: Call, query: StridedView, key: StridedView, source: str) -> bool:
        """Add a call, if it is a sibling of those that are there."""
        last = self.queries[-1]
        if query.storage != last.storage:
            return False
        if query == last and (key == self.keys[-1] or not torch.equal(call.q, self.calls[-1].q)):
            return False  # memory used again, or the same call again
        self.calls.append(call)
        self.queries.append(query)
        self.keys.append(key)
        self.sources.append(source)
        return True

    def merge(self, given: Sequence[int]) -> list[Call]:
        """One call of all slices where that is exact, else the calls apart, by names of their own. given: the shape of
        the input of the module, if it has one."""
        if len(self.calls) == 1:
            return self.calls
        whole = self._joined(given)
        if whole is not None:
            return [whole]
        same = all(query == self.queries[0] for query in self.queries)
        named = same and all(self.sources) and len(set(self.sources)) == len(self.sources)
        for i, (call, source) in enumerate(zip(self.calls, self.sources, strict=True)):
            call.name = f"{call.name}#{source if named else i + 1}"
            if not same:
                call.add_note(PIECE.format(len(self.calls)))
        return self.calls

    def _along(self, axis: int, given: Sequence[int]) -> bool:
        """Whether the calls are slices along the batch, along the heads or along the tokens, and all of them."""
        if not _consecutive(self.queries, axis) or not _consecutive(self.keys, axis):
            return False
        batch = given[0] if given else None
        if axis == 2:  # each window attends to itself
            own = all(c.kind == "self" and c.shape[2] == c.shape[3] and c.mask is None for c in self.calls)
            every = (*self.calls[0].shape[:1], sum(c.shape[2] for c in self.calls))
            return own and not self.calls[0].causal and every == ((1, *given[:1]) if len(given) == 2 else given[:-1])
        if axis == 1:
            return self.calls[0].shape[0] == batch
        return self._folded() or sum(call.shape[0] for call in self.calls) == batch

    def _folded(self) -> bool:
        """Whether the batch of all calls is one of pictures and heads."""
        total = sum(call.shape[0] for call in self.calls)
        return self.merged is not None and math.prod(self.merged) == total and self.calls[0].shape[1] == 1

    def _joined(self, given: Sequence[int]) -> Call | None:
        first = self.calls[0]
        alike = all(c.scale == first.scale and c.causal == first.causal and c.gradient is None for c in self.calls)
        if not alike or any((c.mask is None) != (first.mask is None) for c in self.calls):
            return None
        axis = next((i for i in (0, 1, 2) if self._along(i, given)), None)
        if axis is None:
            return None
        folded = axis == 0 and self._folded()

        def joined(parts: Sequence[Tensor]) -> Tensor:
            t = torch.cat(list(parts), dim=axis)
            return t.flatten(0, 1).unflatten(0, self.merged) if folded and self.merged else t

        mask = None
        if first.mask is not None:
            mask = joined(
                [_four(c.mask).expand(c.shape[0], first.shape[1], -1, -1) for c in self.calls if c.mask is not None]
            )
        v = None if first.v is None else joined([c.v for c in self.calls if c.v is not None])
        whole = Call(
            first.name, first.kind, joined([c.q for c in self.calls]), joined([c.k for c in self.calls]), v,
            joined([c.lse for c in self.calls]), mask, first.scale, first.causal, first.run, first.note,
            first.component, first.parts, lengths=[c.shape[2] for c in self.calls] if axis == 2 else None,
        )  # fmt: skip
        if axis == 2 and all(call.steps for call in self.calls):
            whole.set_layout([pair for call in self.calls for pair in call.steps])
        whole.node = joined_node([call.node for call in self.calls], whole.shape)
        whole.source_parts, whole.tokens_before = first.source_parts, first.tokens_before
        return whole


def check_no_siblings(what: str, calls: Sequence[Call]) -> None:
    """Raise SaccadeError if several of the calls were made side by side and are different attentions."""
    first: dict[tuple[str, int], str] = {}
    for call in calls:
        module, _, part = call.name.partition("#")
        other = first.setdefault((module, call.run), call.name)
        if part and other != call.name:
            raise SaccadeError(
                f"{what} of {other!r} and {call.name!r}: one module made both side by side, they are no layers that "
                f"follow one another; choose the calls of one first, such as trace[{'*#' + part!r}]"
            )


def check_layers(what: str, calls: Sequence[Call]) -> None:
    """Raise SaccadeError if it is known of one of the calls that it does not take up the tokens of the one before, each
    in its place."""
    for earlier, later in pairwise(calls):
        if why := later.apart or broken_link(earlier.node, later.node):
            raise SaccadeError(
                f"{what} needs layers that follow one another; {later.name!r}, after {earlier.name!r}, {why}. Choose "
                "the calls of one chain of layers first, such as trace[0:2]"
            )


def _four(mask: Tensor) -> Tensor:
    return mask[(None,) * (4 - mask.ndim)]
