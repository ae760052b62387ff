"""The call that a product of weights with values makes, as a watch records it."""

from dataclasses import dataclass

from torch import Tensor

from saccade.lens.attention.args import AttentionArgs
from saccade.lens.attention.call_context import find_edited_call
from saccade.lens.dataflow.call_origin import CallOrigin
from saccade.lens.modes import hidden_no_grad
from saccade.lens.notes import joined
from saccade.lens.recognising.products import UNLAID_VALUES, Product
from saccade.lens.recognising.resolve import SCORES


@dataclass(frozen=True, eq=False)
class UnfusedCall:
    """q, k, mask and scale of a call, its values if they are known, what must be known to read it, and where it comes
    from."""

    arguments: AttentionArgs
    v: Tensor | None
    note: str
    origin: CallOrigin


def unfused_call(product: Product, out: Tensor, values: bool) -> UnfusedCall:
    """The call of a product, or what an edit below made of it. values: whether they are wanted."""
    resolved, edited = product.resolved, find_edited_call(out)
    if edited is not None:
        origin = CallOrigin("cross") if edited.borrowed else resolved.origin
        return UnfusedCall(edited, edited.v, SCORES if edited.scores else "", origin)
    with hidden_no_grad():
        sources = product.sources() if values else None
    notes = [product.note, f"values not kept: {UNLAID_VALUES}" if values and sources is None else ""]
    k, v = sources or (resolved.k, None)
    arguments = AttentionArgs(resolved.q, k, k, resolved.mask, resolved.scale)
    return UnfusedCall(arguments, v, joined(*notes), resolved.origin)
