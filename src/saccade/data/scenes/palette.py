"""Index masks as PNGs with a palette."""

import numpy as np
from PIL import Image


def index_picture(indices: np.ndarray) -> Image.Image:
    """A palette picture of indices, uint8 (y x), in the colours of Pascal VOC; index 0 is black."""
    picture = Image.fromarray(np.ascontiguousarray(indices, np.uint8), "L")
    picture.putpalette([part for index in range(256) for part in index_colour(index)])
    return picture


def index_colour(index: int) -> tuple[int, int, int]:
    """VOC's colour of an index: its bits, three at a time from the lowest, are the bits of red, green and blue from the
    highest."""
    parts = [0, 0, 0]
    for place in range(8):
        for part in range(3):
            parts[part] |= ((index >> (3 * place + part)) & 1) << (7 - place)
    return parts[0], parts[1], parts[2]
