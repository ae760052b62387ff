"""Follow the places of a picture through the operations of a model, so that each token's place is known, not assumed.

Every operation below autograd is seen. What moves numbers moves their places; what mixes the channels of a token keeps
its place; a convolution over a whole feature map makes a grid of its own. What is not known here has no places from
then on: tokens without places are named, and never drawn where they may not lie.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from saccade.studio.places.rules import RULES, index_put, pointwise, tensors_in
from saccade.studio.places.shadow import Grids, Shadow

Side = Literal["rows", "columns", "weights"]


class PlaceFollower(TorchDispatchMode):
    """While active, notes the places of all tensors that come from a picture (1 c y x). places: of its numbers, counted
    in `grids`, where it is a list of patches."""

    def __init__(
        self,
        picture: Float[Tensor, "..."],
        places: Int[Tensor, "..."] | None = None,
        grids: Grids | None = None,
    ) -> None:
        super().__init__()
        self.grids, self.shadow = grids or Grids(), Shadow()
        self.shadow.put(picture, self.grids.codes(*picture.shape[-2:]) if places is None else places)
        self._products: dict[tuple[str, bytes], set[bytes]] = {}

    def places(self, t: Tensor) -> Int[Tensor, "..."] | None:
        """The place of every number of a tensor; None if it is not followed."""
        return self.shadow.get(t)

    def multiplied_with(self, side: Side, places: Int[Tensor, "n"]) -> Int[Tensor, "m"] | None:
        """In the products of queries and keys (rows, columns), or of weights and values, of which one side lay at these
        places: where the other lay. None if there was no such product, or several that differ."""
        found = self._products.get((side, places.contiguous().numpy().tobytes()), set())
        return torch.frombuffer(bytearray(next(iter(found))), dtype=torch.int32) if len(found) == 1 else None

    def multiply(self, rows: Int[Tensor, "... n"], columns: Int[Tensor, "... m"], weights: bool = False) -> None:
        """Note that rows at these places were multiplied with columns at those; or weights with values."""
        lead = torch.broadcast_shapes(rows.shape[:-1], columns.shape[:-1])
        pairs = {
            (n.tobytes(), m.tobytes())
            for n, m in zip(
                rows.expand(*lead, -1).flatten(0, -2).contiguous().numpy(),
                columns.expand(*lead, -1).flatten(0, -2).contiguous().numpy(),
                strict=True,
            )
        }
        for n, m in pairs:
            self._products.setdefault(("weights" if weights else "rows", n), set()).add(m)
            if not weights:
                self._products.setdefault(("columns", m), set()).add(n)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            self._note(func, args, kwargs, out)
        return out

    def _note(self, func: Any, args: tuple, kwargs: dict, out: Any) -> None:
        first = out if isinstance(out, Tensor) else next((t for t in tensors_in(out)), None)
        if first is None or first.layout != torch.strided:
            return
        written = func._schema.is_mutable
        if not written and any(_shares(first, t) for t in tensors_in(args)):
            return  # a view
        known = [t for t in tensors_in([args, kwargs]) if self.places(t) is not None]
        if not known:
            return
        name = func._schema.name.removeprefix("aten::")
        rule = RULES.get(name.removesuffix("_") if written else name)
        if rule is None and torch.Tag.pointwise in func.tags:
            rule = pointwise
        if name == "index_put_":
            index_put(self, args)
        elif rule is None:
            for t in tensors_in(out):
                self.shadow.put(t, None)
        else:
            self.shadow.put(first, rule(self, args, kwargs, first))


def _shares(a: Tensor, b: Tensor) -> bool:
    return b.layout == torch.strided and a.untyped_storage()._cdata == b.untyped_storage()._cdata
