"""The matrix products of a computation, alone: how fast it could be if nothing else took time."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_OPERANDS = {"mm": slice(2), "bmm": slice(2), "addmm": slice(1, 3), "baddbmm": slice(1, 3)}
_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"

Layout = tuple[tuple[int, ...], tuple[int, ...]]  # shape and strides
Product = tuple[Layout, Layout, torch.dtype]


def products(computation: Callable[[], object]) -> tuple[Callable[[], None], float]:
    """A function that repeats all matrix products of a computation on a CPU, on operands of the same layouts, and
    their floating-point operations. Fused attention counts as its two products, and its backward pass as four more; a
    convolution as the product with its unfolded input, which has no gradient."""
    with _Recorder() as recorder:
        computation()
    made = [(_random(left, dtype), _random(right, dtype), n) for (left, right, dtype), n in recorder.found.items()]

    def repeat() -> None:
        for left, right, times in made:
            for _ in range(times):
                left @ right

    operations = sum(2.0 * n * left.numel() * right.shape[-1] for left, right, n in made)
    return repeat, operations


class _Recorder(TorchDispatchMode):
    """Counts the products by their operands."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in _OPERANDS:
            self._add([args[_OPERANDS[name]]])
        elif name == _ATTENTION:
            self._add(_of_attention(False, *args[:3]))
        elif name == f"{_ATTENTION}_backward":
            self._add(_of_attention(True, *args[1:4]))
        elif name == "convolution":
            patches = args[0].new_empty(result[:, 0].numel(), args[1][0].numel())
            self._add([(patches, args[1].flatten(1).T)])
        elif name == "convolution_backward":
            patches = args[1].new_empty(args[0][:, 0].numel(), args[2][0].numel())
            self._add([(args[0].transpose(0, 1).flatten(1), patches)])
        return result

    def _add(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
        for left, right in pairs:
            self.found[_layout(left), _layout(right), left.dtype] += 1


def _of_attention(backward: bool, q: Tensor, k: Tensor, v: Tensor) -> list[tuple[Tensor, Tensor]]:
    q, k, v = (t.flatten(0, 1).contiguous() for t in (q, k, v))
    weights = q.new_empty(q.shape[0], q.shape[1], k.shape[1])
    if not backward:
        return [(q, k.mT), (weights, v)]
    return [(q, v.mT), (weights, k), (weights.mT, q), (weights.mT, q)]


def _layout(x: Tensor) -> Layout:
    return tuple(x.shape), tuple(x.stride())


def _random(layout: Layout, dtype: torch.dtype) -> Tensor:
    shape, strides = layout
    length = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    return torch.randn(length, dtype=dtype).as_strided(shape, strides)
