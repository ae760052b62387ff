"""Large pictures in overlapping tiles, so that small objects keep their size."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Literal

from PIL import Image

from saccade.data.dataset import DerivedSet
from saccade.data.images import Picture
from saccade.data.objects import ObjectAnnotations, ObjectSet
from saccade.data.objects.arrays import with_planes
from saccade.data.objects.transforms import apply_placement
from saccade.data.preprocess import Placement
from saccade.errors import DataError
from saccade.ops.patches import tile_starts

OVERLAP = 0.25  # of a tile's side, at least, in training
MIN_VISIBLE = 0.3  # of an object must lie in a tile to be learned there
CACHED = 4  # pictures whose tiles are read one after another


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def crop(self, image: Image.Image) -> Image.Image:
        """The part of the picture."""
        return image.crop((self.left, self.top, self.left + self.width, self.top + self.height))


def tiles_of(size: tuple[int, int], side: int, overlap: float = OVERLAP) -> list[Tile]:
    """Tiles of at most `side` pixels a side that cover a picture of `size` (height, width), row by row, evenly spaced;
    the whole picture where it is no larger. overlap: of neighbours at least, in sides of a tile."""
    rows, columns = (tile_starts(length, side, side - round(overlap * side)) for length in size)
    height, width = (min(length, side) for length in size)
    return [Tile(left, top, width, height) for top, left in product(rows, columns)]


class TiledObjects(DerivedSet):
    """An `ObjectSet` of the tiles of another's pictures.

    The size of every picture is read first; a picture that cannot be read stays one, and is reported as others are.

    Attributes:
        names: of the pictures, with the place of the tile.
    """

    def __init__(self, whole: ObjectSet, side: int):
        self._whole, names = whole, whole.names
        self._tiles: list[tuple[int, Tile | None]] = []
        for i in range(len(whole)):
            try:
                found = tiles_of(whole.objects(i, masks=False).size, side)
            except DataError:
                found = []
            self._tiles += [(i, tile) for tile in found] if len(found) > 1 else [(i, None)]
        self.names = [
            names[i] if tile is None else f"{names[i]}, tile {tile.left} {tile.top}" for i, tile in self._tiles
        ]
        self._picture = lru_cache(maxsize=CACHED)(whole.picture)
        self._objects = lru_cache(maxsize=CACHED)(lambda i: with_planes(whole.objects(i, "planes"), names[i]))

    def __len__(self) -> int:
        return len(self._tiles)

    def picture(self, index: int) -> Picture:
        """The tile. Raises DataError if its picture cannot be read."""
        i, tile = self._tiles[index]
        picture = self._picture(i)
        return picture if tile is None else replace(picture, image=tile.crop(picture.image))

    def objects(self, index: int, masks: bool | Literal["planes"] = True) -> ObjectAnnotations:
        """Those of which enough lies in the tile; masks are `planes`."""
        i, tile = self._tiles[index]
        found = self._objects(i) if masks else self._whole.objects(i, masks=False)
        if tile is None:
            return found
        shift = Placement(1.0, 1.0, -float(tile.left), -float(tile.top))
        return apply_placement(found, shift, (tile.height, tile.width), MIN_VISIBLE, self._whole.relations)
