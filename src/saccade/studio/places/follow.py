"""Follow the places of a picture through the operations of a model, so that each token's place is known, not assumed.

Every operation below autograd is seen. What moves numbers moves their places; what mixes the channels of a token keeps
its place; a convolution over a whole feature map makes a grid of its own. What is not known here has no places from
then on: tokens without places are named, and never drawn where they may not lie.
"""

from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saccade.lens.attention.dispatch import DispatchMode
from saccade.lens.dataflow.operation import tensors
from saccade.studio.places.propagation_rules import RULES, propagate_index_put, propagate_pointwise
from saccade.studio.places.table import PlaceTable
from saccade.studio.places.tensor_places import Grids


class PlaceFollower(DispatchMode):
    """While active, notes the places of all tensors that come from a picture (1 c y x). places: of its numbers, counted
    in `grids`, where it is a list of patches."""

    def __init__(
        self,
        picture: Float[Tensor, "..."],
        places: Int[Tensor, "..."] | None = None,
        grids: Grids | None = None,
    ) -> None:
        super().__init__()
        self.table = PlaceTable(grids or Grids(), picture.shape[-2:])
        codes = self.table.grids.codes(*picture.shape[-2:]) if places is None else places
        self.table.shadow.put(picture, codes)
        self._fast_path: list[bool] = []

    def __enter__(self) -> Self:
        """PyTorch's fused kernel for whole attention modules is off meanwhile: queries and keys are not seen in it."""
        self._fast_path.append(torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        torch.backends.mha.set_fastpath_enabled(self._fast_path.pop())
        super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            self._note(func, args, kwargs, out)
        return out

    def _note(self, func: Any, args: tuple, kwargs: dict, out: Any) -> None:
        first = next(iter(tensors((out,))), None)
        if first is None or first.layout != torch.strided:
            return
        written = func._schema.is_mutable
        if not written and any(_shares(first, t) for t in tensors(args)):
            return  # a view
        known = [t for t in tensors(args, kwargs) if self.table.places(t) is not None]
        if not known:
            return
        name = func._schema.name.removeprefix("aten::")
        rule = RULES.get(name.removesuffix("_") if written else name)
        if rule is None and torch.Tag.pointwise in func.tags:
            rule = propagate_pointwise
        try:
            if name == "index_put_":
                propagate_index_put(self.table, args)
                return
            places = None if rule is None else rule(self.table, args, kwargs, first)
        except (RuntimeError, TypeError, ValueError, IndexError):  # a form of the operation that is not known here
            places = None
        if places is None:
            for t in tensors((out,)):
                self.table.shadow.put(t, None)
        else:
            self.table.shadow.put(first, places)


def _shares(a: Tensor, b: Tensor) -> bool:
    return b.layout == torch.strided and a.untyped_storage()._cdata == b.untyped_storage()._cdata
