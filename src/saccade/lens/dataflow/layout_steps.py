"""What is done to the places of tokens between a feature map and the queries and keys of a call.

Windows are folded into the batch by reshapes, and shifted by a roll; mask units are unrolled, and pooled. The
operations that lead from a feature map to the queries and keys are noted while they run, without their tensors; when
the layout is asked for, they are done again to the numbers of the positions (`replay`). What cannot be noted ends it:
then no layout is found, and never a wrong one.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from saccade.lens.dataflow.operation import Operation
from saccade.lens.dataflow.parts import TOKENWISE
from saccade.lens.dataflow.patch_lists import ListedPatches, declares_patches, listed_patches
from saccade.lens.dataflow.tensor_map import TensorMap
from saccade.lens.dataflow.windows import PADDED

SHAPING = {
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "swapaxes", "movedim", "squeeze", "unsqueeze",
    "roll", "flip", "index_select", "__getitem__", "chunk", "split", "split_with_sizes", "narrow", "select", "unbind",
    "expand",
}  # fmt: skip
MIXING = {"linear", "layer_norm", "rms_norm", "normalize"}  # over the last axis
POOLING = {"max", "amax", "mean"}  # over one axis
CONVOLVING = {"conv1d", "conv2d", "conv3d"}
UNROLLING = ("hiera", "maskunit")  # their tokens do not lie row by row
CUTTING = ("window", "swin", "mobilevit", "partition", *UNROLLING)
PLACEWISE = {"batch_norm"}  # each place of a feature map by itself, while it evaluates


class LayoutStep:
    """What was done to a tensor, as it can be done again to the positions of its tokens.

    source: the step before; None for a feature map, and for a list of patches (`listed`). kind: "shape" (call `redo`),
    "token" (each token by itself, over the last axis), "pool" (over `axis`), "patch" (all of each patch of a list by
    itself). What leaves each number in its place is none. plain: nothing moved since `source`s began.
    """

    def __init__(
        self,
        shape: Sequence[int],
        source: "LayoutStep | None" = None,
        kind: str = "",
        redo: Callable[[Tensor], Tensor] | None = None,
        axis: int = -1,
        listed: ListedPatches | None = None,
    ) -> None:
        self.shape: Sequence[int] = shape
        self.source, self.kind, self.redo, self.axis = source, kind, redo, axis
        self.listed: ListedPatches | None = listed if source is None else source.listed
        keeps = source is not None and kind in ("", "token")
        self.placed_since: LayoutStep = source.placed_since if keeps and source else self  # since when tokens lie so
        self.plain: bool = source is None or (source.plain and keeps)


class LayoutSteps:
    """The steps of every tensor that comes from a feature map, while a module that may cut windows is running."""

    def __init__(self) -> None:
        self._of: TensorMap[LayoutStep] = TensorMap()
        self._pictures = -1
        self._unconfirmed: ListedPatches | None = None

    def __getitem__(self, t: Tensor) -> LayoutStep | None:
        return self._of.get(t)

    def begin(self, module: nn.Module, args: tuple, kwargs: dict, inputs: Sequence[Tensor], pictures: int) -> None:
        """A module begins: those of its inputs that are not followed yet, and have as many pictures as the model was
        given, are the whole of them; or a list of patches, where it is told of which grids."""
        self._pictures = pictures
        axes = (4,) if _named_like(type(module).__name__, UNROLLING) else (3, 4)
        for t in inputs:
            if t not in self._of and t.ndim in axes and t.shape[0] == pictures:
                self._of[t] = LayoutStep(t.shape)
        found = listed_patches(module, args, kwargs, inputs)
        if found is not None:
            t, self._unconfirmed = found
            self._of[t] = LayoutStep(t.shape, listed=self._unconfirmed)

    def follow(self, op: Operation) -> None:
        """Note one operation."""
        given, name, args, out = op.given, op.name, op.args, op.out
        if self._unconfirmed is not None and self._unconfirmed.confirmed_by(op):
            self._unconfirmed = None
        known = [t for t in given if t in self._of]
        step = self._of[known[0]] if known else None
        if name in CONVOLVING and step is not None and step.listed is not None and args and args[0] is known[0]:
            alone = len(out) == len(known[0]) and out[0].numel() == out.shape[1]
            self._of.pop(out, None)
            if alone:  # patches one by one
                self._of[out] = LayoutStep(out.shape, step, "patch")
            return
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
    if same and _keeps_places(name):
        return step
    if not args or args[0] is not t:
        return None
    if name in SHAPING and not _has_dtype(rest, kwargs):
        given = op.given
        indexed = len(given) == 1 or all(other is t or not other.is_floating_point() for other in given)
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
    if name in POOLING and not pick:
        return _pooled(op, t, step, out)
    return step if same and name in PLACEWISE else None


def _pooled(op: Operation, t: Tensor, step: LayoutStep, out: Tensor) -> LayoutStep | None:
    """The step of pooling over one axis, not that of the channels."""
    dim = op.kwargs.get("dim", op.args[1] if len(op.args) > 1 else None)
    if type(dim) is not int or dim in (-1, t.ndim - 1):
        return None
    axis = dim % t.ndim
    gone = out.shape == (*t.shape[:axis], *t.shape[axis + 1 :])  # and not kept as an axis of size 1
    return LayoutStep(out.shape, step, "pool", axis=axis) if gone else None


@lru_cache(maxsize=4096)
def _keeps_places(name: str) -> bool:
    """Whether an operation leaves each number where it is, if its result has the shape of its argument."""
    return (name in TOKENWISE or name.removesuffix("_") in TOKENWISE) and name not in MIXING


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


def folded(step: LayoutStep | None, order: Sequence[int]) -> LayoutStep | None:
    """The step after one, when the axes before the last two come into an order, and all of them but the last are folded
    into one: (b h n k)."""
    if step is None or len(step.shape) != len(order) + 2:
        return None
    axes = (*order, len(order), len(order) + 1)
    shape = [step.shape[i] for i in axes]
    b = int(torch.Size(shape[:-3]).numel())
    return LayoutStep((b, *shape[-3:]), step, "shape", lambda t: t.permute(axes).flatten(0, -4))


def may_cut_windows(module: nn.Module) -> bool:
    """Whether a module is named like one that cuts windows, or has a size of some, or is given patches as a list."""
    kind = type(module)  # hasattr of a module is slow where the answer is no
    sized = "window_size" in vars(module) or hasattr(kind, "window_size")
    return _named_like(kind.__name__, CUTTING) or sized or declares_patches(module)


@lru_cache(maxsize=4096)
def _named_like(name: str, parts: tuple[str, ...]) -> bool:
    return any(each in name.lower() for each in parts)


def _picked(out: Any, pick: int | None) -> Tensor:
    return out if pick is None else out[pick]


def _has_dtype(rest: tuple, kwargs: dict) -> bool:
    return any(isinstance(value, torch.dtype) for value in (*rest, *kwargs.values()))
