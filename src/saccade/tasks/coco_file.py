"""COCO JSON files of predictions, written picture by picture."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from saccade.data.files import is_video
from saccade.data.output import atomic_write, make_write_error
from saccade.errors import DataError


class CocoJsonWriter:
    """A COCO file in constant memory; `open_coco_json_writer` opens it. Every method raises DataError if it cannot be
    written.

    categories: id -> name. about: its info.description.
    """

    def __init__(
        self, out: Path, file: IO[bytes], images: IO[bytes], categories: Mapping[int, str], about: str
    ) -> None:
        self._out, self._file, self._images = out, file, images
        self.pictures = self.areas = 0
        named = [{"id": number, "name": name} for number, name in categories.items()]
        start = b'{"info": %s,\n"categories": %s,\n"annotations": [' % (_json({"description": about}), _json(named))
        self._write(file, start)

    def add_picture(
        self, file_name: str, size: tuple[int, int], annotations: Iterable[Mapping[str, Any]], number: int | None = None
    ) -> None:
        """Write one picture and its annotations, which need no id and image_id. file_name: relative to the image
        folder. size: (height, width). number: its id; default: 1, 2, ..."""
        self.pictures += 1
        number = self.pictures if number is None else number
        image = {"id": number, "file_name": file_name, "width": size[1], "height": size[0]}
        self._write(self._images, (b",\n" if self.pictures > 1 else b"\n") + _json(image))
        for each in annotations:
            self.areas += 1
            numbered = {"id": self.areas, "image_id": number, **each}
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
            raise make_write_error(self._out, error) from error


@contextmanager
def open_coco_json_writer(out: Path, categories: Mapping[int, str], about: str = "") -> Iterator[CocoJsonWriter]:
    """A COCO JSON file at `out`, complete when the context is left, or absent.

    Raises DataError if it cannot be written."""
    with atomic_write(out) as file, tempfile.TemporaryFile() as images:
        opened = CocoJsonWriter(out, file, images, categories, about)
        yield opened
        opened.finish()


def relative_names(files: Sequence[Path], option: str) -> dict[Path, str]:
    """`file_name` of COCO: relative to the folder that holds all files; of a video, the folder of its frames.

    Raises DataError, with the option that needs them, for files on several drives."""
    try:
        root = os.path.commonpath([file.absolute().parent for file in files])
    except ValueError as error:
        raise DataError(f"the pictures lie on several drives; --{option} needs them in one folder") from error
    names = {}
    for file in files:
        name = Path(os.path.relpath(file.absolute(), root))
        name = name.with_suffix("") if is_video(file) else name
        names[file] = os.fsencode(name.as_posix()).decode(errors="backslashreplace")
    return names


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
