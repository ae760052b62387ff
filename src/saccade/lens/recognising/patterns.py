"""The operations that attention is written with, by what they do to scores: as functions of torch, and below it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Parameter

T, aten = Tensor, torch.ops.aten


def _methods(*names: str) -> set[Callable]:
    """The methods of Tensor by these names, and the functions of torch."""
    holders = [getattr(holder, name, None) for name in names for holder in (T, torch)]
    return {function for function in holders if callable(function)}


# What is done -> the functions that do it. "times" and the like take a tensor and a number or another tensor.
AS_FUNCTIONS: dict[str, set[Callable]] = {
    "matmul": _methods("matmul", "bmm", "__matmul__", "mm"),
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


Operands = tuple[Tensor, Tensor, str, str, str]  # two tensors, letters for their axes and for those of the result
DOTS = "0123456789"  # letters of axes that an operation does not name
ADDING = AS_FUNCTIONS["baddbmm"] | AS_KERNELS["baddbmm"]
DROPOUTS = AS_FUNCTIONS["dropout"] | AS_KERNELS["dropout"]


def _by_function(table: dict[str, set[Callable]]) -> dict[Callable, str]:
    return {function: meaning for meaning, functions in table.items() for function in functions}


KERNELS = _by_function(AS_KERNELS)
FUNCTIONS = _by_function(AS_FUNCTIONS) | KERNELS  # exported programs call these


def order_of(func: Callable, args: tuple, kwargs: dict, axes: int) -> list[int] | None:
    """Where each axis of the result was before, for a function that permutes axes: tried on sizes all different."""
    marked = torch.empty(*range(2, axes + 2), device="meta")
    rest = {name: value for name, value in kwargs.items() if name not in ("input", "self")}
    found = func(marked, *args[1:], **rest)
    return [size - 2 for size in found.shape] if found.ndim == axes else None


def placed(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Arguments with the first given by place."""
    if not ("input" in kwargs or "self" in kwargs):
        return args, kwargs
    name = "input" if "input" in kwargs else "self"
    return (kwargs[name], *args), {key: value for key, value in kwargs.items() if key != name}


def two_operands(args: tuple, kwargs: dict, *names: str) -> tuple[Any, Any]:
    """The first two arguments, given by place or by name."""
    given = [*args, *(kwargs[name] for name in names if name in kwargs)]
    return (given[0], given[1]) if len(given) > 1 else (None, None)


def of_activations(args: tuple, kwargs: dict) -> bool:
    """Whether a linear layer without a bias is given something computed in place of its weight."""
    weight = args[1] if len(args) > 1 else kwargs.get("weight")
    biased = len(args) > 2 or kwargs.get("bias") is not None
    return isinstance(weight, Tensor) and not isinstance(weight, Parameter) and weight.ndim == 2 and not biased


def only_adds_axes(args: tuple, t: Tensor, out: Tensor) -> bool:
    """Whether an index of t, given with its arguments, only adds or drops axes of size 1: x[None], x[..., None]."""
    keys = args[1] if isinstance(args[1], tuple) else (args[1],)
    plain = all(key is None or key is Ellipsis or isinstance(key, (int, slice)) for key in keys)
    backwards = any(isinstance(key, slice) and (key.step or 1) < 0 for key in keys)
    return plain and not backwards and out.numel() == t.numel()


def drops(func: Callable, args: tuple, kwargs: dict) -> bool:
    """Whether a dropout, or a product with what is random, changes anything."""
    if func not in DROPOUTS:
        return True
    given = dict(zip(("input", "p", "training"), args, strict=False)) | kwargs
    return bool(given.get("training", given.get("train", True)) and given.get("p", 0.5))


def softmax_axis(args: tuple, kwargs: dict, axes: int) -> int | None:
    """The axis that a softmax runs over."""
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return axis % axes if isinstance(axis, int) and axes else None


def operands(does: str, args: tuple, kwargs: dict) -> Operands | None:
    """The two operands of a product, as `einsum_of` gives them."""
    if does == "einsum":
        return einsum_of(args)
    if does == "baddbmm":
        given = dict(zip(("input", "batch1", "batch2"), args, strict=False)) | kwargs
        return matmul_of(given.get("batch1"), given.get("batch2"))
    if does == "linear":
        x, weight = two_operands(args, kwargs, "weight")
        return (x, weight, f"{DOTS[: x.ndim - 2]}ts", "cs", f"{DOTS[: x.ndim - 2]}tc") if x.ndim > 1 else None
    a, b = two_operands(args, kwargs, "input", "self", "other", "mat2", "tensor2")
    return matmul_of(b, a) if does == "rmatmul" else matmul_of(a, b)


def matmul_of(a: Any, b: Any) -> Operands | None:
    """The same of a matrix product; None for vectors."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and 2 <= min(a.ndim, b.ndim) <= max(a.ndim, b.ndim) < 13):
        return None
    of_a, of_b, of_out = (DOTS[len(DOTS) + 2 - n :] for n in (a.ndim, b.ndim, max(a.ndim, b.ndim)))
    return a, b, f"{of_a}ts", f"{of_b}sc", f"{of_out}tc"


def einsum_of(args: tuple) -> Operands | None:
    """The two operands of an einsum and one letter for each of their axes and of the result's; None for anything but
    two operands with an equation in which no letter stands twice."""
    equation, *rest = args
    operands = list(rest[0]) if len(rest) == 1 and isinstance(rest[0], Sequence) else rest
    if not isinstance(equation, str) or len(operands) != 2 or not all(isinstance(t, Tensor) for t in operands):
        return None
    inputs, arrow, result = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow or len(terms) != 2:
        return None
    most = max(t.ndim - len(term.replace("...", "")) for t, term in zip(operands, terms, strict=True))
    dots = DOTS[-most:] if most else ""  # for the axes of an ellipsis, aligned at its end
    letters = []
    for t, term in zip(operands, terms, strict=True):
        own = t.ndim - len(term.replace("...", ""))
        letters.append(term.replace("...", dots[most - own :] if own else ""))
    out = result.replace("...", dots)
    if any(len(set(term)) != len(term) for term in (*letters, out)):
        return None
    return operands[0], operands[1], letters[0], letters[1], out


def roles_of(of_a: str, of_b: str, of_out: str) -> tuple[str, str] | None:
    """The roles (`scoring`) of the axes of an einsum's result as scores, and the letters that are summed over; None
    if it is no product of queries with keys."""
    width = "".join(letter for letter in of_a if letter in of_b and letter not in of_out)
    dropped = set(of_a + of_b) - set(of_out) - set(width)
    roles = ["b" if i in of_a and i in of_b else "u" if i in of_a else "v" for i in of_out]
    if not width or dropped or "u" not in roles or "v" not in roles:
        return None
    for extra, main in (("u", "t"), ("v", "s")):  # the last axis of each is that of the tokens
        roles[len(roles) - 1 - roles[::-1].index(extra)] = main
    return "".join(roles), width


def spread(t: Tensor, own: str, axes: str, last: str) -> Tensor:
    """An operand of an einsum with the given axes, of size 1 where it has none, and the letters of `last` as one."""
    kept = [letter for letter in axes if letter in own]
    t = t.permute([own.index(letter) for letter in (*kept, *last)])
    sizes = iter(t.shape[: len(kept)])
    width = t.shape[len(kept) :].numel()
    return t.reshape([next(sizes) if letter in own else 1 for letter in axes] + [width])
