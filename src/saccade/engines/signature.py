"""What an exported network takes and gives: its inputs and the sizes of their axes, the names of its outputs."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from saccade.errors import SaccadeError


class Axis(BaseModel):
    """Sizes that one axis of an input may have: from `low` to `high`, multiples of `step`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    low: int = Field(ge=1)
    high: int = Field(ge=1)
    step: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _ends_are_steps(self) -> "Axis":
        if self.low > self.high or self.low % self.step or self.high % self.step:
            raise SaccadeError(f"{self.name} from {self.low} to {self.high} does not go in steps of {self.step}")
        return self

    @property
    def fixed(self) -> bool:
        """Whether there is one size only."""
        return self.low == self.high

    def __contains__(self, size: int) -> bool:
        return self.low <= size <= self.high and size % self.step == 0

    def __str__(self) -> str:
        sizes = f"{self.low}" if self.fixed else f"{self.low} to {self.high}"
        return f"{self.name} {sizes}" + f" in steps of {self.step}" * (self.step > 1 and not self.fixed)


class Input(BaseModel):
    """One tensor that a network takes. name: that of the argument of `forward`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    axes: tuple[Axis, ...]
    dtype: Literal["float32", "int64", "bool"] = "float32"


class Signature(BaseModel):
    """Inputs, in order; axes of one name have one size in all of them. outputs: their names, in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: tuple[Input, ...] = Field(min_length=1)
    outputs: tuple[str, ...] = Field(min_length=1)

    @property
    def axes(self) -> Mapping[str, Axis]:
        """All axes by name."""
        return {axis.name: axis for each in self.inputs for axis in each.axes}

    def check(self, *shapes: Sequence[int]) -> None:
        """Raises SaccadeError for inputs of other shapes: engines take some and answer wrongly."""
        sizes: dict[str, int] = {}
        for each, shape in zip(self.inputs, shapes, strict=True):
            fits = len(shape) == len(each.axes) and all(
                size in axis and sizes.setdefault(axis.name, size) == size
                for size, axis in zip(shape, each.axes, strict=True)
            )
            if not fits:
                raise SaccadeError(
                    f"the exported network was given {each.name} of shape {tuple(shape)}; it takes "
                    f"{', '.join(map(str, each.axes))}, each name with one size: resize the pictures, or export "
                    "it for this size"
                )
