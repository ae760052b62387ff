"""Checks of a whole set of boxes, for all formats alike, before anything is learned from it.

Where the set contradicts its format and one reading explains it, it is read so, with a note; where none or several do,
it is refused; what is only unlikely is a warning. Training (`data/objects/sets.py`) and the doctor use the same checks.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np

from saccade.data.dataset import Problem
from saccade.data.files import escape
from saccade.data.images import read_size
from saccade.data.objects.annotations import Annotations
from saccade.data.objects.box_formats import (
    RawBoxes,
    collect_boxes,
    detect_box_format,
    reinterpret_boxes,
    shares_to_pixels,
)
from saccade.errors import DataError, shorten_list

MANY_CROWDS = 0.1  # share of crowds from which they are mentioned; COCO itself has 0.01
APART = 0.1  # IoU of a box and its outline below which they contradict each other
CORNER = 0.67  # share of the sides that no box reaches beyond where boxes may be of smaller copies
CORNER_OBJECTS, CORNER_PICTURES = 50, 20
PIXELS_IN_SHARES = 1.5  # a coordinate above it is no share of a side
PERCENT_SIDE = 200  # pixels; in larger pictures, boxes in pixels reach beyond 100
SIZES = 16  # pictures of which the size is read


def check_plausible(annotations: Annotations, outlines: bool = False) -> None:
    """Read the boxes of a set by what the set as a whole says they mean; notes and problems are added to it.

    outlines: the set is used for its outlines, and its boxes do not matter."""
    _check_crowds(annotations)
    if not any(picture.objects for picture in annotations.pictures):
        return
    found = collect_boxes(annotations)
    _check_units(annotations, found, outlines)
    if annotations.reread:
        found = collect_boxes(annotations)
    reading, why = (None, "") if outlines else detect_box_format(found)
    if reading is not None:
        reinterpret_boxes(annotations, reading)
        _reread(annotations, f"boxes were read as {reading}, not as {found.form}: {why}")
        found = collect_boxes(annotations)
    elif why:
        _warn(annotations, "boxes implausible", f"{why}; write them as the format defines", fatal=True)
    if not outlines:
        _check_outlines(annotations, found)
        _check_extent(annotations, found)


def query_note(counts: list[int], queries: int) -> str:
    """A note on pictures with more objects than a detector has queries, "" without any. counts: objects a picture."""
    over = [count for count in counts if count > queries]
    if not over:
        return ""
    return (
        f"{len(over)} of {len(counts)} pictures have more objects than the {queries} queries of the detector, up to "
        f"{max(over)}: the others cannot be found; --queries {max(over)} or more finds all"
    )


def class_notes(train: Counter[str], classes: list[str], crowds: Counter[str]) -> list[str]:
    """Notes on classes without an example to learn from. train, crowds: objects and crowds of each class."""
    absent = [name for name in classes if not train[name]]
    only = [f"{escape(name)} ({crowds[name]})" for name in absent if crowds[name]]
    none = [escape(name) for name in absent if not crowds[name]]
    notes = []
    if none:
        notes.append(f"{len(none)} of {len(classes)} classes have no example to train on: {shorten_list(none)}")
    if only:
        notes.append(f"classes of which all objects are marked as crowds, which are not learned: {shorten_list(only)}")
    return notes


def _warn(annotations: Annotations, kind: str, text: str, fatal: bool = False) -> None:
    annotations.problems.append(Problem(kind, annotations.title, text, fatal, lost=False))


def _reread(annotations: Annotations, text: str) -> None:
    annotations.reread = True
    _warn(annotations, "boxes reread", text)


def _check_crowds(annotations: Annotations) -> None:
    """Crowds and difficult objects are not learned: a set of nothing else is one of objects."""
    crowds = sum(each.crowd for picture in annotations.pictures for each in picture.objects)
    count = sum(len(picture.objects) for picture in annotations.pictures)
    mark = "difficult" if annotations.format == "VOC" else "iscrowd"
    if crowds and crowds == count:
        for picture in annotations.pictures:
            picture.objects = [replace(each, crowd=False) for each in picture.objects]
        text = f"all {count} objects are marked {mark}: 1 (crowds), as some tools mark every mask; they were read as "
        _warn(annotations, "crowds only", text + "single objects")
    elif crowds > MANY_CROWDS * count and crowds >= 10 and mark == "iscrowd":
        text = (
            f"{crowds} of {count} objects are marked iscrowd: 1 and are neither learned nor counted; some tools mark "
        )
        _warn(annotations, "crowds many", text + "every mask with a hole or in parts so: set iscrowd to 0 if they do")


def _check_units(annotations: Annotations, found: RawBoxes, outlines: bool) -> None:
    """Boxes and outlines in shares of the sides where pixels are expected, and the reverse."""
    if annotations.normalized:
        if len(found.written) and _is_pixels(found.boxes(found.form)):
            if _may_be_percent(annotations, found.boxes(found.form)):
                text = (
                    "the numbers of its boxes are above 1 and none is above 100, as percent of the sides are; divide "
                )
                _warn(annotations, "boxes implausible", text + "them by 100: shares of the sides expected", fatal=True)
                return
            annotations.normalized = False
            _reread(annotations, "boxes were read as pixels, not as shares of the sides: they reach far beyond 1")
        return
    pictures = [picture for picture in annotations.pictures if picture.objects]
    sized = all(picture.size is not None for picture in pictures)
    boxes, shapes = _are_shares(found.written), _are_shares(found.outlines)
    if len(found.outlines) and shapes and not boxes and sized:
        for picture in pictures:
            shares_to_pixels(picture, boxes=False, outlines=True)
        _reread(annotations, "outlines were read as shares of the sides: no coordinate is above 1")
    elif boxes and sized:
        for picture in pictures:
            shares_to_pixels(picture, boxes=True, outlines=shapes)
        _reread(annotations, "boxes were read as shares of the sides, not as pixels: no coordinate is above 1")
    elif boxes and not len(found.outlines):
        annotations.normalized = True
        _reread(annotations, "boxes were read as shares of the sides, not as pixels: no coordinate is above 1")
    elif not outlines and len(found.written) and (found.boxes(found.form) == (0, 0, 1, 1)).all():
        text = f"all {len(found.written)} boxes are (0, 0, 1, 1), the first pixel or, as shares of the sides, all of a "
        _warn(annotations, "boxes implausible", text + "picture; boxes in pixels expected", fatal=True)
    elif points := _count_points(found.boxes(found.form)):
        every = points == len(found.written)
        text = f"{'all' if every else points} of {len(found.written)} boxes are smaller than a pixel, as shares of the "
        _warn(annotations, "boxes implausible" if every else "box tiny", text + "sides are; pixels expected", every)


def _are_shares(values: np.ndarray) -> bool:
    """Whether all numbers are from 0 to 1, and not all whole."""
    inside = (values >= -1) & (values <= 1)  # VOC's corners, counted from 1, are read as less by 1
    return bool(len(values) and inside.all() and (values != np.round(values)).any())


def _count_points(boxes: np.ndarray) -> int:
    """The boxes of less than a pixel across and down."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return int(((sides < 1).all(axis=1) & (sides > 0).any(axis=1)).sum())


