"""The call that a product of weights with values makes, as a watch records it."""

from dataclasses import dataclass

from torch import Tensor

from saccade.lens.attention.args import Asked
from saccade.lens.attention.current import told
from saccade.lens.dataflow.call_origin import Whence
from saccade.lens.modes import quietly
from saccade.lens.notes import joined
from saccade.lens.recognising.products import UNLAID_VALUES, Product
from saccade.lens.recognising.resolve import SCORES


@dataclass(frozen=True, eq=False)
class Made:
    """q, k, mask and scale of a call, its values if they are known, what must be known to read it, and where it comes
    from."""

    asked: Asked
    v: Tensor | None
    note: str
    whence: Whence


def made_of(product: Product, out: Tensor, values: bool) -> Made:
    """The call of a product, or what an edit below made of it. values: whether they are wanted."""
    settled, edited = product.settled, told(out)
    if edited is not None:
        whence = Whence("cross") if edited.borrowed else settled.whence
        return Made(edited, edited.v, SCORES if edited.scores else "", whence)
    with quietly():
        sources = product.sources() if values else None
    notes = [product.note, f"values not kept: {UNLAID_VALUES}" if values and sources is None else ""]
    k, v = sources or (settled.k, None)
    asked = Asked(settled.q, k, k, settled.mask, settled.scale)
    return Made(asked, v, joined(*notes), settled.whence)
