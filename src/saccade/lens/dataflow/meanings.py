"""What the operations do that attention is written with: functions of torch, and operators below it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

T, aten = Tensor, torch.ops.aten


def _methods(*names: str) -> set[Callable]:
    """The methods of Tensor by these names, and the functions of torch."""
    holders = [getattr(holder, name, None) for name in names for holder in (T, torch)]
    return {function for function in holders if callable(function)}


# What is done -> the functions that do it. "times" and the like take a tensor and a number or another tensor.
AS_FUNCTIONS: dict[str, set[Callable]] = {
    "matmul": _methods("matmul", "bmm", "__matmul__", "mm") | {torch.linalg.matmul},
    "rmatmul": {T.__rmatmul__},
    "baddbmm": _methods("baddbmm", "baddbmm_"),
    "einsum": {torch.einsum},
    "linear": {F.linear},
    "other product": _methods("tensordot", "inner", "addmm", "addbmm", "mv", "addmv") | {torch.linalg.multi_dot},
    "total": _methods("sum", "mean", "nansum"),
    "gumbel": {F.gumbel_softmax},
    "softmax": {F.softmax, torch.softmax, T.softmax, torch.special.softmax},
    "times": _methods("mul", "mul_", "multiply", "multiply_", "__mul__", "__rmul__", "__imul__"),
    "over": _methods("div", "div_", "divide", "divide_", "true_divide", "true_divide_", "__truediv__", "__itruediv__"),
    "plus": _methods("add", "add_", "__add__", "__radd__", "__iadd__"),
    "minus": _methods("sub", "sub_", "subtract", "subtract_", "__sub__", "__isub__"),
    "fill": _methods("masked_fill", "masked_fill_"),
    "where": {torch.where},
    "choose": {T.where},
    "same": _methods("to", "type", "type_as", "float", "half", "bfloat16", "double", "contiguous", "clone", "detach")
    | _methods("detach_", "requires_grad_", "cpu", "cuda", "positive", "resolve_conj", "resolve_neg"),
    "dropout": {F.dropout, torch.dropout, F.dropout1d, F.dropout2d},
    "clamp": _methods("clamp", "clamp_min", "clamp_max", "clip", "nan_to_num"),
    "reshape": _methods("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "view_as", "reshape_as"),
    "expand": _methods("expand", "expand_as", "broadcast_to"),
    "permute": _methods("transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "adjoint", "t")
    | {T.mT.__get__, T.T.__get__},  # type: ignore[attr-defined]
    "index": {T.__getitem__},
    "part": _methods("unbind", "chunk", "split", "select", "narrow"),
    "assign": {T.__setitem__},
    "blank": _methods("full_like", "zeros_like", "ones_like", "empty_like", "rand_like", "randn_like")
    | _methods("new_zeros", "new_ones", "new_full", "new_empty"),
    "concat": _methods("cat", "concat", "concatenate"),
    "pad": {F.pad},
}

AS_KERNELS: dict[str, set[Callable]] = {
    "matmul": {aten.bmm.default, aten.matmul.default},
    "baddbmm": {aten.baddbmm.default},
    "softmax": {aten._softmax.default, aten._safe_softmax.default, aten.softmax.int},
    "times": {aten.mul.Tensor, aten.mul.Scalar, aten.mul_.Tensor, aten.mul_.Scalar},
    "over": {aten.div.Tensor, aten.div.Scalar, aten.div_.Tensor, aten.div_.Scalar},
    "plus": {aten.add.Tensor, aten.add_.Tensor},
    "minus": {aten.sub.Tensor, aten.sub_.Tensor},
    "fill": {aten.masked_fill.Scalar, aten.masked_fill.Tensor, aten.masked_fill_.Scalar, aten.masked_fill_.Tensor},
    "where": {aten.where.self},
    "same": {aten._to_copy.default, aten.clone.default, aten.detach.default, aten.alias.default, aten.to.dtype}
    | {aten.to.dtype_layout, aten.contiguous.default, aten.type_as.default},
    "dropout": {aten.native_dropout.default, aten.dropout.default},
    "blank": {aten.full_like.default, aten.zeros_like.default, aten.ones_like.default, aten.empty_like.default},
    "noise": {aten.bernoulli_.float},
    "reshape": {aten.view.default, aten._unsafe_view.default, aten.unsqueeze.default, aten.squeeze.dim}
    | {aten.reshape.default, aten.flatten.using_ints, aten.unflatten.int},
    "expand": {aten.expand.default},
    "permute": {aten.transpose.int, aten.permute.default, aten.t.default},
}


def _by_function(table: dict[str, set[Callable]]) -> dict[Callable, str]:
    return {function: meaning for meaning, functions in table.items() for function in functions}


MEANINGS = _by_function(AS_KERNELS) | _by_function(AS_FUNCTIONS)
