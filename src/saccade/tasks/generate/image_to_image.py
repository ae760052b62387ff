"""Image to image: a picture to paint from, a mask for the part of it that is painted, and a style."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from saccade.data.files import escape
from saccade.data.images import Picture, Source, read_image
from saccade.errors import DataError, SaccadeError, printable
from saccade.models.source_encoders import masked_pixels
from saccade.tasks.generate.sampling_start import InpaintingStart, PictureStart, SamplingStart
from saccade.tasks.generate.settings import ImageSettings, Settings, StyleSettings

STRENGTH = 0.6  # by default, without a mask
HALF = 128  # grey value of a mask from which on a pixel is painted


@dataclass(frozen=True, eq=False)
class SourceImage:
    """A picture to paint from; `SourceImage.read` makes it.

    Attributes:
        image: upright RGB.
        mask: of the same size, mode "1", true for pixels to paint; None for the whole picture.
        name: of the picture, for display.
        notes: conversions of both files, one sentence each.
    """

    image: Image.Image
    mask: Image.Image | None = None
    name: str = "picture"
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, image: Source, mask_image: Source | None = None) -> "SourceImage":
        """mask_image: of the same size; pixels of at least 50 % grey are painted, the others are kept.

        Raises DataError as `read_image` does, and for a mask of another size or with nothing to paint."""
        picture = read_image(image)
        notes = [f"{escape(picture.name)}: {note}" for note in picture.notes]
        if mask_image is None:
            return cls(picture.image, None, picture.name, tuple(notes))
        mask, more = _read_mask(mask_image, picture)
        return cls(picture.image, mask, picture.name, (*notes, *more))

    def image_settings(
        self, strength: float | None = None, sources: Sequence[str] = (), caption: str | None = None
    ) -> ImageSettings:
        """For `Settings.image`. strength: None to attend to the picture, where `sources`, those of the generator, hold
        its kind, else to start at it with 0.6, or 1 with a mask. caption: of the picture, to invert it, with a strength
        of 1 by default. Raises SaccadeError where they are out of range, and for a caption with a mask."""
        if caption is not None:
            used = 1.0 if strength is None else strength
            return ImageSettings(used, self.file, self.digest, self.mask_digest, "inversion", caption)
        use: Literal["start", "source"] = "source" if strength is None and self.source_name in sources else "start"
        usual = STRENGTH if self.mask is None and use == "start" else 1.0
        chosen = usual if strength is None else strength
        return ImageSettings(chosen, self.file, self.digest, self.mask_digest, use)

    def style_settings(self, strength: float = 1.0, sources: Sequence[str] = ()) -> StyleSettings:
        """For `Settings.style`. sources: of the generator. Raises SaccadeError where the strength is out of range."""
        return StyleSettings(self.file, self.digest, strength, "source" if "style" in sources else "borrow")

    @property
    def source_name(self) -> str:
        """Name of the source of a generator that attends to it."""
        return "picture" if self.mask is None else "masked"

    @property
    def file(self) -> str:
        """Name without folders, for display."""
        return printable(Path(self.name).name)

    @cached_property
    def digest(self) -> str:
        """A short hash of the pixels."""
        return _digest(self.image)

    @cached_property
    def mask_digest(self) -> str:
        """A short hash of the mask, "" where there is none."""
        return "" if self.mask is None else _digest(self.mask)

    def fit_size(
        self, trained: tuple[int, int], patch: int, height: int | None = None, width: int | None = None
    ) -> tuple[int, int]:
        """(height, width) at which the picture is painted: about the area of the size of training in the picture's
        aspect, or the given sides, of which one gives the other; in multiples of the patch."""
        aspect = self.image.width / self.image.height
        if height is None and width is None:
            free = math.sqrt(trained[0] * trained[1] / aspect)
        else:
            free = (width or 0) / aspect
        fitted = _multiple(free, patch) if height is None else height
        return fitted, (_multiple((free if height is None else height) * aspect, patch) if width is None else width)

    def sampling_start(self, settings: Settings, device: torch.device) -> SamplingStart:
        """For `sample`. A pixel at the size of painting is painted if any part of it is. settings: with an image."""
        assert settings.image is not None
        picture, strength = pixels_of(self.image, settings.size).to(device), settings.image.strength
        if self.mask is None:
            return PictureStart(picture, strength) if settings.image.use == "start" else SamplingStart()
        return InpaintingStart(picture, strength, resize_mask(self.mask, settings.size).to(device))

    def pixels(self, size: tuple[int, int], device: torch.device) -> Float[Tensor, "1 c y x"]:
        """What a source of a generator takes, at a size (height, width)."""
        picture = pixels_of(self.image, size)[None].to(device)
        if self.mask is None:
            return picture
        return masked_pixels(picture, ~resize_mask(self.mask, size)[None, None].to(device))

    def finish(self, painted: Image.Image) -> Image.Image:
        """The result: with a mask, in the picture's own size, with every pixel but the masked ones as it was."""
        if self.mask is None:
            return painted
        result = self.image.copy()
        result.paste(painted.resize(self.image.size, Image.Resampling.BICUBIC), mask=self.mask)
        return result


