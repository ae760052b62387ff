"""Any module that takes a picture, with the preprocessing that its owner gives."""

from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput, pixels_of
from saccade.checkpoints.public import PublicModel
from saccade.errors import DataError, in_one_line


@dataclass
class PictureModule(PublicModel):
    """A module, and how a picture becomes its input.

    processor: from a PIL image to a tensor (3 y x) or (1 3 y x), or to inputs by name; of a model that takes pairs from
    two PIL images. second: the other one.
    """

    second: Image.Image | None = None

    @property
    def takes_pairs(self) -> bool:
        """Whether its input is made of two pictures."""
        needed = [each for each in _parameters(self.processor) if each.default is each.empty]
        return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in needed) == 2

    def prepare(self, picture: Image.Image) -> ModelInput:
        """The inputs of one picture. Raises DataError if the processor fails, or returns something else."""
        pictures = [picture] if self.second is None else [picture, self.second]
        try:
            given = self.processor(*(each.convert("RGB") for each in pictures))
        except Exception as error:  # a function of the user's
            raise DataError(
                f"preprocess= of {self.name} failed on a picture of {picture.width} x {picture.height} pixels: "
                f"{type(error).__name__}: {in_one_line(error)}"
            ) from error
        return add_batch_axis(given)


def _parameters(function: Any) -> list[Parameter]:
    try:
        return list(signature(function).parameters.values())
    except (TypeError, ValueError):  # of a class written in C
        return []


def add_batch_axis(given: ModelInput) -> ModelInput:
    """The inputs with a batch axis. Raises DataError for a tensor that is not one picture; a dict of inputs may hold a
    picture in another form: a list of patches, or several parts."""
    if isinstance(given, Tensor):
        given = given[None] if given.ndim == 3 else given
    elif not hasattr(given, "keys"):
        raise DataError(f"the input of a model: expected a tensor (1 3 y x) or a dict of them, found {type(given)}")
    _check(pixels_of(given), isinstance(given, Tensor))
    return given


def _check(pixels: Float[Tensor, "..."], alone: bool) -> None:
    if min(pixels.shape) < 1 or pixels.ndim < 2 or (alone and (pixels.ndim != 4 or pixels.shape[0] != 1)):
        raise DataError(f"the picture in the input: expected a tensor (1 3 y x), found {tuple(pixels.shape)}")
    if not bool(pixels.isfinite().all()):
        raise DataError("the picture in the input holds values that are not finite")
