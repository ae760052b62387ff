"""Generated pictures side by side."""

import math
from collections.abc import Sequence

from PIL import Image

from saccade.tasks.drawing import PAPER

_GAP = 4
LARGEST = 400  # pictures on a sheet


def contact_sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """The first `LARGEST` pictures, of one size, row by row, in about as many rows as columns."""
    pictures = pictures[:LARGEST]
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), PAPER)
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        sheet.paste(picture, (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    return sheet
