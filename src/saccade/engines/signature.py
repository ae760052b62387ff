"""What an exported network takes and gives: the sizes of its input, the names of its outputs."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

from saccade.errors import SaccadeError

INPUT = "pictures"


class Axis(BaseModel):
    """Sizes that one axis of the input may have: from `low` to `high`, multiples of `step`."""

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


class Signature(BaseModel):
    """Of a network with one input, pictures (b c y x) in float32. outputs: their names, in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    axes: tuple[Axis, Axis, Axis, Axis]
    outputs: tuple[str, ...] = Field(min_length=1)

    def check(self, shape: Sequence[int]) -> None:
        """Raises SaccadeError for an input of another shape: engines take some and answer wrongly."""
        if len(shape) != 4 or any(size not in axis for size, axis in zip(shape, self.axes, strict=True)):
            raise SaccadeError(
                f"the exported network was given an input of shape {tuple(shape)}; it takes "
                f"{', '.join(map(str, self.axes))}: resize the pictures, or export it for this size"
            )
