"""Where the tokens of attention in windows lie in the picture (Swin: Liu et al. 2021, section 3.2).

Windows are folded into the batch by reshapes, and shifted by a roll. The operations that lead from a feature map to
the queries and keys are noted while they run, without their tensors; when the layout is asked for, they are done
again to the numbers of the positions. What cannot be noted ends it: then no layout is found, and never a wrong one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from saccade.errors import SaccadeError
from saccade.lens.dataflow.operation import Operation
from saccade.lens.dataflow.parts import TOKENWISE
from saccade.lens.dataflow.tensor_map import TensorMap

SHAPING = {
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "swapaxes", "movedim", "squeeze", "unsqueeze",
    "roll", "flip", "index_select", "__getitem__", "chunk", "split", "split_with_sizes", "narrow", "select", "unbind",
    "expand",
}  # fmt: skip
MIXING = {"linear", "layer_norm", "rms_norm", "normalize"}  # over the last axis
CUTTING = ("window", "swin", "mobilevit", "partition")
PLACEWISE = {"batch_norm"}  # each place of a feature map by itself, while it evaluates
PADDED = -1


@dataclass(frozen=True, eq=False)
class Windows:
    """Where each token of a call lies.

    places: of each (folded batch, token) its picture, row and column, all -1 for padding. grid: how many pictures,
    rows and columns there are, in tokens.
    """

    places: Int[Tensor, "b n 3"]
    grid: tuple[int, int, int]

    @classmethod
    def checked(cls, places: Tensor, grid: Sequence[int], b: int, n: int) -> "Windows":
        """The layout of b windows of n tokens. Raises ValueError if it cannot be one."""
        p, y, x = (int(size) for size in grid)
        if places.shape != (b, n, 3) or places.dtype != torch.int64 or min(p, y, x) < 1:
            raise ValueError(f"places of shape {tuple(places.shape)} on a grid of {(p, y, x)}")
        real = places[(places >= 0).all(dim=-1)]
        sizes = torch.tensor([p, y, x])
        if bool((places >= 0).any(dim=-1).sum() != len(real)) or bool((real >= sizes).any()):
            raise ValueError(f"places outside of a grid of {(p, y, x)}")
        if len(real.unique(dim=0)) != len(real):
            raise ValueError("several tokens at one place")
        return cls(places, (p, y, x))

    def find(self, picture: int, row: int, column: int) -> tuple[int, int]:
        """The folded batch and the token at a place. Raises SaccadeError if there is none."""
        place = (picture, row, column)
        if not all(0 <= i < size for i, size in zip(place, self.grid, strict=True)):
            raise SaccadeError(f"picture, row, column {place}: there are {self.grid} of them, counted from 0")
        number = int(self.tokens[place])
        if number < 0:
            raise SaccadeError(f"picture, row, column {place} is in no window of this call")
        return divmod(number, self.places.shape[1])

    def row(self, folded: int, weights: Float[Tensor, "h n"]) -> Float[Tensor, "h y x"]:
        """What a token of one window attends to, laid on its picture."""
        places = self.places[folded].to(weights.device)
        real = places[:, 0] >= 0
        out = weights.new_zeros(len(weights), *self.grid[1:])
        out[:, places[real, 1], places[real, 2]] = weights[:, real]
        return out

    def picture(self, values: Shaped[Tensor, "b h n"]) -> Shaped[Tensor, "p h y x"]:
        """A number for each token, such as `call.entropy()`, laid on the pictures; 0 where no token lies."""
        flat = values.movedim(1, -1).flatten(0, 1)  # (b n) h
        laid = flat[self.tokens.clamp(min=0).to(flat.device)] * (self.tokens >= 0).to(flat)[..., None]
        return laid.movedim(-1, 1)

    @cached_property
    def tokens(self) -> Int[Tensor, "p y x"]:
        """The number of the token at each place, counted over the folded batch; -1 where none lies."""
        real = self.places[..., 0] >= 0
        tokens = torch.full(self.grid, -1)
        tokens[tuple(self.places[real].T)] = real.flatten().nonzero()[:, 0]
        return tokens


class LayoutStep:
    """What was done to a tensor, as it can be done again to the positions of its tokens.

    source: the step before; None for a feature map. kind: "shape" (call `redo`), "token" (each token by itself,
    over the last axis). What leaves each number in its place is none. plain: nothing moved since `source`s began.
    """

    def __init__(
        self,
        shape: Sequence[int],
        source: "LayoutStep | None" = None,
        kind: str = "",
        redo: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.shape: Sequence[int] = shape
        self.source, self.kind, self.redo = source, kind, redo
        self.placed_since: LayoutStep = (
            self if source is None or kind == "shape" else source.placed_since
        )  # since when tokens lie so
        self.plain: bool = source is None or (source.plain and kind != "shape")


class LayoutSteps:
    """The steps of every tensor that comes from a feature map, while a module that may cut windows is running."""

    def __init__(self) -> None:
        self._of: TensorMap[LayoutStep] = TensorMap()
        self._pictures = -1

    def __getitem__(self, t: Tensor) -> LayoutStep | None:
        return self._of.get(t)

    def begin(self, inputs: Sequence[Tensor], pictures: int) -> None:
        """A module begins: those of its inputs that are not followed yet, and have as many pictures as the model was
        given, are the whole of them."""
        self._pictures = pictures
        for t in inputs:
            if t not in self._of and t.ndim in (3, 4) and t.shape[0] == pictures:
                self._of[t] = LayoutStep(t.shape)

    def follow(self, op: Operation) -> None:
        """Note one operation."""
        given, name, args, out = op.given, op.name, op.args, op.out
        known = [t for t in given if t in self._of]
        if name == "conv2d" and out.ndim == 4 and len(out) == self._pictures:
            self._of[out] = LayoutStep(out.shape)  # a feature map of its own
            return
        if not known:
            return
        source = known[0]
        if out is None:  # x[...] = y
            self._of.pop(given[0], None)
        outs = list(out) if isinstance(out, (list, tuple)) else [out]
        for i, t in enumerate(outs):
            if not isinstance(t, Tensor):
                continue
            step, pick = None, i if outs[0] is not out else None
            if len(known) == 1 and args and args[0] is source:
                begins = self._becomes_map(op, source, t)
                step = LayoutStep(t.shape) if begins else layout_step(op, source, self._of[source], t, pick)
            elif (
                name in TOKENWISE
                and t.shape == source.shape
                and len({id(self._of[k].placed_since) for k in known}) == 1
            ):
                step = self._of[source]
            self._of.pop(t, None)
            if step is not None:
                self._of[t] = step

    def _becomes_map(self, op: Operation, t: Tensor, out: Tensor) -> bool:
        """Whether tokens in their order become a feature map."""
        laid = out.ndim == 4 and t.ndim == 3 and out.shape[::3] == t.shape[::2] and self._of[t].plain
        return laid and op.name in ("view", "reshape", "unflatten") and not _has_dtype(op.args[1:], op.kwargs)


def layout_step(op: Operation, t: Tensor, step: LayoutStep, out: Tensor, pick: int | None) -> LayoutStep | None:
    """The step after one, of a tensor t, by an operation of which `out` is the result, or one of them (`pick`); None if
    it is not followed."""
    name, args, kwargs = op.name, op.args, op.kwargs
    same, rest = out.shape == t.shape, args[1:]
    if same and (name in TOKENWISE or name.removesuffix("_") in TOKENWISE) and name not in MIXING:
        return step
    if not args or args[0] is not t:
        return None
    if name in SHAPING and not _has_dtype(rest, kwargs):
        indexed = all(other is t or not other.is_floating_point() for other in op.given)
        return LayoutStep(out.shape, step, "shape", _redo(op, tuple(out.shape), pick)) if indexed else None
    if name == "pad" and not set(kwargs.get("mode", "constant")) - set("constant") and len(rest) < 2:
        widths = kwargs.get("pad", rest[0] if rest else ())
        return LayoutStep(out.shape, step, "shape", lambda i: F.pad(i, list(widths), value=PADDED))
    if name in MIXING:
        over = kwargs.get("normalized_shape", rest[0] if rest else ()) if "norm" in name[-5:] else ()
        dim = kwargs.get("dim", rest[1] if len(rest) > 1 else 1) if name == "normalize" else -1
        last = dim in (-1, t.ndim - 1) and (name in ("linear", "normalize") or len(over) == 1)
        if not last or out.shape[:-1] != t.shape[:-1]:
            return None
        before = step.source if step.kind == "token" else step  # one after another are one
        return step if same and before is not step else LayoutStep(out.shape, before, "token")
    return step if same and name in PLACEWISE else None


def _redo(op: Operation, shape: tuple[int, ...], pick: int | None) -> Callable[[Tensor], Tensor]:
    """The operation on another tensor of the same shape."""
    func, rest, kwargs = op.func, op.args[1:], op.kwargs
    if op.name in ("view", "reshape"):
        return lambda i: i.reshape(shape)
    if len(op.given) == 1:
        return lambda i: _picked(func(i, *rest, **kwargs), pick)
    return lambda i: func(i, *tree_map(lambda each: each.cpu() if isinstance(each, Tensor) else each, rest), **kwargs)


def transposed(step: LayoutStep | None) -> LayoutStep | None:
    """The step after one, when its last two axes change places."""
    shape = () if step is None else (*step.shape[:-2], step.shape[-1], step.shape[-2])
    return None if step is None else LayoutStep(shape, step, "shape", lambda t: t.mT)


def may_cut_windows(module: nn.Module) -> bool:
    """Whether a module is named like one that cuts windows, or has a size of some."""
    kind = type(module)  # hasattr of a module is slow where the answer is no
    return _named_like_cutting(kind.__name__) or "window_size" in vars(module) or hasattr(kind, "window_size")


@lru_cache(maxsize=4096)
def _named_like_cutting(name: str) -> bool:
    return any(each in name.lower() for each in CUTTING)


def layout(q: LayoutStep, k: LayoutStep, b: int, n: int) -> Windows | None:
    """Where the tokens of queries and keys (b h n k) lie; None if they do not lie in the same places, each one once."""
    if _begin(q) is not _begin(k):
        return None
    for channels in (-1, 1):  # of a feature map: (b y x c), or (b c y x)
        found = _numbers(q, channels)
        if found is None or found[0].shape != (b, n):
            continue
        others, (numbers, grid) = _numbers(k, channels), found
        real = numbers[numbers >= 0]
        if others is None or not torch.equal(numbers, others[0]) or len(real.unique()) != len(real):
            return None
        places = torch.stack(torch.unravel_index(numbers.clamp(min=0), grid), dim=-1)
        return Windows(places.masked_fill(numbers[..., None] < 0, PADDED), grid)
    return None


def _begin(step: LayoutStep) -> LayoutStep:
    while step.source is not None:
        step = step.source
    return step


def _grid(begin: LayoutStep, channels: int) -> tuple[int, int, int]:
    p, *sides = begin.shape
    del sides[channels if channels < 0 else 0]
    return p, sides[0], sides[1]


def _numbers(last: LayoutStep, channels: int) -> tuple[Int[Tensor, "b n"], tuple[int, int, int]] | None:
    """The number of the place of each token, after all steps have been done to the numbers of a feature map; and the
    pictures, rows and columns that these are numbers of."""
    steps: list[LayoutStep] = []
    step: LayoutStep | None = last
    while step is not None:
        steps.append(step)
        step = step.source
    begin = steps.pop()
    if len(begin.shape) != 4 or len(last.shape) != 4:
        return None
    grid = _grid(begin, channels)
    numbers = torch.arange(math.prod(grid)).view(grid).unsqueeze(channels).expand(begin.shape).contiguous()
    for step in reversed(steps):
        if step.kind == "token":
            first = numbers[..., :1]
            if not bool((numbers == first).all()):
                coarser = _coarser(numbers, grid)
                if coarser is None:
                    return None
                grid = coarser
                first = torch.arange(math.prod(grid)).view(*grid, 1)
            numbers = first.expand(step.shape).contiguous()
        elif step.redo is not None:
            numbers = step.redo(numbers)
    first = numbers[:, :1, :, :1]
    return (first[:, 0, :, 0], grid) if bool((numbers == first).all()) else None


def _coarser(numbers: Int[Tensor, "p y x c"], grid: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The grid of a feature map whose places each take neighbours of a finer one, of this grid, together (patch
    merging); None unless its rows and columns lie in the order of theirs."""
    if numbers.ndim != 4 or bool((numbers < 0).any()):
        return None
    picture, row, column = (each.float().mean(dim=-1) for each in torch.unravel_index(numbers, grid))
    p, y, x = numbers.shape[:3]
    straight = bool((row == row[:1, :, :1]).all()) and bool((column == column[:1, :1]).all())
    inside = bool((picture == torch.arange(p)[:, None, None]).all())
    ordered = bool((row[0, :, 0].diff() > 0).all()) and bool((column[0, 0].diff() > 0).all())
    return (p, y, x) if straight and inside and ordered else None


def _picked(out: Any, pick: int | None) -> Tensor:
    return out if pick is None else out[pick]


def _has_dtype(rest: tuple, kwargs: dict) -> bool:
    return any(isinstance(value, torch.dtype) for value in (*rest, *kwargs.values()))
