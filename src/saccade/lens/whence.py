"""Where the queries and keys of a call come from, as far as the operations before it tell."""

from dataclasses import dataclass

from torch import Tensor, nn

from saccade.lens.names import Names
from saccade.lens.windows import Step, transposed


@dataclass(frozen=True, eq=False)
class Whence:
    """kind: "self" or "cross". parts: of sequences put together, by name. steps: by which queries and keys were made of
    a feature map, where that is followed."""

    kind: str
    parts: dict[str, slice] | None = None
    steps: tuple[Step | None, Step | None] = (None, None)


def whence_of(
    names: Names, given: tuple[Tensor, Tensor] | None, q: Tensor, k: Tensor, alike: bool, axis: int | None = -2
) -> Whence:
    """Where tensors that are multiplied with one another come from. given: query and key of the function of torch.nn
    that is running. alike: they have the same length. axis: along which the sources lie in k; None if that is none of
    the last two."""
    steps = names.steps
    laid = (None, None) if axis is None else (steps[q], steps[k] if axis == -2 else transposed(steps[k]))
    kind = _kind_of(names, given, q, k, alike)
    parts = names.parts(q, k, axis) if kind == "self" and axis is not None else None
    return Whence(kind, parts, laid)


def _kind_of(names: Names, given: tuple[Tensor, Tensor] | None, q: Tensor, k: Tensor, alike: bool) -> str:
    if not alike or not names.stack:
        return "cross"
    if given is not None:
        return names.kind_of_given(*given)
    if isinstance(names.stack[-1].module, nn.MultiheadAttention):
        return names.kind_of_inputs()
    return names.kind_of_sources(q, k)
