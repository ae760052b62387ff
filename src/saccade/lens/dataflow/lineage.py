"""Which calls the queries of a call were computed from, and where their tokens lay in those: whether calls are layers.

Calls of one batch and one number of tokens need not follow one another. Heads in modules of their own, towers that
share their weights and branches attend side by side; rows and columns, windows, space and time are attended to in turn,
so that token 3 of one call is another place than token 3 of the next. So while a model runs, every tensor is followed
from what went in: by which calls it was made, and what moved its numbers since the last of them. A tensor that came
about unseen is followed no more: then nothing is said of it, and never something wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import Parameter
from torch.utils._pytree import tree_leaves

from saccade.lens.dataflow.layout_steps import LayoutStep, layout_step
from saccade.lens.dataflow.operation import Operation
from saccade.lens.dataflow.origins import memory
from saccade.lens.dataflow.tensor_map import TensorMap

BESIDE = "does not come from it: they attend side by side, and are no layers that follow one another"
MOVED = "counts its tokens in other places: they are windows, rows or frames of the same tokens, cut in different ways"


@dataclass(eq=False, slots=True)  # frozen would take longer for every operation of the model
class Lineage:
    """calls: a bit for each call that a tensor was computed from. last: the last of them, if there is one. step: what
    was done to the places of its tokens since; None if that is not known."""

    calls: int = 0
    last: "CallNode | None" = None
    step: LayoutStep | None = None


INPUT = Lineage()
MAP = "map"  # kind of the first step of a feature map


@dataclass(frozen=True, eq=False)
class CallNode:
    """A call among those of one pass (by number) of a model. bits: its own, or those of the calls that it was put
    together from. queries: of its queries; None if that is not known. shape: (b, h, n). moves: for each of its tokens,
    which it was in the last call before it, once that was found."""

    number: int
    bits: int
    queries: Lineage | None
    shape: tuple[int, int, int]
    moves: Int[Tensor, "tokens"] | None = None

    def __reduce__(self) -> tuple:
        """A copy has the moves in place of the steps that lead to them."""
        queries = None if self.queries is None else Lineage(self.queries.calls, self.queries.last)
        return CallNode, (self.number, self.bits, queries, self.shape, self.moves_before())

    def moves_before(self) -> Int[Tensor, "tokens"] | None:
        """For each token, which it was in the last call before; None if that is not known."""
        queries = self.queries
        if self.moves is not None or queries is None or queries.last is None or queries.step is None:
            return self.moves
        begin = list(steps_of(queries.step))[-1]
        before = None if begin.kind == MAP else _numbers(begin.shape, queries.last.shape)
        return None if before is None else replayed(self, queries.step, before)

    def places_in(self, earlier: "CallNode") -> Int[Tensor, "tokens"] | None:
        """For each token of the batch, which of an earlier call's it was; None if that is not known."""
        places: Tensor | None = None
        node = self
        while node is not earlier:
            if node.queries is None or node.queries.last is None or node.queries.last.bits < earlier.bits:
                return None
            found = node.moves_before()
            if found is None:
                return None
            places = found if places is None else found[places]
            node = node.queries.last
        return places


def joined_node(nodes: Sequence[CallNode | None], shape: Sequence[int]) -> CallNode | None:
    """That of a call that several were put together to."""
    known = [node for node in nodes if node is not None]
    queries = known[0].queries if len(known) == len(nodes) else None
    if queries is None:
        return None
    bits = reduce(or_, (node.bits for node in known))
    return CallNode(known[0].number, bits, Lineage(queries.calls, queries.last), (shape[0], shape[1], shape[2]))


def broken_link(earlier: CallNode | None, later: CallNode | None) -> str:
    """Why a call is no layer that follows another, "" if it is or if that is not known."""
    if earlier is None or later is None or later.queries is None or earlier.number != later.number:
        return ""
    if not later.queries.calls & earlier.bits:
        return BESIDE
    places = later.places_in(earlier)
    if places is None or torch.equal(places, torch.arange(len(places), dtype=places.dtype)):
        return ""
    return MOVED


