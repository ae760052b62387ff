"""Objects of large pictures, found in overlapping tiles and joined."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch

from saccade.data.images import Picture
from saccade.data.objects.tiles import Tile, tiles_of
from saccade.tasks.detect.instances import MaskCandidate, resolve_overlaps
from saccade.tasks.detect.result import Detections

BATCH = 8  # tiles at once
OVERLAP = 0.4  # of a tile's side, at least: what is smaller is whole in a tile

Found = tuple[Detections, list[MaskCandidate]]  # of one picture, and their masks before overlaps are resolved


def detect_tiled(pictures: list[Picture], side: int, find: Callable[[list[Picture]], list[Found]]) -> list[Detections]:
    """The objects of pictures of any size, as of `instances.resolve_overlaps`; relations only of pictures that are one
    tile.

    An object that is cut by the edge of a tile is left out where the next tile shows it whole: where it is smaller than
    their overlap.

    side: of the tiles in pixels. find: of parts of pictures."""
    sizes = [(picture.image.height, picture.image.width) for picture in pictures]
    places = [(i, tile) for i, size in enumerate(sizes) for tile in tiles_of(size, side, OVERLAP)]
    parts = list[Found]()
    for start in range(0, len(places), BATCH):  # pictures are cut as they are needed
        some = places[start : start + BATCH]
        parts += find([replace(pictures[i], image=tile.crop(pictures[i].image)) for i, tile in some])
    joined: list[list[tuple[Tile, Found]]] = [[] for _ in pictures]
    for (i, tile), found in zip(places, parts, strict=True):
        joined[i].append((tile, found))
    return [_join(some, size) for some, size in zip(joined, sizes, strict=True)]


def _join(parts: list[tuple[Tile, Found]], size: tuple[int, int]) -> Detections:
    if len(parts) == 1:
        ((_, (found, candidates)),) = parts
        return resolve_overlaps(found, candidates, size)
    overlap = _overlap([tile for tile, _ in parts])
    whole, before = list[MaskCandidate](), 0
    for tile, (found, candidates) in parts:
        for each in candidates:
            if not _cut(each, tile, size, overlap):
                whole.append(each._replace(row=each.row + before, left=each.left + tile.left, top=each.top + tile.top))
        before += len(found)
    boxes, scores, labels = (
        torch.cat([getattr(found, name) for _, (found, _) in parts]) for name in ("boxes", "scores", "labels")
    )
    return resolve_overlaps(Detections(boxes, scores, labels), whole, size)


def _overlap(tiles: list[Tile]) -> tuple[int, int]:
    """Of neighbours, in pixels (across, down); 0 along an axis with one tile."""
    lefts, tops = sorted({tile.left for tile in tiles}), sorted({tile.top for tile in tiles})
    steps = [max((b - a for a, b in pairwise(some)), default=0) for some in (lefts, tops)]
    return tiles[0].width - steps[0] if steps[0] else 0, tiles[0].height - steps[1] if steps[1] else 0


def _cut(each: MaskCandidate, tile: Tile, size: tuple[int, int], overlap: tuple[int, int]) -> bool:
    """Whether an edge of the tile inside the picture cuts an object that a neighbour shows whole."""
    rows, columns = (each.mask.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
    if not rows:
        return True
    for first, last, place, side, length, shared in (
        (each.left + columns[0], each.left + columns[-1] + 1, tile.left, tile.width, size[1], overlap[0]),
        (each.top + rows[0], each.top + rows[-1] + 1, tile.top, tile.height, size[0], overlap[1]),
    ):
        at_edge = (first == 0 and place > 0) or (last == side and place + side < length)
        if at_edge and last - first < shared:
            return True
    return False
