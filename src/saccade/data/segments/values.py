"""What the values of masks stand for where no list of classes says it, or where they are not the numbers of the list:
classes, two levels of grey such as 0 and 255, or objects.

Only what is certain is read; otherwise an error names what was found and asks for a list of classes.
"""

from dataclasses import dataclass, replace

import numpy as np

from saccade.data.files import escape
from saccade.data.segments import IGNORE_INDEX, MAX_CLASSES
from saccade.data.segments.label_map import BACKGROUND, LabelMap
from saccade.data.segments.mask_statistics import MaskStatistics, are_instance_ids
from saccade.data.segments.object_masks import OBJECT
from saccade.errors import DataError, shorten_list

EDGE = 0.1  # of the pixels of greys at most, that lie inside areas of one grey: the others are on edges
FAR = 64  # least difference between two levels of grey
MIDDLE = 0.1  # of the pixels at most that are between two levels
MOST = 100  # values of a mask, that are taken for classes without a list
MANY = 20  # values of one region each, that are not taken for classes without a list
FEW = 4  # greys between two levels at least, that show smoothing
STEP = 16  # least step between greys that stand for classes
SMALL = 32  # numbers of classes below this are counted, and not greys
LIST = "list them in a classes.txt (a line 'number name' for each class)"
TWO = "If they are, a classes.txt with the lines background and object makes two classes of them"


@dataclass(frozen=True)
class ValueMeaning:
    """label_map: of the values. note: what they were taken for. objects: whether they number objects. doubt: why the
    classes are likely none, "" for no reason."""

    label_map: LabelMap
    note: str
    objects: bool = False
    doubt: str = ""


