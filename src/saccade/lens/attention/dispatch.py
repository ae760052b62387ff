"""Modes that see every operation, without PyTorch's compiler."""

import sys
from typing import ClassVar, Self

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A TorchDispatchMode that the compiler leaves alone, as it does any other, but that does not import the compiler
    at its first operation, which would take a second."""

    _not_compiled: ClassVar[bool] = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether PyTorch is to import the compiler for that."""
        return False

    def __enter__(self) -> Self:
        cls = type(self)
        if not cls._not_compiled and "torch._dynamo" in sys.modules:
            cls._not_compiled = True
            cls.__torch_dispatch__ = torch._disable_dynamo(cls.__torch_dispatch__)  # type: ignore[method-assign]
        return super().__enter__()
