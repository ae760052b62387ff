"""Where the queries and keys of a call come from, as far as the operations before it tell."""

from dataclasses import dataclass

from torch import Tensor, nn

from saccade.lens.dataflow.windows import Step, transposed
from saccade.lens.modules.stack import ModuleStack


@dataclass(frozen=True, eq=False)
class CallOrigin:
    """kind: "self" or "cross". parts: of sequences put together, by name. sources: of the keys of cross-attention, if
    they were put together. steps: by which queries and keys were made of a feature map, where that is followed. before:
    how many tokens the queries of cross-attention were made of, 0 if nothing is known. source: the argument of the
    module that the keys alone come from, "" if that is not known."""

    kind: str
    parts: dict[str, slice] | None = None
    sources: dict[str, slice] | None = None
    steps: tuple[Step | None, Step | None] = (None, None)
    before: int = 0
    source: str = ""


def find_origin(
    names: ModuleStack, given: tuple[Tensor, Tensor] | None, q: Tensor, k: Tensor, alike: bool, axis: int | None = -2
) -> CallOrigin:
    """Where tensors that are multiplied with one another come from. given: query and key of the function of torch.nn
    that is running. alike: they have the same length. axis: along which the sources lie in k; None if that is none of
    the last two."""
    steps = names.steps
    laid = (None, None) if axis is None else (steps[q], steps[k] if axis == -2 else transposed(steps[k]))
    kind = _kind_of(names, given, q, k, alike)
    parts = names.parts(q, k, axis) if kind == "self" and alike and axis is not None else None
    sources = names.sources(q, k, axis) if kind == "cross" and axis is not None else None
    before = names.tokens_before(q) if kind == "cross" else 0
    return CallOrigin(kind, parts, sources, laid, before, names.source(k) if names.stack else "")


def _kind_of(names: ModuleStack, given: tuple[Tensor, Tensor] | None, q: Tensor, k: Tensor, alike: bool) -> str:
    if not names.stack:
        return "cross"
    name = names.stack[-1].name
    if not alike:  # over a cache of keys it is still self-attention
        cached = name in names.over_itself and q.shape[-2] < max(k.shape[-2:])
        return "self" if cached and names.kind_of_sources(q, k) == "self" else "cross"
    if given is not None:
        kind = names.kind_of_given(*given)
    elif isinstance(names.stack[-1].module, nn.MultiheadAttention):
        kind = names.kind_of_inputs()
    else:
        kind = names.kind_of_sources(q, k)
    if kind == "self":
        names.over_itself.add(name)
    return kind
