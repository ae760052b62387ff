"""Modules are built without random weights where a file replaces them."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

_INITIALIZERS = frozenset(
    [init.normal_, init.uniform_, init.kaiming_uniform_, init.constant_, Tensor.normal_, Tensor.uniform_]
)


class SkipInit(TorchFunctionMode):
    """Inside, the initializers of weights leave their tensor as it is.

    On the meta device they would do worse than nothing: their kernels are written in Python and import the compiler of
    PyTorch and sympy, which takes a second.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _INITIALIZERS:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