class Lineages:
    """The lineage of every tensor of which it is known, in one pass of a model."""

    def __init__(self) -> None:
        self._of: TensorMap[Lineage] = TensorMap()
        self._constants: TensorMap[bool] = TensorMap()
        self._pass, self._next = 0, 1  # bit of the next call

    def set_constants(self, buffers: Iterable[Tensor]) -> None:
        """Tensors that no call makes, as parameters are: buffers of the model."""
        for t in buffers:
            self._constants[t] = True

    def begin(self, args: tuple, kwargs: dict, anew: bool) -> None:
        """A module begins that no other module of the model called. anew: with it a new pass begins."""
        if anew:
            self._of, self._pass, self._next = TensorMap(), self._pass + 1, 1
        if self._next == 1:  # else what came about outside may have been made of what it returned before
            for t in tree_leaves((args, kwargs)):
                if isinstance(t, Tensor) and self._of.get(t, INPUT) is INPUT:
                    self._of[t] = Lineage(step=LayoutStep(t.shape, None, MAP)) if t.ndim == 4 else INPUT

    def of(self, t: Tensor, order: str = "") -> Lineage | None:
        """That of queries, with the tokens on the last axis but one. order: of the batch ("b") and the tokens ("n") if
        these are the first two axes."""
        found = self._of.get(t)
        if found is None or not order:
            return found
        step = None
        if found.step is not None and t.ndim == 3:
            first = order == "nb"
            shape = (t.shape[first], 1, t.shape[not first], t.shape[2])
            step = LayoutStep(shape, found.step, "shape", lambda i: (i.transpose(0, 1) if first else i).unsqueeze(1))
        return Lineage(found.calls, found.last, step)

    def node(self, queries: Lineage | None, shape: Sequence[int]) -> CallNode:
        """A call that is recorded."""
        bits, self._next = self._next, self._next << 1
        return CallNode(self._pass, bits, queries, (shape[0], shape[1], shape[2]))

    def attention(self, q: Tensor, out: Any, node: CallNode | None, order: str = "") -> None:
        """The result of attention has a token for each query. node: of the call, if it was recorded."""
        if not isinstance(out, Tensor):
            return
        known = self._of.get(q) if node is None else node.queries
        if known is None:
            self._of.pop(out)
        elif node is not None:
            self._of[out] = Lineage(known.calls | node.bits, node, _first_step(out.shape, node.shape, order))
        else:
            same = known.step is not None and not order and out.shape[:-1] == q.shape[:-1]
            step = LayoutStep(out.shape, known.step, "token") if same else None
            self._of[out] = Lineage(known.calls, known.last, step)

    def returned(self, out: Any, node: CallNode | None, order: str) -> None:
        """The same of a function or a module of torch.nn, which returns a tensor, or one and weights."""
        out = out[0] if isinstance(out, tuple) and out else out
        if node is not None:
            self.attention(out, out, node, order)
        elif isinstance(out, Tensor):
            self._of.pop(out)

    def follow(self, op: Operation) -> None:
        """Note one operation."""
        out, args = op.out, op.args
        if op.does == "same" and out is not None and len(args) == 1 and out is args[0] and not op.kwargs:
            return  # contiguous() of what is so already
        entries = self._of.entries
        calls, source, found = 0, None, INPUT
        for t in op.given:
            known = entries.get(id(t))
            if known is not None:
                one = known[1]
                if source is None:  # as a rule the only one
                    calls, source, found = one.calls, t, one
                    continue
                calls |= one.calls
                if _later(one, found) or (one.last is found.last and found.step is None):
                    source, found = t, one
            elif not (type(t) is Parameter or not t.is_floating_point() or t in self._constants):
                self._forget(op)
                return
        if op.name == "conv2d" and isinstance(out, Tensor) and out.ndim == 4:
            self._of[out] = Lineage(calls, found.last, LayoutStep(out.shape, None, MAP))
        elif source is None or (found.last is None and found.step is None):
            made = INPUT if not calls else Lineage(calls)
            for t in op.changed:
                self._of[t] = made
        else:
            self._carry(op, source, found, calls)
        if calls and (out is None or _writes(op.name) or "out" in op.kwargs):
            self._written(op, calls)

    def _carry(self, op: Operation, source: Tensor, found: Lineage, calls: int) -> None:
        step, out = found.step, op.out
        if isinstance(out, Tensor):
            after = None if step is None else layout_step(op, source, step, out, None)
            self._of[out] = found if after is step and calls == found.calls else Lineage(calls, found.last, after)
            return
        if out is None:  # x[...] = y
            self._of[op.args[0]] = Lineage(calls, found.last)
            return
        for i, t in enumerate(op.results):
            self._of[t] = Lineage(calls, found.last, None if step is None else layout_step(op, source, step, t, i))

    def _written(self, op: Operation, calls: int) -> None:
        """Other tensors that show memory that was written into depend on what was written."""
        places = {memory(t) for t in op.changed}
        for t, known in self._of.items():
            if known.calls | calls != known.calls and memory(t) in places:
                self._of[t] = Lineage(known.calls | calls, known.last)

    def _forget(self, op: Operation) -> None:
        for t in op.changed:
            self._of.pop(t)


