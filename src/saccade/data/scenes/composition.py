"""Constraints on scenes: the number of objects, whether they may overlap, which combinations may occur."""

from dataclasses import dataclass
from typing import get_args

from saccade.data.scenes.held_out import Combinations
from saccade.errors import DataError

MAX_OBJECTS = 8
DEFAULT_OBJECTS = (3, 8)


@dataclass(frozen=True)
class Composition:
    """Attributes:
        objects: minimum and maximum number of objects in a scene, 1 to 8.
        apart: objects do not overlap and are not cut by the border.
        combinations: "all"; "seen": no held-out combination occurs; "held-out": at least one occurs in every scene.

    Raises:
        DataError: a value out of range.
    """

    objects: tuple[int, int] = DEFAULT_OBJECTS
    apart: bool = False
    combinations: Combinations = "all"

    def __post_init__(self) -> None:
        fewest, most = self.objects
        if not 1 <= fewest <= most <= MAX_OBJECTS:
            raise DataError(
                f"objects={fewest}-{most} was given; the fewest and the most, from 1 to {MAX_OBJECTS}, expected"
            )
        if self.combinations not in get_args(Combinations):
            expected = ", ".join(get_args(Combinations))
            raise DataError(f"combinations={self.combinations!r} was given; one of {expected} expected")
