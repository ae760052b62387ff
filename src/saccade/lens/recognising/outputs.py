"""What a model does with the output of an attention call before anything else: gates it, subtracts it from another."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from saccade.lens.dataflow.operation import Operation
from saccade.lens.dataflow.tensor_map import TensorMap
from saccade.lens.trace.call import Call

GATED = "the model multiplies its output by another tensor (a gate)"
SUBTRACTED = "the model subtracts such an output from another (differential attention)"
LAYOUT = {"same", "dropout", "reshape", "index", "part", "expand", "permute", "concat"}  # the same numbers


class Outputs:
    """Follows outputs as far as they only change their layout, and notes on their calls what ends that."""

    def __init__(self) -> None:
        self._calls: TensorMap[tuple[Call, ...]] = TensorMap()  # by output, as long as it lives

    def add(self, out: Any, calls: Iterable[Call]) -> None:
        """Calls whose output was just returned."""
        if isinstance(out, Tensor) and (made := tuple(calls)):
            self._calls[out] = made

    @property
    def follows(self) -> bool:
        """Whether any output is followed."""
        return bool(self._calls.entries)

    def follow(self, op: Operation) -> None:
        """Look at one operation that was just done."""
        given, does = op.given, op.does
        outputs = [t for t in given if t in self._calls]
        if not outputs:
            return
        calls = tuple(dict.fromkeys(call for t in outputs for call in self._calls[t]))
        if does == "times" and len(outputs) == 1 and any(t.numel() > 1 for t in given if t is not outputs[0]):
            _note(calls, GATED)
        elif does == "minus" and len(outputs) == 2 and outputs[0] is not outputs[1]:
            _note(calls, SUBTRACTED)
        followed = does in LAYOUT or does in ("times", "over", "minus")
        for made in op.results:
            if followed:
                self._calls[made] = calls
            else:
                self._calls.pop(made, None)  # written into in place


def _note(calls: Iterable[Call], note: str) -> None:
    for call in calls:
        call.add_note(note)
