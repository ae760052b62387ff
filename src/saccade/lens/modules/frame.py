"""A running module of a watched model: what it was given, and what is known of its tensors."""

import inspect
from typing import Any

from torch import Tensor, nn

from saccade.lens.dataflow.origins import LatentQueryOrigins, Origins, memory, token_inputs


class Frame:
    """One running module of the watched model. component, run: see `Call`."""

    def __init__(self, name: str, module: nn.Module, component: str, run: int, args: tuple, kwargs: dict) -> None:
        self.name, self.module, self.component, self.run = name, module, component, run
        self.attended = False  # it, or a module in it, attended
        self.siblings: Any = None  # calls that it has just made side by side
        self.contains_attention = False  # a module named like attention ran inside it
        self.inputs = token_inputs(args, kwargs)  # alive as long as the forward anyway
        self.origins = Origins(self.inputs) if len(self.inputs) > 1 else None
        self.learned: LatentQueryOrigins | None = None  # in place of them
        self._args, self._kwargs = args, kwargs

    @property
    def batch(self) -> int:
        """The length of its first input, -1 if it has none."""
        return self.inputs[0].shape[0] if self.inputs else -1

    def argument(self, i: int) -> str:
        """The name that the module's forward has for its i-th input."""
        own = self.inputs[i]
        place = next((place for place, value in enumerate(self._args) if value is own), None)
        if place is None:
            return next(name for name, value in self._kwargs.items() if value is own)
        names = list(inspect.signature(self.module.forward).parameters)
        return names[place] if place < len(names) else ""

    def given(self, *tensors: Tensor) -> bool:
        """Whether any of the tensors is an input of the module, or a view of one."""
        own = {memory(t) for t in self.inputs}
        return any(memory(t) in own for t in tensors)
