"""Modules that are imported on first use, so that the command line answers before PyTorch is loaded."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, exports: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` (PEP 562) of a package.

    Args:
        package: its `__name__`.
        exports: public name -> the module that defines it, relative to the package, as in ".task".
    """

    def getattribute(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(exports[name], package), name)

    return getattribute, lambda: sorted(exports)


def resolve_name(name: str) -> Any:
    """The object called "module:attribute"."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
