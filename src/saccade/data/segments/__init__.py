"""Class of every pixel of a picture, in one typed form for all annotation formats."""

from typing import Protocol

from jaxtyping import UInt8
from torch import Tensor

from saccade.data.dataset import PictureSet

IGNORE_INDEX = 255  # pixels without a class, excluded from training and scores
MAX_CLASSES = 255  # values of 8 bits without IGNORE_INDEX


class SegmentSet(PictureSet, Protocol):
    """Pictures with a class for every pixel, for training and evaluation of segmentation models."""

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """The class index of each pixel, or IGNORE_INDEX; of the height and width of `picture(index)`.

        Raises DataError for a mask that cannot be read, has another size than its picture, or holds a value that is
        not a class."""