def _is_pixels(boxes: np.ndarray) -> bool:
    """Whether boxes that are expected in shares are all of pixels."""
    return bool((boxes.max(axis=1) > PIXELS_IN_SHARES).mean() >= 0.9 and (boxes[:, 2:] - boxes[:, :2] > 0.9).all())


def _may_be_percent(annotations: Annotations, boxes: np.ndarray) -> bool:
    """Whether boxes within 0 to 100 are no pixels: some end beyond their pictures, or pictures are much larger."""
    if boxes.max() > 100.01:  # rounded
        return False
    ends = [
        (each.name, np.max([o.box[2:] for o in each.objects], axis=0)) for each in annotations.pictures if each.objects
    ]
    for name, (right, bottom) in ends[:: max(1, len(ends) // SIZES)]:
        with suppress(DataError):  # reported when it is read
            (height, width), _ = read_size(annotations.store.read(name), name)
            if right > width + 1 or bottom > height + 1 or min(height, width) > PERCENT_SIDE:
                return True
    return False


def _check_outlines(annotations: Annotations, found: RawBoxes) -> None:
    """Boxes elsewhere than their outlines."""
    if not len(found.outlined):
        return
    boxes, around = found.boxes(found.form)[found.outlined], found.outlines
    low, high = np.maximum(boxes[:, :2], around[:, :2]), np.minimum(boxes[:, 2:], around[:, 2:])
    both = (high - low).clip(min=0).prod(axis=1)
    union = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1) + (around[:, 2:] - around[:, :2]).prod(axis=1) - both
    apart = both < APART * union
    if not apart.any():
        return
    text = f"{int(apart.sum())} of {len(apart)} boxes are not where the outlines of their objects are"
    wrong = apart.mean() >= 0.5 and len(apart) >= 3
    if wrong:
        text += ", and no other reading of their numbers is; correct them or leave them out"
    _warn(annotations, "boxes implausible" if wrong else "box beside outline", text, fatal=bool(wrong))


def _check_extent(annotations: Annotations, found: RawBoxes) -> None:
    """Boxes that all lie in one corner, as those of smaller copies of the pictures do."""
    known = np.isfinite(found.sizes).all(axis=1)
    pictures = sum(bool(picture.objects) for picture in annotations.pictures)
    if known.sum() < CORNER_OBJECTS or pictures < CORNER_PICTURES:
        return
    reach = (found.boxes(found.form)[known, 2:] / found.sizes[known]).max(axis=0)
    if reach.max() < CORNER:
        across, down = (f"{value:.0%}" for value in reach)
        text = f"no box of {int(known.sum())} reaches beyond {across} of the width and {down} of the height of its "
        _warn(annotations, "boxes in a corner", text + "picture; were they drawn on smaller copies?")
