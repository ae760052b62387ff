"""How the arguments of operations are read that attention is written with."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from saccade.lens.dataflow.meanings import AS_FUNCTIONS, AS_KERNELS

Operands = tuple[Tensor, Tensor, str, str, str]  # two tensors, letters for their axes and for those of the result
DOTS = "0123456789"  # letters of axes that an operation does not name
ADDING = AS_FUNCTIONS["baddbmm"] | AS_KERNELS["baddbmm"]
DROPOUTS = AS_FUNCTIONS["dropout"] | AS_KERNELS["dropout"]


def axis_order(func: Callable, args: tuple, kwargs: dict, axes: int) -> list[int] | None:
    """Where each axis of the result was before, for a function that permutes axes: tried on sizes all different."""
    marked = torch.empty(*range(2, axes + 2), device="meta")
    rest = {name: value for name, value in kwargs.items() if name not in ("input", "self")}
    found = func(marked, *args[1:], **rest)
    return [size - 2 for size in found.shape] if found.ndim == axes else None


def all_positional(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Arguments with the first given by place."""
    if not ("input" in kwargs or "self" in kwargs):
        return args, kwargs
    name = "input" if "input" in kwargs else "self"
    return (kwargs[name], *args), {key: value for key, value in kwargs.items() if key != name}


def two_operands(args: tuple, kwargs: dict, *names: str) -> tuple[Any, Any]:
    """The first two arguments, given by place or by name."""
    given = [*args, *(kwargs[name] for name in names if name in kwargs)]
    return (given[0], given[1]) if len(given) > 1 else (None, None)


def is_product_of_activations(args: tuple, kwargs: dict) -> bool:
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


def is_active_dropout(func: Callable, args: tuple, kwargs: dict) -> bool:
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


def einsum_operand_axes(t: Tensor, own: str, axes: str, last: str) -> Tensor:
    """An operand of an einsum with the given axes, of size 1 where it has none, and the letters of `last` as one."""
    kept = [letter for letter in axes if letter in own]
    t = t.permute([own.index(letter) for letter in (*kept, *last)])
    sizes = iter(t.shape[: len(kept)])
    width = t.shape[len(kept) :].numel()
    return t.reshape([next(sizes) if letter in own else 1 for letter in axes] + [width])
