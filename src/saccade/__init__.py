"""Vision attention that you can use, see and touch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from saccade.displays import register_display
from saccade.version import __version__ as __version__

if TYPE_CHECKING:
    from saccade.errors import CheckpointError, DataError, SaccadeError
    from saccade.lens import (
        Call,
        Trace,
        bias_source,
        borrow,
        cut,
        drop_heads,
        during,
        freeze,
        scale_heads,
        scale_source,
        swap,
    )
    from saccade.lens.editing.edit import edit
    from saccade.lens.watching.watch import watch
    from saccade.ops import attend, attention_weights
    from saccade.studio.any_model import look
    from saccade.tasks import load

__all__ = [
    "Call",
    "CheckpointError",
    "DataError",
    "SaccadeError",
    "Trace",
    "attend",
    "attention_weights",
    "bias_source",
    "borrow",
    "cut",
    "drop_heads",
    "during",
    "edit",
    "freeze",
    "load",
    "look",
    "scale_heads",
    "scale_source",
    "swap",
    "watch",
]

# Subpackages and the names exported from them are imported on first use: importing PyTorch takes a second or two, and
# the command line must handle Ctrl-C before that.
_SUBPACKAGES = {
    "errors": ("CheckpointError", "DataError", "SaccadeError"),
    "ops": ("attend", "attention_weights"),
    "layers": (),
    "models": (),
    "lens": (
        *("Call", "Trace", "bias_source", "borrow", "cut", "drop_heads", "during", "edit", "freeze", "scale_heads"),
        *("scale_source", "swap", "watch"),
    ),
    "data": (),
    "checkpoints": (),
    "tasks": ("load",),
    "train": (),
    "studio": (),
}
_FUNCTIONS = {"look": "saccade.studio.any_model"}  # of modules that are not exported themselves

register_display("Trace", "saccade.studio.notebook.trace_page:trace_html")  # the lens itself knows of no pages

if not TYPE_CHECKING:  # with it, mypy would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name in _FUNCTIONS:
            globals()[name] = getattr(import_module(_FUNCTIONS[name]), name)
            return globals()[name]
        for package, exported in _SUBPACKAGES.items():
            if name == package or name in exported:
                module = import_module(f"saccade.{package}")
                globals()[name] = module if name == package else getattr(module, name)
                return globals()[name]
        raise AttributeError(f"module 'saccade' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBPACKAGES})
