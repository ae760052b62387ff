"""What every pixel of a picture is, in one typed form, whatever format it was read from."""

from typing import Protocol

from jaxtyping import UInt8
from torch import Tensor

from saccade.data.images import Picture

IGNORE_INDEX = 255  # of a pixel that is of no class: neither trained on nor scored
MAX_CLASSES = 255  # what an index mask of eight bits can hold beside IGNORE_INDEX


class SegmentSet(Protocol):
    """Pictures with a class for every pixel: what segmentation trains and scores on.

    Attributes:
        label: what to call the set in messages.
        classes: names that the values of a mask index.
        on_error: what an unreadable picture or mask does: "skip" or "fail".
        skipped: unreadable pictures and refused masks met so far, name -> reason.
        notes: what was assumed on the way, a sentence each.
    """

    label: str
    classes: list[str]
    on_error: str
    skipped: dict[str, str]
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """A name a picture, unique."""

    def __len__(self) -> int: ...

    def picture(self, index: int) -> Picture:
        """Upright. Raises DataError if it cannot be read."""

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """The index of each pixel's class, or IGNORE_INDEX; of the same height and width as `picture(index)`.

        Raises DataError for a mask that cannot be read, that is of another size than its picture, or that holds a
        value which is no class."""
