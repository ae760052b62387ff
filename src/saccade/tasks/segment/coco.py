"""Class areas as COCO JSON, exact to the pixel, holes included.

Each class of a picture is one run-length encoded annotation, like COCO's stuff annotations: classes have no instances,
polygons have no holes, and polygons of pixel masks are no shorter. pycocotools and faster-coco-eval read run lengths
wherever they read polygons, also with iscrowd 0.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from faster_coco_eval.core import mask as coder
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.output import atomic_write, write_error
from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError

NOTHING = ("background", "void", "null", "unlabeled", "unlabelled")  # names of "no class", for class 0 only


def has_background(classes: Sequence[str]) -> bool:
    """Whether class 0 is a background class. It gets no category and no annotations: in COCO, pixels without an
    annotation are background."""
    return bool(classes) and classes[0].casefold() in NOTHING


def categories(classes: Sequence[str]) -> dict[int, int]:
    """Class index -> id of its COCO category, from 1. They are equal where class 0 is the background."""
    first = int(has_background(classes))
    return {i: i + 1 - first for i in range(first, len(classes))}


def annotations(mask: UInt8[Tensor, "y x"], ids: dict[int, int]) -> Iterator[dict[str, Any]]:
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


class CocoFile:
    """A COCO file that is written picture by picture, in constant memory; `open_coco` opens it.

    Every method raises DataError if the file cannot be written."""

    def __init__(self, out: Path, file: IO[bytes], images: IO[bytes], classes: Sequence[str], about: str) -> None:
        self._out, self._file, self._images, self.ids = out, file, images, categories(classes)
        self.pictures = self.areas = 0
        named = [{"id": number, "name": classes[i]} for i, number in self.ids.items()]
        start = b'{"info": %s,\n"categories": %s,\n"annotations": [' % (_json({"description": about}), _json(named))
        self._write(file, start)

    def add(self, file_name: str, mask: UInt8[Tensor, "y x"]) -> None:
        """Write the areas of one picture. file_name: relative to the image folder."""
        self.pictures += 1
        height, width = mask.shape
        image = {"id": self.pictures, "file_name": file_name, "width": width, "height": height}
        self._write(self._images, (b",\n" if self.pictures > 1 else b"\n") + _json(image))
        for area in annotations(mask, self.ids):
            self.areas += 1
            numbered = {"id": self.areas, "image_id": self.pictures, **area}
            self._write(self._file, (b",\n" if self.areas > 1 else b"\n") + _json(numbered))

    def finish(self) -> None:
        """Append the list of images, which is complete only at the end."""
        self._write(self._file, b'],\n"images": [')
        self._images.seek(0)
        while piece := self._images.read(1 << 20):
            self._write(self._file, piece)
        self._write(self._file, b"]}\n")

    def _write(self, file: IO[bytes], piece: bytes) -> None:
        try:
            file.write(piece)
        except OSError as error:
            raise write_error(self._out, error) from error


@contextmanager
def open_coco(out: Path, classes: Sequence[str], about: str = "") -> Iterator[CocoFile]:
    """A COCO JSON file at `out`, complete when the context is left, or absent.

    about: its info.description. Raises DataError if it cannot be written."""
    with atomic_write(out) as file, tempfile.TemporaryFile() as images:
        areas = CocoFile(out, file, images, classes, about)
        yield areas
        areas.finish()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _text(counts: bytes | str) -> str:
    return counts if isinstance(counts, str) else counts.decode("ascii")
