"""The ten colours, by name; and index masks as PNGs with a palette."""

import numpy as np
from PIL import Image

from saccade.data.scenes.random_stream import RandomStream

Colour = tuple[float, float, float]  # red, green, blue, 0 to 1

COLOURS: dict[str, Colour] = {
    "red": (0.86, 0.11, 0.13),
    "orange": (0.98, 0.53, 0.06),
    "yellow": (0.98, 0.87, 0.14),
    "green": (0.16, 0.62, 0.20),
    "turquoise": (0.12, 0.78, 0.78),
    "blue": (0.12, 0.27, 0.84),
    "purple": (0.52, 0.16, 0.70),
    "pink": (0.98, 0.52, 0.72),
    "brown": (0.44, 0.25, 0.11),
    "white": (0.97, 0.97, 0.97),
}


def jitter_colour(stream: RandomStream, name: str) -> Colour:
    """The colour of that name with small random changes of brightness and hue."""
    light = stream.uniform(0.98 if name == "white" else 0.88, 1.06)  # a darker white is grey
    red, green, blue = (min(1.0, light * (part + stream.uniform(-0.035, 0.035))) for part in COLOURS[name])
    return red, green, blue


def second_tone(stream: RandomStream, colour: Colour) -> Colour:
    """The second tone of a texture: the same colour, clearly lighter or darker."""
    luma = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    share = stream.uniform(0.28, 0.44) * (0.7 if luma > 0.9 else 1.0)
    towards = 1.0 if luma < 0.45 and stream.bernoulli(0.7) else 0.0
    red, green, blue = (part + share * (towards - part) for part in colour)
    return red, green, blue


def palette_picture(indices: np.ndarray) -> Image.Image:
    """A palette picture of indices, uint8 (y x), in the colours of Pascal VOC; index 0 is black."""
    picture = Image.fromarray(np.ascontiguousarray(indices, np.uint8), "L")
    picture.putpalette([part for index in range(256) for part in voc_colour(index)])
    return picture


def voc_colour(index: int) -> tuple[int, int, int]:
    """VOC's colour of an index: its bits, three at a time from the lowest, are the bits of red, green and blue from the
    highest."""
    parts = [0, 0, 0]
    for place in range(8):
        for part in range(3):
            parts[part] |= ((index >> (3 * place + part)) & 1) << (7 - place)
    return parts[0], parts[1], parts[2]
