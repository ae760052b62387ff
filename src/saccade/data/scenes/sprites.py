"""Sprites: pictures with transparency, supplied by the user, that are placed in scenes as objects."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from saccade.data.files import count_suffixes, escape, is_picture, natural_key, walk
from saccade.data.scenes.colours import COLOURS
from saccade.errors import DataError, in_one_line

LARGEST = 512  # pixels of the longer side that are kept
MAIN = 0.6  # minimum fraction of a sprite's pixels near a colour that names it


@dataclass(frozen=True, eq=False)
class Sprite:
    """A picture as a mipmap: levels of half the size each.

    name: its class. colour: name of its main colour, "" if it has many. levels: uint8 (y x 4), premultiplied RGBA with
    a border of one transparent pixel.
    """

    name: str
    colour: str
    levels: list[np.ndarray]

    @property
    def enclosing_radius(self) -> float:
        """Radius of the enclosing circle, in halves of the longer side."""
        height, width = (side - 2 for side in self.levels[0].shape[:2])
        return math.sqrt(height * height + width * width) / max(height, width)

    def sample(self, u: np.ndarray, v: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Alpha (y x) and colours (3 y x), 0 to 1, at coordinates from the centre in halves of the longer side, each
        of which is `radius` pixels long. Bilinear, in the smallest level with at least that resolution."""
        level = next((each for each in reversed(self.levels) if max(each.shape[:2]) - 2 >= 2 * radius), self.levels[0])
        height, width, _ = level.shape
        half = (max(height, width) - 2) / 2
        x = np.minimum(np.maximum(u * half + (width / 2 - 0.5), 0), width - 1)
        y = np.minimum(np.maximum(v * half + (height / 2 - 0.5), 0), height - 1)
        column, row = np.minimum(x.astype(np.int32), width - 2), np.minimum(y.astype(np.int32), height - 2)
        across, down = (x - column)[..., None], (y - row)[..., None]
        at = row * width + column
        pixels = level.reshape(-1, 4)
        upper = _mixed(pixels[at], pixels[at + 1], across)
        lower = _mixed(pixels[at + width], pixels[at + width + 1], across)
        found = (_mixed(upper, lower, down) * (1 / 255)).transpose(2, 0, 1)
        return found[3], found[:3] / np.maximum(found[3], 1 / 255)


def _mixed(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    first = first.astype(np.float32)
    return first + (second - first) * share


def read_sprites(folder: str | Path) -> list[Sprite]:
    """The sprites of a folder of PNGs. A sprite's class is the sub-folder of `folder` it is in, else its file's name.

    Raises DataError if there is no such folder, it holds no PNGs, or one is unreadable or fully transparent.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{escape(root)} is not a folder; a folder of PNGs with transparency was expected")
    files = [f"{at}/{name}" if at else name for at, names in walk(root) for name in names]
    pictures = sorted((name for name in files if is_picture(name) and name.lower().endswith(".png")), key=natural_key)
    if not pictures:
        raise DataError(
            f"{escape(root)} holds no sprites (found: {count_suffixes(files)}); PNGs with transparency expected"
        )
    return [_read(root / name, name.split("/")[0] if "/" in name else Path(name).stem) for name in pictures]


def _read(path: Path, name: str) -> Sprite:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            rgba = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"the sprite {escape(path)} cannot be read ({in_one_line(error)}); a PNG expected") from error
    box = rgba.getchannel("A").point([0] * 128 + [255] * 128).getbbox()
    if box is None:
        raise DataError(f"the sprite {escape(path)} is transparent all over; remove it")
    pixels = np.asarray(rgba.crop(box)).astype(np.uint16)
    colour = _main_colour(pixels)
    pixels[..., :3] = (pixels[..., :3] * pixels[..., 3:] + 127) // 255
    while max(pixels.shape[:2]) > LARGEST:
        pixels = _halved(pixels)
    levels = [pixels]
    while max(levels[-1].shape[:2]) > 8:
        levels.append(_halved(levels[-1]))
    return Sprite(name, colour, [np.pad(level, ((1, 1), (1, 1), (0, 0))).astype(np.uint8) for level in levels])


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; an odd last row or column is padded with transparent pixels."""
    height, width, _ = pixels.shape
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)))
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2] + 2) // 4


def _main_colour(pixels: np.ndarray) -> str:
    """The name of the colour of most opaque pixels, or ""; estimated from a sample for large sprites."""
    step = 1 + max(pixels.shape[:2]) // 128
    pixels = pixels[::step, ::step]
    opaque = pixels[pixels[..., 3] >= 128][:, None, :3].astype(np.int64)
    named = np.array([[round(255 * part) for part in colour] for colour in COLOURS.values()])
    apart = opaque - named
    counts = np.bincount((apart * apart).sum(axis=2).argmin(axis=1), minlength=len(named))
    best = int(counts.argmax())
    return list(COLOURS)[best] if counts[best] >= max(1, MAIN * len(opaque)) else ""
