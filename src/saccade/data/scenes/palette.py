"""Index masks as PNGs that look like something."""

import numpy as np
from PIL import Image


def index_picture(indices: np.ndarray) -> Image.Image:
    """uint8 (y x) as a palette picture: index 0 black, the others in colours that differ, VOC's."""
    picture = Image.fromarray(np.ascontiguousarray(indices, np.uint8), "L")
    picture.putpalette([part for index in range(256) for part in _colour(index)])
    return picture


def _colour(index: int) -> tuple[int, int, int]:
    """VOC's colour of an index: its bits, three at a time from the lowest, are the parts' bits from the highest."""
    parts = [0, 0, 0]
    for place in range(8):
        for part in range(3):
            parts[part] |= ((index >> (3 * place + part)) & 1) << (7 - place)
    return parts[0], parts[1], parts[2]
