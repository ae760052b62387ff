"""What the values of masks stand for where they are not the numbers of the list of classes: greys such as 0 and 255, or
numbers of objects."""

from dataclasses import replace

from saccade.data.files import escape
from saccade.data.segments.label_map import BACKGROUND, LabelMap
from saccade.data.segments.regions import numbers_objects
from saccade.data.segments.survey import Survey
from saccade.data.segments.values import Reading, evenly_stepped, is_border, level_map, two_levels
from saccade.errors import some_of


def fit_list(found: Survey, label_map: LabelMap, greys: dict[int, int]) -> Reading:
    """The label map of listed classes for the values that masks hold; that which is given where it is not certain.

    greys: of the colours that are listed, to the indices of classes; empty if any is coloured."""
    there = set(found.values)
    if there <= set(label_map.values):
        return Reading(label_map, "")
    if greys and there <= set(greys):
        note = "the greys of the masks were taken for the colours of the list"
        return Reading(replace(label_map, values=greys), note)
    return (
        _only_class(found, label_map)
        or _two_classes(found, label_map, greys)
        or _steps(found, label_map)
        or _objects(found, label_map)
        or Reading(label_map, _doubt(found, label_map))
    )


def _only_class(found: Survey, label_map: LabelMap) -> Reading | None:
    """The only listed class is the object, 0 the background."""
    levels = (0, 1) if found.values == [0, 1] else two_levels(found)
    if levels is None or levels[0] != 0 or len(label_map.classes) != 1:
        return None
    name = escape(label_map.classes[0])
    note = f"masks hold 0 and {levels[1]}: {levels[1]} was taken for {name}, the only class listed"
    return Reading(level_map(found, levels, [BACKGROUND, *label_map.classes]), note)


def _two_classes(found: Survey, label_map: LabelMap, greys: dict[int, int]) -> Reading | None:
    """Two listed classes are the darker and the lighter grey, in the order of the list or of its colours."""
    levels, classes = two_levels(found), label_map.classes
    if levels is None or len(classes) != 2:
        return None
    grey_of = {index: grey for grey, index in greys.items()}
    dark, light = sorted(range(2), key=lambda index: grey_of.get(index, index))
    what = "only" if len(found.values) == 2 else f"and {len(found.values) - 2} greys between, on edges"
    note = f"masks hold {levels[0]} and {levels[1]} {what}: {levels[1]} was taken for {escape(classes[light])}"
    return Reading(level_map(found, levels, [classes[dark], classes[light]]).packed(classes), note)


def _steps(found: Survey, label_map: LabelMap) -> Reading | None:
    """As many evenly stepped greys as listed classes are these, in their order."""
    if len(found.values) != len(label_map.classes) or label_map.colours or not evenly_stepped(found.values):
        return None
    pairs = zip(found.values, label_map.classes, strict=True)
    note = "masks hold evenly stepped greys, taken in their order: "
    note += ", ".join(f"{value} for {escape(name)}" for value, name in pairs)
    return Reading(replace(label_map, values={value: i for i, value in enumerate(found.values)}), note)


def _objects(found: Survey, label_map: LabelMap) -> Reading | None:
    """Numbers of objects are all of the second of two listed classes."""
    if len(label_map.classes) != 2 or set(label_map.values) != {0, 1} or not any(numbers_objects(found.regions)):
        return None
    values = {value: int(value > 0) for value in range(found.top + 1)}
    note = f"masks number the objects of each picture: all are {escape(label_map.classes[1])}"
    return Reading(replace(label_map, values=values), note, objects=True)


def _doubt(found: Survey, label_map: LabelMap) -> str:
    """A note where the highest value is ignored and may be a listed class, "" elsewhere."""
    pairs = zip(label_map.values, label_map.classes, strict=False)
    absent = [escape(name) for value, name in pairs if value not in found.values]
    if found.top not in found.values or is_border(found) or not absent:
        return ""
    return f"{found.top} is ignored, and no pixel is of {some_of(absent)}; if it is that class, list it so"
