"""Count the values in the mask files of a set, where they lie, and what else tells numbers of classes from greys and
from numbers of objects: of these each value is one region, and files hold other values."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, UInt

from saccade.data.files import escape
from saccade.data.images import read_size
from saccade.data.segments.decode_mask import DecodedMask, apply_palette, grey_values, read_mask_for_picture
from saccade.data.store import FileStore
from saccade.data.threads import map_threads
from saccade.errors import DataError

VALUES = 1 << 16
COUNTED = 48  # masks whose regions are counted, about
BORDER = 3  # pixels: what is further from an edge is the inside of an area
MOST_PIXELS = 1 << 22  # of a mask whose regions are counted
# least numbers of masks, of different counts of objects, and of objects in one of them, that make it certain
CERTAIN = ((4, 3, 8), (12, 4, 4))
SEVERAL = 4  # objects of a mask: fewer values that are several regions each may be nested classes
MANY = 30  # regions of a mask, each with a value of its own
WHOLE = 0.95  # of the objects at least are one region


@dataclass(frozen=True)
class RegionCount:
    """objects: number of values above 0. single: how many of them are one region; -1 if not counted. consecutive:
    whether they are 1, 2, 3, ..."""

    objects: int
    single: int
    consecutive: bool
    values: tuple[int, ...] = ()


def count_regions(values: UInt[np.ndarray, "y x"], there: np.ndarray, single: bool) -> RegionCount:
    """there: the values in the mask, sorted. single: whether the regions of each value are counted."""
    numbers = there[there > 0]
    consecutive = len(numbers) > 0 and int(numbers[-1]) == len(numbers)
    count = _single(values, numbers) if single and values.size <= MOST_PIXELS and len(numbers) else -1
    return RegionCount(len(numbers), count, consecutive, tuple(numbers.tolist()))


def _single(values: np.ndarray, numbers: np.ndarray) -> int:
    """The number of values that are one region, of pixels that touch at sides or corners."""
    from scipy.ndimage import find_objects, label

    single = 0
    for number, place in zip(range(1, int(numbers[-1]) + 1), find_objects(values), strict=True):
        if place is not None:
            single += label(values[place] == number, np.ones((3, 3)))[1] == 1
    return single


def are_instance_ids(masks: Sequence[RegionCount]) -> tuple[bool, bool]:
    """(whether the values certainly number objects, whether they seem to).

    Certain: nearly every value is one region, values are 1, 2, 3, ... in every mask, and different masks have different
    counts; or each value is in one mask only. Objects that others cover in part are several regions: these only seem
    to be numbered."""
    masks = [each for each in masks if each.objects]
    counts = {each.objects for each in masks}
    most = max(counts, default=0)
    consecutive = all(each.consecutive for each in masks)
    counted = [each for each in masks if each.single >= 0]
    if not counted or sum(each.single for each in counted) < WHOLE * sum(each.objects for each in counted):
        return False, consecutive and len(counts) > 2 and most > SEVERAL
    uses = Counter(value for each in masks for value in each.values)
    alone = len(masks) > 2 and len(uses) > 20 and sum(n == 1 for n in uses.values()) >= WHOLE * len(uses)
    certain = consecutive and any(
        len(masks) >= files and len(counts) >= different and most >= several for files, different, several in CERTAIN
    )
    likely = len(counts) > 2 and most > 2 and (consecutive or len(uses) > 20)
    return certain or alone, likely or most > MANY


@dataclass
class MaskStatistics:
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


def count_mask_values(store: FileStore, pairs: Sequence[tuple[str, str]], by_colour: bool = False) -> MaskStatistics:
    """Decode masks, in threads; unreadable ones and those of another size than their picture are left out.

    pairs: (picture, mask). by_colour: whether masks with palettes are read by colour.

    Raises DataError for a mask in colour: masks of a set are of one kind."""
    found = MaskStatistics(by_colour=by_colour)
    colours: dict[int, int] = {}
    step = max(1, len(pairs) // COUNTED)
    places = range(len(pairs))
    for scan in map_threads(lambda i: _scan(store, *pairs[i], by_colour, not i % step), places, "masks"):
        if scan is None:
            continue
        if any(colours.setdefault(value, colour) != colour for value, colour in scan.palette.items()):
            return count_mask_values(store, pairs, by_colour=True)
        found.files.append(scan.values)
        found.pixels[scan.values] += scan.pixels
        found.inside[scan.values] += scan.inside
        found.deep += scan.deep
        found.regions.append(scan.regions)
        found.lossy |= scan.lossy
        found.top = max(found.top, scan.top)
    return found


def _scan(store: FileStore, picture: str, name: str, by_colour: bool, regions: bool) -> _Scan | None:
    try:
        size, _ = read_size(store.read(picture), picture)
        pixels = read_mask_for_picture(store, name, picture, size, two_levels=True)
    except DataError:  # reported when the data set is read
        return None
    if by_colour:
        pixels = apply_palette(pixels)
    values = pixels.values
    if values is None:
        assert pixels.colours is not None
        values = grey_values(pixels.colours)
    if values is None:
        if by_colour:
            raise DataError(
                f"the palettes of the masks of {store.title} number colours differently (such as {escape(name)}), "
                "so numbers are no classes; a class_dict.csv with a line name,r,g,b for each class expected"
            )
        raise DataError(f"{escape(name)} of {store.title} is coloured, and other masks are not; one kind expected")
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
