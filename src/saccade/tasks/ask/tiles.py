"""Tiles put together and crops undone, by comparing what the model saw with the pictures that it was given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from saccade.tasks.ask.image_token_layout import ImageTokenLayout, LayoutError, SeenPicture

SIDE = 48  # pixels at which pictures are compared
SAME = 8.0  # of 255: mean difference of what is the same picture, resized otherwise
LARGEST = 1024  # side of a picture on a page


def merge_tiles(places: ImageTokenLayout, given: Sequence[Image.Image], stretched: bool = False) -> ImageTokenLayout:
    """The places of the same tokens, in pictures that are whole and as they were given, as far as that is certain.

    Tiles that lie row by row before a small copy of the picture (InternVL, Idefics3) become one picture "detail" and
    an "overview". A picture that was stretched or cropped in its middle is shown as given. Places that are estimated
    (`mix`) keep their order. stretched: the model saw all of each picture, as its patches are put together here.

    Raises LayoutError where tiles cannot be put together with certainty, or stretched pictures are not those given.
    """
    seen = places.pictures
    if stretched and any(image_difference(one.image, given[one.source]) > SAME for one in seen):
        raise LayoutError("its patches, put together, are not the picture that was given")
    if places.mix is None and not any(one.part for one in seen) and len(seen) != len(given):
        seen = _grouped(seen, given)
    return replace(places, pictures=[replace(one, image=_as_given(one.image, given[one.source])) for one in seen])


def _grouped(seen: Sequence[SeenPicture], given: Sequence[Image.Image]) -> list[SeenPicture]:
    """Tiles by picture: those before each picture's small copy. Raises LayoutError where there is none."""
    out, start = list[SeenPicture](), 0
    for i, picture in enumerate(given):
        ends = [k for k in range(start, len(seen)) if image_difference(seen[k].image, picture) < SAME]
        if not ends:
            raise LayoutError(f"it sees {len(seen)} parts of {len(given)} pictures, of which none is picture {i + 1}")
        tiles, whole = seen[start : ends[0]], replace(seen[ends[0]], source=i)
        if tiles:
            out.append(_stitched([replace(one, source=i) for one in tiles], picture))
        out.append(replace(whole, part="overview" if tiles else ""))
        start = ends[0] + 1
    if start != len(seen):
        raise LayoutError(f"it sees {len(seen)} parts of {len(given)} pictures, {len(seen) - start} after the last")
    return out


def _stitched(tiles: Sequence[SeenPicture], picture: Image.Image) -> SeenPicture:
    """Tiles of one picture, row by row, in the number of columns that makes the picture."""
    count = len(tiles)
    ways = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    off = [image_difference(_mosaic(tiles, columns), picture) for _, columns in ways]
    order = sorted(range(len(ways)), key=lambda i: off[i])
    if off[order[0]] > SAME or (len(order) > 1 and off[order[1]] < 1.5 * off[order[0]] + 0.5):
        raise LayoutError(f"how {count} tiles of the picture lie is not certain")
    rows, columns = ways[order[0]]
    y, x = tiles[0].grid
    tokens = torch.stack([one.tokens for one in tiles]).view(rows, columns, y, x)

    def cell(place: int) -> tuple[Any, ...]:
        row, column = divmod(place, columns * x)
        return tiles[row // y * columns + column // x].cell(row % y * x + column % x)

    image = _mosaic(tiles, columns)
    grid = (rows * y, columns * x)
    pixels = (image.height, image.width)
    return SeenPicture(image, pixels, grid, tokens.permute(0, 2, 1, 3).flatten(), cell, tiles[0].source, "detail")


def _mosaic(tiles: Sequence[SeenPicture], columns: int) -> Image.Image:
    width, height = tiles[0].image.size
    out = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height))
    for i, one in enumerate(tiles):
        out.paste(one.image, (i % columns * width, i // columns * height))
    return out


def _as_given(seen: Image.Image, given: Image.Image) -> Image.Image:
    """The part of the given picture that was seen, if it is all of it or its middle; else what was seen."""
    whole = given.convert("RGB")
    width = min(whole.width, round(whole.height * seen.width / seen.height))
    height = min(whole.height, round(whole.width * seen.height / seen.width))
    left, top = (whole.width - width) // 2, (whole.height - height) // 2
    middle = whole.crop((left, top, left + width, top + height))
    best = min((whole, middle), key=lambda image: image_difference(seen, image))
    if image_difference(seen, best) > SAME:
        return seen
    shown = best.copy()
    shown.thumbnail((LARGEST, LARGEST))
    return shown


def image_difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, 0 to 255, both stretched to a small square."""
    small = [
        np.asarray(each.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
        for each in (one, other)
    ]
    return float(np.abs(small[0] - small[1]).mean())
