"""Whether a layer of torch.nn computes the same on its fast path as off it.

The fast path reads the weights of the layers inside and calls none of them, so that whatever else stands in their place
(the LoRA layers of peft) has no effect on it. An edit takes the layer off the fast path, and would show that effect as
its own.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from saccade.errors import SaccadeError
from saccade.lens.dataflow.operation import tensors

TOLERANCE = 1e-3  # of the largest number of the output; kernels differ by less than a tenth of it


def may_differ(module: nn.Module) -> bool:
    """Whether anything but plain layers of torch.nn is inside, while it evaluates."""
    inside = (type(each).__module__ for each in module.modules())
    return not module.training and any(not name.startswith("torch.nn.") for name in inside)


def check_alike(name: str, module: nn.Module, on: Callable[[], Any], off: Callable[[], Any]) -> None:
    """Raise SaccadeError if the layer gives something else off its fast path. on, off: run it in the two ways."""
    pairs = zip(tensors((on(),)), tensors((off(),)), strict=True)
    for one, other in pairs:
        if float((one - other).abs().max()) > TOLERANCE * float(one.abs().max()):
            kinds = {type(each).__name__ for each in module.modules() if type(each).__module__[:9] != "torch.nn."}
            raise SaccadeError(
                f"edit of {name!r}: torch.nn's fast path, on which it runs unedited, leaves out what is inside it "
                f"({', '.join(sorted(kinds))}), and an edit runs with that: the output would change without an edit. "
                "Merge it into the weights first (peft: merge_and_unload()), or switch the fast path off "
                "(torch.backends.mha.set_fastpath_enabled(False))"
            )
