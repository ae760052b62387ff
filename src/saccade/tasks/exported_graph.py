"""What is exported of a task's network: its inputs and outputs, and inputs on which engines are compared."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Generator, Tensor, nn

from saccade.engines.signature import Axis, Input, Signature
from saccade.tasks.encoders import ceil_to_patches

MAX_BATCH, MAX_ROWS = 4096, 256  # of an exported network: pictures, and patches along a side
Case = tuple[Tensor, ...]  # inputs, in order


class ExportGraph(nn.Module):
    """A network that is exported: by default pictures in, and a tuple of tensors out.

    Attributes:
        outputs: names of the tensors.
        card: goes to the card of the exported model.
        size: (height, width) of the preprocessed pictures.
    """

    outputs: tuple[str, ...]
    card: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, task: Any):
        super().__init__()
        self.model = task.model
        self.size = ceil_to_patches(task.preprocess.size, task.vit.config.patch)

    def signature(self) -> Signature:
        """What it takes and gives."""
        return Signature(inputs=self.inputs(), outputs=self.outputs)

    def inputs(self) -> tuple[Input, ...]:
        """Pictures in any batch, and of any size in whole patches from two on: after a call with a single key OpenVINO
        answers later calls wrongly. Positions that are interpolated with an offset (DINOv2's) are computed for one size
        only: that of the preprocessing."""
        config = self.model.vit.config
        fixed = "learned" in config.positions and config.offset
        batch, channels = dynamic_axis("batch", MAX_BATCH), dynamic_axis("channels", config.channels, config.channels)
        sides = (
            Axis(
                name=name,
                low=size if fixed else fewest * config.patch,
                high=size if fixed else max(MAX_ROWS * config.patch, size),
                step=config.patch,
            )
            for name, fewest, size in zip(("height", "width"), (1, 2), self.size, strict=True)
        )
        return (Input(name="pictures", axes=(batch, channels, *sides)),)

    def example(self) -> Case:
        """Inputs whose way through the network is captured: of two or more along every axis that is not fixed."""
        return (torch.zeros(2, self.model.vit.config.channels, *self.size),)

    def comparison_inputs(self, generator: Generator) -> list[Case]:
        """Inputs to compare: of one picture, of several, and of another size where it may have one."""
        axes = self.signature().axes
        channels, height, width = axes["channels"].low, axes["height"], axes["width"]
        shapes: list[tuple[int, ...]] = [(1, channels, *self.size), (3, channels, *self.size)]
        if not height.fixed:
            other = min(height.high, self.size[0] + height.step), max(width.low, self.size[1] - width.step)
            shapes.append((2, channels, *other))
        return [(torch.randn(shape, generator=generator),) for shape in shapes]


def dynamic_axis(name: str, high: int, low: int = 1) -> Axis:
    """An axis of any size from `low` to `high`."""
    return Axis(name=name, low=low, high=high, step=1)
