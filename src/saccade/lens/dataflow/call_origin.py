"""Where the queries and keys of a call come from, as far as the operations before it tell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from saccade.lens.dataflow.layout_steps import LayoutStep, folded, transposed
from saccade.lens.dataflow.lineage import Lineage
from saccade.lens.modules.stack import ModuleStack


@dataclass(frozen=True, eq=False)
class CallOrigin:
    """kind: "self" or "cross". parts: of sequences put together, by name. sources: of the keys of cross-attention, if
    they were put together. steps: by which queries and keys were made of a feature map, where that is followed. before:
    how many tokens the queries of cross-attention were made of, 0 if nothing is known. source: the argument of the
    module that the keys alone come from, "" if that is not known. lineage: of the queries."""

    kind: str
    parts: dict[str, slice] | None = None
    sources: dict[str, slice] | None = None
    steps: tuple[LayoutStep | None, LayoutStep | None] = (None, None)
    before: int = 0
    source: str = ""
    lineage: Lineage | None = None

    def folded(self, order: Sequence[int]) -> "CallOrigin":
        """The same of a call whose axes before its tokens were brought into an order and folded to (b h n m)."""
        q, k = self.steps
        return replace(self, steps=(folded(q, order), folded(k, order)))


def find_origin(
    modules: ModuleStack, given: tuple[Tensor, Tensor] | None, q: Tensor, k: Tensor, alike: bool, axis: int | None = -2,
    lineage: Lineage | None = None,
) -> CallOrigin:  # fmt: skip
    """Where tensors that are multiplied with one another come from. given: query and key of the function of torch.nn
    that is running. alike: they have the same length. axis: along which the sources lie in k; None if that is none of
    the last two."""
    steps = modules.steps
    laid = (None, None) if axis is None else (steps[q], steps[k] if axis == -2 else transposed(steps[k]))
    kind = _kind_of(modules, given, q, k, alike)
    parts = modules.parts(q, k, axis) if kind == "self" and alike and axis is not None else None
    sources = modules.sources(q, k, axis) if kind == "cross" and axis is not None else None
    before = modules.tokens_before(q) if kind == "cross" else 0
    return CallOrigin(kind, parts, sources, laid, before, modules.source(k) if modules.frames else "", lineage)


def _kind_of(modules: ModuleStack, given: tuple[Tensor, Tensor] | None, q: Tensor, k: Tensor, alike: bool) -> str:
    if not modules.frames:
        return "cross"
    name = modules.frames[-1].name
    if not alike:  # over a cache of keys it is still self-attention
        cached = name in modules.self_attending and q.shape[-2] < max(k.shape[-2:])
        return "self" if cached and modules.kind_of_sources(q, k) == "self" else "cross"
    if given is not None:
        kind = modules.kind_of_given(*given)
    elif isinstance(modules.frames[-1].module, nn.MultiheadAttention):
        kind = modules.kind_of_inputs()
    else:
        kind = modules.kind_of_sources(q, k)
    if kind == "self":
        modules.self_attending.add(name)
    return kind


def kind_of_step(modules: ModuleStack, q: Tensor, k: Tensor) -> str:
    """The kind of a call of one token, whose heads lie where targets do in q: over a cache of keys it is still
    self-attention."""
    name = modules.frames[-1].name
    first = k.shape[-2] == 1
    if not (first or name in modules.self_attending) or modules.kind_of_sources(q, k) == "cross":
        return "cross"
    modules.self_attending.add(name)
    return "self"