def find_two_greys(found: MaskStatistics) -> tuple[int, int] | None:
    """The two greys of masks whose other greys are on edges only, from smoothing or compression; None otherwise."""
    values = np.array(found.values)
    if found.values == [0, found.top]:
        return 0, found.top
    if len(values) < 2:
        return None
    low, high = sorted(values[np.argsort(-found.pixels[values], kind="stable")[:2]].tolist())
    rest = values[(values != low) & (values != high)]
    if found.lossy:
        low, high = 0, found.top
    elif not len(rest) or high - low < FAR or (low <= int(rest.min()) and int(rest.max()) < (low + high) // 2):
        return None
    quarter = (high - low) // 4
    between = values[(values > low + quarter) & (values < high - quarter)]
    beyond = (rest < low - 2 * quarter) | (rest > high + 2 * quarter)  # cubic interpolation overshoots by less
    if not found.lossy and (beyond.any() or 0 < len(between) == len(rest) < FEW):
        return None  # classes, or borders of an own grey
    levels = [found.pixels[each].sum() for each in (values[values <= low + quarter], values[values >= high - quarter])]
    on_edges = found.inside[between].sum() <= EDGE * found.pixels[between].sum()
    on_edges &= bool(found.lossy or found.inside[rest].sum() <= EDGE * found.pixels[rest].sum())
    return (low, high) if min(levels) and on_edges and found.pixels[between].sum() <= MIDDLE * sum(levels) else None


def two_grey_map(found: MaskStatistics, levels: tuple[int, int], names: list[str]) -> LabelMap:
    """The label map of two levels of grey: every value is the nearer one."""
    low, high = levels
    values = {value: int(value - low > high - value) for value in range(found.top + 1)}
    return LabelMap(names, values, lossy=found.lossy, by_palette=found.by_colour)


def interpret_values(found: MaskStatistics, label: str, objects: bool = False) -> ValueMeaning:
    """What the values of a set stand for. found: of all its masks. label: of the set, for messages. objects: whether
    they are known to number the objects of each picture.

    Raises DataError where that is not certain."""
    numbers = [value for value in found.values if value not in (255, found.top)]
    levels = find_two_greys(found)
    if levels is not None:
        return _levels(found, levels)
    if found.lossy:
        raise DataError(
            f"{label} has masks in JPEG or another format that changes values as it compresses, and more than black "
            "and white in them; save masks as PNG, from what they were before"
        )
    certain, likely = are_instance_ids(found.regions)
    if certain or (objects and numbers[-1:] > [0]):
        values = {value: int(value > 0) for value in range(found.top + 1)}
        note = f"masks number the objects of each picture (1 to {numbers[-1]}): all are {OBJECT}, 0 is {BACKGROUND}"
        return ValueMeaning(LabelMap([BACKGROUND, OBJECT], values, by_palette=found.by_colour), note, objects=True)
    _check_count(found, numbers, label, likely)
    reading = _classes(found, numbers, label)
    if likely and len(numbers) > 2:
        tops = [int(each[each != found.top].max(initial=0)) for each in found.files]
        doubt = (
            f"the values of its masks, up to {min(tops)} in some and up to {max(tops)} in others, look like numbers "
        )
        doubt += f"of objects, and each was taken for a class. {TWO}"
        reading = replace(reading, doubt=doubt)
    return reading


def _levels(found: MaskStatistics, levels: tuple[int, int]) -> ValueMeaning:
    low, high = levels
    names = [f"class {low}", f"class {high}"]
    if found.values == [low, high]:
        label_map = LabelMap(names, {low: 0, high: 1}, lossy=found.lossy, by_palette=found.by_colour)
        note = f"({high} is one, as there is only {low} beside it)"
        return ValueMeaning(label_map, f"no file names the classes; the 2 values found stand for them {note}")
    why = "compression" if found.lossy else "smooth edges"
    note = (
        f"masks hold {len(found.values)} greys, from {why}: {low} and {high} are the classes, and every pixel is the "
        "nearer of the two"
    )
    return ValueMeaning(two_grey_map(found, levels, names), note)


def _check_count(found: MaskStatistics, numbers: list[int], label: str, likely: bool) -> None:
    """Raises DataError for values that cannot be classes."""
    if evenly_stepped([*numbers, found.top]):
        return
    inside = found.inside[numbers].sum() / max(1, found.pixels[numbers].sum())
    thin = [n for n in numbers if found.inside[n] <= EDGE * found.pixels[n]]
    if len(thin) >= FEW and 2 * len(thin) > len(numbers) and numbers[-1] > SMALL:
        why = (
            "on edges only: they were resized with smoothing; resize masks by the nearest pixel"
            if inside > EDGE
            else "nowhere the same in an area: these are pictures, and not masks of classes"
        )
        raise DataError(f"{label} has masks of {len(numbers)} different values, {len(thin)} of them {why}")
    if likely and len(numbers) > MANY:
        raise DataError(
            f"{label} has masks of {len(numbers)} different values that look like numbers of objects: each is one "
            f"region, or masks hold 1, 2, 3, ... up to another number each. {TWO}; if not, {LIST}"
        )
    most = max(len(each) for each in found.files)
    if most > MOST:
        raise DataError(f"{label} has a mask of {most} different values; if these are classes, {LIST}")
    if len(numbers) > MAX_CLASSES or (numbers and numbers[-1] > 255):
        raise DataError(
            f"{label} has masks of {len(numbers)} different values up to {numbers[-1]}; at most {MAX_CLASSES} classes "
            f"below 256 expected. If these are masks of classes, {LIST}"
        )


def _classes(found: MaskStatistics, numbers: list[int], label: str) -> ValueMeaning:
    """Each value is a class; the highest possible one only where it is not where no class is."""
    top = found.top
    ignored = top in found.values
    display = f"{top} is ignored"
    if ignored and evenly_stepped([*numbers, top]):
        numbers, display = [*numbers, top], f"{top} is one, as the greys are evenly stepped"
    elif ignored and _mixed(found, top):
        raise DataError(
            f"{label} has masks with 0 and {numbers[-1]}, and others with 0 and {top}; one number for each class "
            "expected"
        )
    elif ignored and not numbers:
        raise DataError(f"{label} has masks of the value {top} only; no pixel has a class")
    elif ignored and not is_border(found) and not _counts(numbers):
        raise DataError(
            f"{label} has masks of the values {shorten_list(map(str, [*numbers, top]), 9)}, and no file names the "
            f"classes: {top} may be one, or stand for no class; {LIST}, with {top} if it is one"
        )
    values = {n: i for i, n in enumerate(numbers)}
    if top != 255 and ignored and top not in values:
        values[top] = IGNORE_INDEX
    note = f"no file names the classes; the {len(numbers)} values found stand for them ({display})"
    return ValueMeaning(LabelMap([f"class {n}" for n in numbers], values, by_palette=found.by_colour), escape(note))


def evenly_stepped(values: list[int]) -> bool:
    steps = np.diff(values)
    return (
        len(steps) > 1 and int(steps.min()) >= STEP and int(steps.max() - steps.min()) <= max(2, int(steps.min()) // 10)
    )


def _counts(numbers: list[int]) -> bool:
    """Whether values count classes, and are not greys: beside these, the highest value is no class by convention."""
    return len(numbers) >= FEW and (numbers[-1] < SMALL or 4 * len(numbers) >= numbers[-1])


def is_border(found: MaskStatistics) -> bool:
    return 4 * found.deep < int(found.pixels[found.top])


def _mixed(found: MaskStatistics, top: int) -> bool:
    """Whether some masks hold 0 and 1, others 0 and 255, and none both."""
    numbers = {value for each in found.files for value in each.tolist()} - {0, top}
    kinds = {(bool(numbers & set(each.tolist())), top in each.tolist()) for each in found.files}
    return len(numbers) == 1 and {(True, False), (False, True)} <= kinds and (True, True) not in kinds


def fit_class_list(found: MaskStatistics, label_map: LabelMap, greys: dict[int, int]) -> ValueMeaning:
    """The label map of listed classes for the values that masks hold; that which is given where it is not certain.

    greys: of the colours that are listed, to the indices of classes; empty if any is coloured."""
    there = set(found.values)
    if there <= set(label_map.values):
        return ValueMeaning(label_map, "")
    if greys and there <= set(greys):
        note = "the greys of the masks were taken for the colours of the list"
        return ValueMeaning(replace(label_map, values=greys), note)
    return (
        _only_class(found, label_map)
        or _two_classes(found, label_map, greys)
        or _steps(found, label_map)
        or _objects(found, label_map)
        or ValueMeaning(label_map, _doubt(found, label_map))
    )


def _only_class(found: MaskStatistics, label_map: LabelMap) -> ValueMeaning | None:
    """The only listed class is the object, 0 the background."""
    levels = (0, 1) if found.values == [0, 1] else find_two_greys(found)
    if levels is None or levels[0] != 0 or len(label_map.classes) != 1:
        return None
    name = escape(label_map.classes[0])
    note = f"masks hold 0 and {levels[1]}: {levels[1]} was taken for {name}, the only class listed"
    return ValueMeaning(two_grey_map(found, levels, [BACKGROUND, *label_map.classes]), note)


def _two_classes(found: MaskStatistics, label_map: LabelMap, greys: dict[int, int]) -> ValueMeaning | None:
    """Two listed classes are the darker and the lighter grey, in the order of the list or of its colours."""
    levels, classes = find_two_greys(found), label_map.classes
    if levels is None or len(classes) != 2:
        return None
    grey_of = {index: grey for grey, index in greys.items()}
    dark, light = sorted(range(2), key=lambda index: grey_of.get(index, index))
    what = "only" if len(found.values) == 2 else f"and {len(found.values) - 2} greys between, on edges"
    note = f"masks hold {levels[0]} and {levels[1]} {what}: {levels[1]} was taken for {escape(classes[light])}"
    return ValueMeaning(two_grey_map(found, levels, [classes[dark], classes[light]]).reorder_classes(classes), note)


def _steps(found: MaskStatistics, label_map: LabelMap) -> ValueMeaning | None:
    """As many evenly stepped greys as listed classes are these, in their order."""
    if len(found.values) != len(label_map.classes) or label_map.colours or not evenly_stepped(found.values):
        return None
    pairs = zip(found.values, label_map.classes, strict=True)
    note = "masks hold evenly stepped greys, taken in their order: "
    note += ", ".join(f"{value} for {escape(name)}" for value, name in pairs)
    return ValueMeaning(replace(label_map, values={value: i for i, value in enumerate(found.values)}), note)


def _objects(found: MaskStatistics, label_map: LabelMap) -> ValueMeaning | None:
    """Numbers of objects are all of the second of two listed classes."""
    if len(label_map.classes) != 2 or set(label_map.values) != {0, 1} or not any(are_instance_ids(found.regions)):
        return None
    values = {value: int(value > 0) for value in range(found.top + 1)}
    note = f"masks number the objects of each picture: all are {escape(label_map.classes[1])}"
    return ValueMeaning(replace(label_map, values=values), note, objects=True)


def _doubt(found: MaskStatistics, label_map: LabelMap) -> str:
    """A note where the highest value is ignored and may be a listed class, "" elsewhere."""
    pairs = zip(label_map.values, label_map.classes, strict=False)
    absent = [escape(name) for value, name in pairs if value not in found.values]
    if found.top not in found.values or is_border(found) or not absent:
        return ""
    return f"{found.top} is ignored, and no pixel is of {shorten_list(absent)}; if it is that class, list it so"
