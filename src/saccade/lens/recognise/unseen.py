"""Attention that goes past the fused call: recognise it, so that it is named and not silently absent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils.weak import WeakIdKeyDictionary

from saccade.lens.origins import tensors

SOFTMAX = {F.softmax, torch.softmax, Tensor.softmax}
PRODUCTS = {torch.matmul, torch.bmm, torch.einsum, Tensor.matmul, Tensor.bmm, Tensor.__matmul__}
PASSING = {  # what models do to the weights between the softmax and the product with the values
    F.dropout, Tensor.to, Tensor.type, Tensor.type_as, Tensor.float, Tensor.half, Tensor.bfloat16, Tensor.contiguous,
    Tensor.view, Tensor.reshape, torch.reshape, Tensor.flatten, Tensor.permute, Tensor.transpose, Tensor.masked_fill,
    torch.nan_to_num, Tensor.nan_to_num, Tensor.mul, Tensor.__mul__, torch.mul,
}  # fmt: skip
FOLLOWED = SOFTMAX | PRODUCTS | PASSING


class Products:
    """Finds attention made of separate operations: a softmax whose result is multiplied with something."""

    def __init__(self) -> None:
        self._weights: WeakIdKeyDictionary = WeakIdKeyDictionary()  # live results of a softmax -> their shape

    def follow(self, func: Callable, args: tuple, kwargs: dict, out: Any) -> str:
        """Look at one operation. Returns what was found when it completes an attention, else ""."""
        if func in SOFTMAX:
            if isinstance(out, Tensor) and out.ndim >= 3:
                self._weights[out] = tuple(out.shape)
            return ""
        if not self._weights:
            return ""
        shape = next((self._weights[t] for t in tensors(args, kwargs) if t in self._weights), None)
        if shape is None:
            return ""
        if func in PRODUCTS:
            return f"softmax of scores {shape} and product with values as separate operations, not a fused call"
        if isinstance(out, Tensor):
            self._weights[out] = shape
        return ""


FAST_PATH = "PyTorch's fused layer shows no q and k; call torch.backends.mha.set_fastpath_enabled(False) to see it"
SEPARATE = (
    "torch.nn.MultiheadAttention computed its weights as separate operations (need_weights=True, or dropout while "
    "training), not a fused call"
)
SCRIPTED = "code compiled by torch.jit shows no attention calls; watch the model it was made from"
PYTORCH = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)


@contextmanager
def without(kind: type) -> Iterator[None]:
    """Take function modes of one class off the stack for a while."""
    modes = _get_current_function_mode_stack()
    for _ in modes:
        _pop_mode()
    for mode in modes:
        if not isinstance(mode, kind):
            _push_mode(mode)
    try:
        yield
    finally:
        for _ in _get_current_function_mode_stack():
            _pop_mode()
        for mode in modes:
            _push_mode(mode)
