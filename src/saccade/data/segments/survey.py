"""Count the values in the mask files of a set, where they lie, and what else tells numbers of classes from greys."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, UInt

from saccade.data.files import escape
from saccade.data.images import read_size
from saccade.data.segments.decode_mask import DecodedMask, by_palette, grey_values, read_fitting
from saccade.data.segments.regions import RegionCount, count_regions
from saccade.data.store import Store
from saccade.data.threads import map_threads
from saccade.errors import DataError

VALUES = 1 << 16
COUNTED = 48  # masks whose regions are counted, about
BORDER = 3  # pixels: what is further from an edge is the inside of an area


@dataclass
class Survey:
    """Values of masks.

    Attributes:
        files: the values of each readable mask.
        pixels: number of pixels of each value.
        inside: number of pixels of each value whose four neighbours have the same value.
        deep: number of pixels of the highest possible value that are further than BORDER pixels from others.
        regions: of each readable mask.
        lossy: whether some masks are compressed with losses.
        top: 255, or 65535 if masks have 16 bits and larger values.
        by_colour: whether masks were read by the colours of their palettes, which number colours differently.
    """

    files: list[np.ndarray] = field(default_factory=list)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    inside: np.ndarray = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    deep: int = 0
    regions: list[RegionCount] = field(default_factory=list)
    lossy: bool = False
    top: int = 255
    by_colour: bool = False

    @property
    def values(self) -> list[int]:
        return np.flatnonzero(self.pixels).tolist()


@dataclass(frozen=True)
class _Scan:
    values: np.ndarray
    pixels: np.ndarray
    inside: np.ndarray
    deep: int
    regions: RegionCount
    lossy: bool
    top: int
    palette: dict[int, int]


def survey(store: Store, pairs: Sequence[tuple[str, str]], by_colour: bool = False) -> Survey:
    """Decode masks, in threads; unreadable ones and those of another size than their picture are left out.

    pairs: (picture, mask). by_colour: whether masks with palettes are read by colour.

    Raises DataError for a mask in colour: masks of a set are of one kind."""
    found = Survey(by_colour=by_colour)
    colours: dict[int, int] = {}
    step = max(1, len(pairs) // COUNTED)
    places = range(len(pairs))
    for scan in map_threads(lambda i: _scan(store, *pairs[i], by_colour, not i % step), places, "masks"):
        if scan is None:
            continue
        if any(colours.setdefault(value, colour) != colour for value, colour in scan.palette.items()):
            return survey(store, pairs, by_colour=True)
        found.files.append(scan.values)
        found.pixels[scan.values] += scan.pixels
        found.inside[scan.values] += scan.inside
        found.deep += scan.deep
        found.regions.append(scan.regions)
        found.lossy |= scan.lossy
        found.top = max(found.top, scan.top)
    return found


def _scan(store: Store, picture: str, name: str, by_colour: bool, regions: bool) -> _Scan | None:
    try:
        size, _ = read_size(store.read(picture), picture)
        pixels = read_fitting(store, name, picture, size, two_levels=True)
    except DataError:  # reported when the data set is read
        return None
    if by_colour:
        pixels = by_palette(pixels)
    values = pixels.values
    if values is None:
        assert pixels.colours is not None
        values = grey_values(pixels.colours)
    if values is None:
        if by_colour:
            raise DataError(
                f"the palettes of the masks of {store.label} number colours differently (such as {escape(name)}), "
                "so numbers are no classes; a class_dict.csv with a line name,r,g,b for each class expected"
            )
        raise DataError(f"{escape(name)} of {store.label} is coloured, and other masks are not; one kind expected")
    counts = np.bincount(values.ravel())
    there = np.flatnonzero(counts)
    top = 65535 if pixels.is_16_bit and int(there[-1]) > 255 else 255
    inside = np.bincount(values[_inside(values)], minlength=len(counts))
    return _Scan(
        there,
        counts[there],
        inside[there],
        _deep(values == top) if int(there[-1]) == top and there.tolist() != [0, top] else 0,
        count_regions(values, there, regions),
        pixels.lossy,
        top,
        _palette(pixels, there),
    )


def _palette(pixels: DecodedMask, used: np.ndarray) -> dict[int, int]:
    if pixels.palette is None:
        return {}
    return {int(value): int(pixels.palette[value]) for value in used if value < len(pixels.palette)}


def _inside(values: UInt[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Where the four neighbours have the same value."""
    same = np.ones(values.shape, bool)
    rows, columns = values[1:] == values[:-1], values[:, 1:] == values[:, :-1]
    same[1:] &= rows
    same[:-1] &= rows
    same[:, 1:] &= columns
    same[:, :-1] &= columns
    return same


def _deep(where: Bool[np.ndarray, "y x"]) -> int:
    from scipy.ndimage import binary_erosion  # slow to import

    return int(binary_erosion(where, np.ones((2 * BORDER + 1,) * 2, bool), border_value=1).sum())
