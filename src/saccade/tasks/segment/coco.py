"""Class areas as COCO JSON, exact to the pixel, holes included.

Each class of a picture is one run-length encoded annotation, like COCO's stuff annotations: classes have no instances,
polygons have no holes, and polygons of pixel masks are no shorter. pycocotools and faster-coco-eval read run lengths
wherever they read polygons, also with iscrowd 0.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coder
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.class_subset import NOTHING
from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError
from saccade.tasks.coco_file import CocoJsonWriter, open_coco_json_writer


def has_background(classes: Sequence[str]) -> bool:
    """Whether class 0 is a background class. It gets no category and no annotations: in COCO, pixels without an
    annotation are background."""
    return bool(classes) and classes[0].casefold() in NOTHING


def categories(classes: Sequence[str]) -> dict[int, int]:
    """Class index -> id of its COCO category, from 1. They are equal where class 0 is the background."""
    first = int(has_background(classes))
    return {i: i + 1 - first for i in range(first, len(classes))}


def mask_to_coco_annotations(mask: UInt8[Tensor, "y x"], ids: dict[int, int]) -> Iterator[dict[str, Any]]:
    """Of each class of a mask with an id, in order: category_id, segmentation (compressed run lengths), area in pixels,
    bbox (left, top, width, height in pixels), iscrowd 0. Ignored pixels (255) are in none.

    Raises DataError for a value that is no class."""
    indices = mask.cpu().numpy()
    there = np.flatnonzero(np.bincount(indices.ravel(), minlength=256)).tolist()
    known = max(ids, default=0)
    for value in there:
        if value != IGNORE_INDEX and value > known:
            raise DataError(f"the mask holds {value}; expected classes 0 to {known}, or {IGNORE_INDEX}")
        if value not in ids:
            continue
        area = coder.encode(np.asfortranarray(indices == value, np.uint8))
        yield {
            "category_id": ids[value],
            "segmentation": {"size": [int(side) for side in area["size"]], "counts": _text(area["counts"])},
            "area": int(coder.area(area)),
            "bbox": [int(edge) for edge in coder.toBbox(area)],
            "iscrowd": 0,
        }


class CocoAreasWriter:
    """A COCO file of class areas; `open_areas_writer` opens it."""

    def __init__(self, file: CocoJsonWriter, classes: Sequence[str]) -> None:
        self._file, self.ids = file, categories(classes)

    def add(self, file_name: str, mask: UInt8[Tensor, "y x"]) -> None:
        """Write the areas of one picture. file_name: relative to the image folder. Raises DataError as
        `mask_to_coco_annotations` and `CocoJsonWriter` do."""
        self._file.add_picture(file_name, (mask.shape[0], mask.shape[1]), mask_to_coco_annotations(mask, self.ids))


@contextmanager
def open_areas_writer(out: Path, classes: Sequence[str], about: str = "") -> Iterator[CocoAreasWriter]:
    """As `open_coco_json_writer`, for the areas of these classes."""
    named = {number: classes[i] for i, number in categories(classes).items()}
    with open_coco_json_writer(out, named, about) as file:
        yield CocoAreasWriter(file, classes)


def _text(counts: bytes | str) -> str:
    return counts if isinstance(counts, str) else counts.decode("ascii")