def _read_mask(source: Source, picture: Picture) -> tuple[Image.Image, list[str]]:
    """The mask, with notes on it."""
    read = read_image(source)
    name, grey = escape(read.name), np.asarray(read.image.convert("L"))
    if read.image.size != picture.image.size:
        raise DataError(
            f"the mask {name} has {_pixels(read.image.size)} and {escape(picture.name)} has "
            f"{_pixels(picture.image.size)}: give a mask of the same size"
        )
    if not (grey >= HALF).any():
        raise DataError(f"the mask {name} has nothing to paint: no pixel is white (grey of 50 % or more)")
    if (grey >= HALF).all() and any("transparency" in note for note in read.notes):
        # white strokes on a transparent layer, as programs for painting save them
        raise DataError(
            f"the mask {name} is white all over, as its transparency is laid on white: give one without transparency, "
            "black where the picture is kept"
        )
    notes = list(read.notes)
    if ((grey > 0) & (grey < 255)).any():
        notes.append("a pixel is either painted or kept: greys from 50 % on are white, the others black")
    return Image.fromarray(grey >= HALF), [f"{name}: {note}" for note in notes]


@dataclass(frozen=True, eq=False)
class SourceImages:
    """The pictures that another is painted from: the image and the style of its settings."""

    image: SourceImage | None = None
    style: SourceImage | None = None

    def select_for(self, settings: Settings) -> "SourceImages":
        """Those of the settings. Raises SaccadeError unless they are the ones, with the mask, that they were made
        for."""
        image = style = None
        if settings.image is not None:
            image = _checked("picture", settings.image, self.image)
            _check_digest("mask", settings.image.mask_digest, image.mask_digest)
        if settings.style is not None:
            style = _checked("style", settings.style, self.style)
        return SourceImages(image, style)

    def sampling_start(self, settings: Settings, device: torch.device) -> SamplingStart | None:
        """For `sample`."""
        return None if self.image is None else self.image.sampling_start(settings, device)

    def pixels(
        self, settings: Settings, patch: int, trained: tuple[int, int], device: torch.device
    ) -> dict[str, Float[Tensor, "1 c y x"]]:
        """What the generator attends to beside the prompt, by the names of its sources. The style has a size of its
        own, about that of training."""
        found = {}
        if self.image is not None and settings.image is not None and settings.image.use == "source":
            found[self.image.source_name] = self.image.pixels(settings.size, device)
        if self.style is not None and settings.style is not None and settings.style.use == "source":
            found["style"] = self.style.pixels(self.style.fit_size(trained, patch), device)
        return found


def _checked(what: str, expected: ImageSettings | StyleSettings, original: SourceImage | None) -> SourceImage:
    if original is None:
        raise SaccadeError(
            f"the settings are of the {what} {expected.name} ({expected.digest}), which they do not contain: give it "
            "too"
        )
    _check_digest(f"{what} {original.name}", expected.digest, original.digest)
    return original


def _check_digest(what: str, expected: str, found: str) -> None:
    if found != expected:
        raise SaccadeError(
            f"the {printable(what)} has the digest {found or '(none)'}, and the settings are of {expected or 'none'}: "
            "give the same one, or make new settings"
        )


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """At the size (height, width), by averages where it is smaller."""
    return image.resize(size[::-1], Image.Resampling.BILINEAR)


def pixels_of(image: Image.Image, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
    """-1 to 1, at the size (height, width)."""
    return torch.from_numpy(np.array(resized(image, size))).permute(2, 0, 1).float().contiguous() / 127.5 - 1


def to_images(pixels: Float[Tensor, "b c y x"]) -> list[Image.Image]:
    """Pictures from pixels of -1 to 1; what lies beyond is cut."""
    whole = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    return [Image.fromarray(np.ascontiguousarray(picture)) for picture in whole.cpu().numpy()]


def resize_mask(mask: Image.Image, size: tuple[int, int]) -> Bool[Tensor, "y x"]:
    """Pixels that masked ones contribute to when a picture is resized as by `resized`."""
    shares = mask.convert("F").resize(size[::-1], Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(shares) > 0)


def _multiple(side: float, patch: int) -> int:
    return max(1, round(side / patch)) * patch


def digest_of(images: Sequence[Image.Image]) -> str:
    """A short hash of the pixels of pictures; of one its own."""
    if len(images) == 1:
        return _digest(images[0])
    return hashlib.sha256("".join(map(_digest, images)).encode()).hexdigest()[:10]


def _digest(image: Image.Image) -> str:
    header = f"{image.mode} {image.width} {image.height} ".encode()
    return hashlib.sha256(header + image.tobytes()).hexdigest()[:10]


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
