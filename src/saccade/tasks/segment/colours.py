"""Distinct colours for up to 255 classes."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from saccade.data.scenes.colours import palette_picture
from saccade.data.segments import IGNORE_INDEX, MAX_CLASSES
from saccade.errors import DataError
from saccade.tasks.drawing import PALETTE, Colour

GREY = (150, 150, 150)  # of ignored pixels


def class_colours(count: int) -> list[Colour]:
    """`count` distinct colours, at most 255, visible on dark and light pictures.

    The first are `PALETTE` of `saccade.tasks.drawing`; each further one has the largest CIELAB distance to all before,
    among colours that are not dark, pale or grey. The first n do not depend on `count`.
    """
    return list(_all_colours()[:count])


def resolve_colours(classes: Sequence[str], colours: Sequence[Colour] | None) -> list[Colour]:
    """`colours` if given, else `class_colours`. Raises DataError if there is not one colour for each class, for more
    classes than a mask can hold, and for an invalid colour."""
    if len(classes) > MAX_CLASSES:
        raise DataError(f"{len(classes)} classes to draw; at most {MAX_CLASSES} were expected")
    if colours is None:
        return class_colours(len(classes))
    if len(colours) != len(classes):
        raise DataError(f"{len(colours)} colours for {len(classes)} classes; expected one each")
    return [_checked(colour) for colour in colours]


def index_png(mask: UInt8[Tensor, "y x"], colours: Sequence[Colour] | None = None) -> Image.Image:
    """The mask as an 8-bit palette picture whose values are class indices; `save` it as a PNG.

    colours: the palette; default: that of VOC, which ignored pixels (255) always have. Raises DataError for too many
    colours, and for an invalid colour.
    """
    picture = palette_picture(mask.cpu().numpy())
    if colours is not None:
        if len(colours) > MAX_CLASSES:
            raise DataError(f"{len(colours)} colours of classes; at most {MAX_CLASSES} were expected")
        palette = picture.getpalette()
        assert palette is not None
        given = [part for colour in colours for part in _checked(colour)]
        # All 256 entries: with fewer, Pillow would save fewer bits.
        picture.putpalette([*given, *[0] * (3 * IGNORE_INDEX - len(given)), *palette[3 * IGNORE_INDEX :]])
    return picture


def _checked(colour: Colour) -> Colour:
    parts = tuple(colour)
    if len(parts) != 3 or not all(isinstance(part, int | np.integer) and 0 <= part <= 255 for part in parts):
        raise DataError(f"a colour is {parts}; expected red, green and blue, each 0 to 255")
    return int(parts[0]), int(parts[1]), int(parts[2])


@lru_cache(maxsize=1)
def _all_colours() -> tuple[Colour, ...]:
    steps = np.arange(0, 256, 15)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _lab(grid)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    keep = (lab[:, 0] > 42) & (lab[:, 0] < 92) & (chroma > 14)
    grid, lab = grid[keep], lab[keep]
    chosen = list(PALETTE)
    nearest = np.linalg.norm(lab[:, None] - _lab(np.array(chosen))[None], axis=2).min(axis=1)
    while len(chosen) < MAX_CLASSES:
        best = int(nearest.argmax())
        chosen.append((int(grid[best, 0]), int(grid[best, 1]), int(grid[best, 2])))
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[best], axis=1))
    return tuple(chosen)


def _lab(rgb: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """CIELAB of sRGB values, 0 to 255, under illuminant D65 (IEC 61966-2-1, ISO/CIE 11664-4)."""
    given = rgb / 255
    linear = np.where(given <= 0.04045, given / 12.92, ((given + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
