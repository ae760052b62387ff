"""What every pixel of a picture is, in one typed form, whatever format it was read from."""

from typing import Protocol

from jaxtyping import UInt8
from torch import Tensor

from saccade.data.dataset import PictureSet

IGNORE_INDEX = 255  # of a pixel that is of no class: neither trained on nor scored
MAX_CLASSES = 255  # what an index mask of eight bits can hold beside IGNORE_INDEX


class SegmentSet(PictureSet, Protocol):
    """Pictures with a class for every pixel, for training and evaluation of segmentation models."""

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """The class index of each pixel, or IGNORE_INDEX; of the height and width of `picture(index)`.

        Raises DataError for a mask that cannot be read, has another size than its picture, or holds a value that is
        not a class."""
