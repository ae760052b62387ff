"""Which tensors an operation writes into: PyTorch counts no writes in inference mode, so they are seen as they pass."""

from collections.abc import Callable
from functools import lru_cache

from torch import Tensor
from torch._ops import OpOverload

from saccade.lens.dataflow.operation import Operation, name_of, tensors

# Named as if they wrote, but they leave the numbers as they are.
HARMLESS = {
    "requires_grad_", "retain_grad_", "detach_", "share_memory_", "__index__", "__int__", "__invert__", "__iter__",
}  # fmt: skip


def written_tensors(op: Operation, may_return_its_input: bool) -> list[Tensor]:
    """The tensors that an operation that was just done wrote into.

    By its schema where it has one, else by the names of PyTorch: `mul_`, `__imul__`, `out=`, and `inplace=True`, which
    returns its first argument. may_return_its_input: it does so without a write as well (`contiguous`).
    """
    args, kwargs, places = op.args, op.kwargs, _by_schema(op.func)
    if places is not None:
        by_place, by_name = ((args[i] for i, _ in places if i < len(args)), (kwargs.get(name) for _, name in places))
        return tensors((*by_place, *by_name)) if places else []
    first = args[0] if args else kwargs.get("input")
    written = (first,) if _by_name(op.func) or (op.out is first and not may_return_its_input) else ()
    return tensors((kwargs["out"], *written)) if "out" in kwargs else tensors(written)


@lru_cache(maxsize=4096)
def _by_schema(func: Callable) -> tuple[tuple[int, str], ...] | None:
    """Place and name of the arguments that an operation below autograd writes into."""
    if not isinstance(func, OpOverload):
        return None
    arguments = enumerate(func._schema.arguments)
    return tuple((i, a.name) for i, a in arguments if a.alias_info is not None and a.alias_info.is_write)


@lru_cache(maxsize=4096)
def _by_name(func: Callable) -> bool:
    name = name_of(func)
    if name in HARMLESS:
        return False
    special = name.startswith("__") and name.endswith("__")
    return name in ("__setitem__", "__set__") or (name.startswith("__i") if special else name.endswith("_"))
