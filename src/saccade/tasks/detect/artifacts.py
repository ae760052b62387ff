"""Found objects as files: COCO JSON, YOLO labels, and pictures of each object."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from saccade.data import output
from saccade.data.files import escape, is_video
from saccade.data.objects.run_lengths import area, decode_instance_map
from saccade.errors import DataError
from saccade.tasks.artifacts import ArtifactWriter, Frame, output_paths
from saccade.tasks.coco_file import CocoJsonWriter, open_coco_json_writer, relative_names
from saccade.tasks.detect.result import Detection
from saccade.tasks.detect.task import BaseDetectTask


def frame_name(names: dict[Path, str], frame: Frame) -> str:
    """Of a picture, or of a frame of a video."""
    name = names[frame.file]
    return name if frame.video is None else f"{name}/{frame.index:06}.png"


class CocoWriter(ArtifactWriter):
    """The boxes of all pictures, with scores and outlines where there are any, as one COCO JSON file. Its annotations
    have the fields of COCO's results, and so can be evaluated as they are.

    Ids of pictures are those of their names where all names are different numbers, as in COCO itself, else 1, 2, ...
    The file is complete when the writer is left, or absent.
    """

    def __init__(self, out: Path, files: Sequence[Path], task: BaseDetectTask):
        output.check_writable(out, files)
        self.message = f"The objects are in {out}"
        self._names = relative_names(files, "coco")
        categories = dict(enumerate(task.labels, start=1))
        self._writing: AbstractContextManager[CocoJsonWriter] = open_coco_json_writer(
            out, categories, f"objects found by {task.name}"
        )
        numbers = [int(file.stem) if file.stem.isascii() and file.stem.isdigit() else 0 for file in files]
        usable = len(set(numbers)) == len(files) and not any(map(is_video, files)) and min(numbers, default=0) > 0
        self._ids = dict(zip(files, numbers, strict=True)) if usable else {}

    def __enter__(self) -> Self:
        self._file = self._writing.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.__exit__(kind, error, trace)

    def add(self, frame: Frame, result: Detection) -> None:
        name = frame_name(self._names, frame)
        self._file.add_picture(name, result.size, _annotations(result), self._ids.get(frame.file))


def _annotations(result: Detection) -> Iterator[dict[str, Any]]:
    found = result.found
    for i, (box, score, label) in enumerate(
        zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    ):
        left, top, right, bottom = box
        sides = [round(value, 3) for value in (left, top, right - left, bottom - top)]
        one = {"category_id": label + 1, "bbox": sides, "score": round(score, 6), "iscrowd": 0}
        if found.masks is None:
            yield {**one, "area": round(sides[2] * sides[3], 3)}
        else:
            yield {**one, "area": area(found.masks[i]), "segmentation": found.masks[i]}


class InstanceMaskWriter(ArtifactWriter):
    """PNGs of 16 bits that hold the number of the object at each pixel, from 1 by descending score, 0 for none; a
    folder of them for each video."""

    def __init__(self, folder: Path, files: Sequence[Path]):
        self.message = f"The masks are in {folder}"
        self.paths = output_paths(folder, files, "masks")

    def add(self, frame: Frame, result: Detection) -> None:
        path = self.paths[frame.file]
        if frame.video is not None:
            path = path / f"{frame.index:06}.png"
        with output.convert_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        numbers = decode_instance_map(result.found.masks or (), result.size).numpy()
        output.write_png(path, Image.fromarray(numbers.astype(np.uint16)))


class YoloWriter(ArtifactWriter):
    """YOLO labels: `class x y width height` of each object, centre and sides in shares of the picture, in a .txt with
    the name of the picture, empty where nothing is found; and classes.txt with the names of the classes.

    Folders below the one that holds all pictures are kept. Raises DataError for pictures that would share a file, for
    files that exist, and for class names that need more than a line."""

    def __init__(self, folder: Path, files: Sequence[Path], task: BaseDetectTask):
        self.message = f"The labels are in {folder}"
        self._names, self._folder = relative_names(files, "yolo"), folder
        self._labels = task.labels
        labels: dict[Path, Path] = {}
        for file in files:
            path = self._path(self._names[file])
            if path in labels:
                raise DataError(
                    f"{escape(labels[path])} and {escape(file)} would both have the labels {escape(path.name)}: "
                    "rename one of them"
                )
            labels[path] = file
        check_not_existing(folder, [*labels, folder / "classes.txt"], "yolo")

    def _path(self, name: str) -> Path:
        return self._folder / PurePosixPath(name).with_suffix(".txt")

    def __enter__(self) -> Self:
        _write(self._folder / "classes.txt", "".join(f"{name}\n" for name in self._labels))
        return self

    def add(self, frame: Frame, result: Detection) -> None:
        height, width = result.size
        lines = []
        for label, (left, top, right, bottom) in zip(
            result.found.labels.tolist(), result.found.boxes.tolist(), strict=True
        ):
            left, right = (min(max(x, 0.0), width) for x in (left, right))
            top, bottom = (min(max(y, 0.0), height) for y in (top, bottom))
            shares = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width,
                      (bottom - top) / height)  # fmt: skip
            lines.append(f"{label} {' '.join(f'{share:.6f}' for share in shares)}\n")
        _write(self._path(frame_name(self._names, frame)), "".join(lines))


class CropWriter(ArtifactWriter):
    """Each object cut out of its picture, as FOLDER/CLASS/PICTURE-NUMBER.png. Numbers are by descending score."""

    draws = True

    def __init__(self, folder: Path, files: Sequence[Path], task: BaseDetectTask):
        self.message = f"The objects are in {folder}"
        self._names, self._folder = relative_names(files, "crops"), folder
        check_not_existing(folder, [folder], "crops")
        self._classes = [_folder_name(label) for label in task.labels]
        twice = _repeated(self._classes)
        if twice is not None:
            raise DataError(f"--crops: two classes would have the folder {escape(twice)}; their names are too alike")
        short = {file: str(PurePosixPath(name).with_suffix("")) for file, name in self._names.items()}
        if _repeated(map(_flat, short.values())) is None:  # else a.jpg and a.png keep their suffixes
            self._names = short
        elif (twice := _repeated(map(_flat, self._names.values()))) is not None:
            raise DataError(f"--crops: two pictures would have the name {escape(twice)}; rename one of them")

    def add(self, frame: Frame, result: Detection) -> None:
        assert frame.picture is not None
        image = frame.picture.image
        stem = _flat(frame_name(self._names, frame))
        pairs = zip(result.found.labels.tolist(), result.found.boxes.tolist(), strict=True)
        for i, (label, (left, top, right, bottom)) in enumerate(pairs, start=1):
            box = (max(0, math.floor(left)), max(0, math.floor(top)),
                   min(image.width, math.ceil(right)), min(image.height, math.ceil(bottom)))  # fmt: skip
            if box[0] < box[2] and box[1] < box[3]:
                path = self._folder / self._classes[label] / f"{stem}-{i}.png"
                with output.convert_os_errors(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                output.write_png(path, image.crop(box))


def check_not_existing(folder: Path, paths: Sequence[Path], option: str) -> None:
    """Raises DataError where something that would be written is there already."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give a folder to --{option}")
    existing = next((path for path in paths if path.is_symlink() or path.exists()), None)
    if existing is not None and not (existing == folder and not any(folder.iterdir())):
        raise DataError(f"{existing} already exists: give another folder to --{option}")


def _repeated(names: Iterable[str]) -> str | None:
    """The first name that comes twice."""
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _flat(name: str) -> str:
    return "-".join(PurePosixPath(name).parts)


def _folder_name(label: str) -> str:
    """A class name as a folder: what separates folders, or cannot be in a name everywhere, becomes a hyphen."""
    name = "".join("-" if c in '/\\:*?"<>|' else c for c in label).strip(". ")
    return name or "-"


def _write(path: Path, text: str) -> None:
    with output.convert_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    output.write_file(path, text.encode())
