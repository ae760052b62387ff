"""The pictures of a prompt as the model sees them, and which of the tokens that it reads are which part of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from saccade.errors import SaccadeError


class LayoutError(SaccadeError):
    """Where the tokens of a picture lie is not known."""


@dataclass(frozen=True)
class SeenPicture:
    """A picture as the model saw it, or a part of it that has tokens of its own.

    image: what it saw, or that part of the picture as it was given. pixels: (height, width) of what it saw. grid:
    (rows, columns) of places. tokens: the source token of each place, row by row, -1 for a place without one. cell: the
    index into the model's input of the pixels of a place. source: index of the picture that it is, or is a part of.
    part: "" for the whole picture, else how it is called ("detail", "overview").
    """

    image: Image.Image
    pixels: tuple[int, int]
    grid: tuple[int, int]
    tokens: Int64[Tensor, "p"]
    cell: Callable[[int], tuple[Any, ...]]
    source: int = 0
    part: str = ""


@dataclass(frozen=True)
class ImageTokenLayout:
    """All pictures of a prompt, among the tokens that words attend to.

    sources: number of tokens of the prompt, or of the encoder. image: 1 for those that come from pictures, those
    without a place too (separators, cls), else 0. mix: of tokens that are no places (the queries of a Q-Former): what
    each of them has of each place; None where a token is a place. notes: what a reader must know.
    """

    pictures: list[SeenPicture]
    sources: int
    image: Float[Tensor, "m"]
    mix: Float[Tensor, "m p"] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Places of all pictures together."""
        return sum(len(one.tokens) for one in self.pictures)

    def token_places(self) -> Int64[Tensor, "m"]:
        """The place of each token, counted over all pictures; -1 for one without a place."""
        out, first = torch.full((self.sources,), -1), 0
        for one in self.pictures:
            there = one.tokens >= 0
            out[one.tokens[there]] = first + there.nonzero()[:, 0]
            first += len(one.tokens)
        return out


class ModelInputImages:
    """The pictures as they go into the model, made visible again.

    values: what the processor made of them, on the CPU. Raises LayoutError where it makes something else of them.
    """

    def __init__(self, inputs: dict[str, Tensor], processor: Any):
        if "pixel_values" not in inputs:
            raise LayoutError(f"its processor gives {', '.join(inputs)}, and no pixel_values")
        self.values = inputs["pixel_values"].cpu()
        normalised = getattr(processor, "do_normalize", True)
        self._mean: list[float] = processor.image_mean if normalised else [0.0] * 3
        self._std: list[float] = processor.image_std if normalised else [1.0] * 3
        self._scale = 255 if getattr(processor, "do_rescale", True) else 1

    def image(self, values: Float[Tensor, "3 y x"]) -> Image.Image:
        """Without the normalisation."""
        mean, std = (torch.tensor(x, dtype=torch.float32).view(-1, 1, 1) for x in (self._mean, self._std))
        plain = (values.float() * std + mean).mul(self._scale).round().clamp(0, 255)
        return Image.fromarray(plain.to(torch.uint8).permute(1, 2, 0).numpy().astype(np.uint8))