@lru_cache(maxsize=4096)
def _writes(name: str) -> bool:
    """Whether an operation of this name writes into its first argument: mul_, __imul__."""
    return name[:3] == "__i" if name[-2:] == "__" else name[-1] == "_"


def _later(one: Lineage, other: Lineage) -> bool:
    """Whether the last call of one is after that of another."""
    return one.last is not None and (other.last is None or one.last.bits > other.last.bits)


def _first_step(shape: Sequence[int], call: tuple[int, int, int], order: str) -> LayoutStep | None:
    """The result of a call, as its tokens lie; None if that is not known."""
    if not order:
        return LayoutStep(shape) if _numbers(shape, call) is not None else None
    b, _, n = call
    if len(shape) != 3 or tuple(shape[:2]) != ((n, b) if order == "nb" else (b, n)):
        return None
    step = LayoutStep((b, 1, n, shape[2]))
    return LayoutStep(shape, step, "shape", lambda i: i[:, 0].transpose(0, 1) if order == "nb" else i[:, 0])


def _numbers(shape: Sequence[int], call: tuple[int, int, int]) -> Int[Tensor, "..."] | None:
    """The numbers of the tokens of a call (b, h, n) in a tensor of queries or results of this shape."""
    (b, h, n), shape = call, tuple(shape)
    numbers = torch.arange(b * n, dtype=torch.int32)
    if len(shape) == 4:
        if shape[::2] == (b, n) and shape[1] in (1, h):
            return numbers.view(b, 1, n, 1).expand(shape)
        if shape[:3] == (b, n, h):
            return numbers.view(b, n, 1, 1).expand(shape)
    if len(shape) == 3 and shape[:2] == (b * h, n):
        return numbers.view(b, 1, n, 1).expand(b, h, n, shape[2]).reshape(shape)
    return None


def replayed(node: CallNode, last: LayoutStep, before: Int[Tensor, "..."]) -> Int[Tensor, "tokens"] | None:
    """For each token of a call, its number in a tensor to which all steps up to `last`, of its queries, are done."""
    steps, after = list(steps_of(last)), _numbers(last.shape, node.shape)
    if after is None:
        return None
    for step in reversed(steps[:-1]):
        if step.kind == "token":
            first = before[..., :1]
            if not bool((before == first).all()):
                return None
            before = first.expand(step.shape)
        elif step.redo is None:  # tokens were pooled
            return None
        else:
            before = step.redo(before)
    if before.shape != after.shape:
        return None
    places = before.new_zeros(node.shape[0] * node.shape[2])
    places[after.reshape(-1).long()] = before.reshape(-1)
    return places.long() if torch.equal(places[after.long()], before) else None


def steps_of(last: LayoutStep) -> Iterable[LayoutStep]:
    step: LayoutStep | None = last
    while step is not None:
        yield step
        step = step.source
