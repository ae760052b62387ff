"""Whether the values of masks number objects instead of classes: each value one region, other values in each file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt

MOST_PIXELS = 1 << 22  # of a mask whose regions are counted
# least numbers of masks, of different counts of objects, and of objects in one of them, that make it certain
CERTAIN = ((4, 3, 8), (12, 4, 4))
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


def numbers_objects(masks: Sequence[RegionCount]) -> tuple[bool, bool]:
    """(whether the values certainly number objects, whether they seem to).

    Certain: nearly every value is one region, values are 1, 2, 3, ... in every mask, and different masks have different
    counts; or each value is in one mask only."""
    masks = [each for each in masks if each.objects]
    counted = [each for each in masks if each.single >= 0]
    if not counted or sum(each.single for each in counted) < WHOLE * sum(each.objects for each in counted):
        return False, False
    counts = {each.objects for each in masks}
    most = max(counts)
    consecutive = all(each.consecutive for each in masks)
    uses = Counter(value for each in masks for value in each.values)
    alone = len(masks) > 2 and len(uses) > 20 and sum(n == 1 for n in uses.values()) >= WHOLE * len(uses)
    certain = consecutive and any(
        len(masks) >= files and len(counts) >= different and most >= several for files, different, several in CERTAIN
    )
    likely = len(counts) > 2 and most > 2 and (consecutive or len(uses) > 20)
    return certain or alone, likely or most > MANY
