"""What is run on a tree of files: each reader with its valid files."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from saccade.data.captions.sets import caption_splits
from saccade.data.doctor import examine
from saccade.data.film_files import read_embedded_settings
from saccade.data.film_frames import open_film
from saccade.data.films.sets import open_films
from saccade.data.folders import ImageFolder
from saccade.data.images import read_image, read_size
from saccade.data.objects.sets import object_splits
from saccade.data.segments.decode_mask import read_mask
from saccade.data.segments.sets import segment_splits
from saccade.errors import SaccadeError
from saccade.tasks.generate.settings import Settings
from saccade.tasks.loading import load
from tests.fuzz import seeds, table_seeds
from tests.fuzz.mutate import Tree


class Reader(NamedTuple):
    """seeds: valid trees. run: reads a folder; raises SaccadeError for what is wrong with it. weight: how many of the
    cases are its."""

    seeds: Callable[[], list[Tree]]
    run: Callable[[Path], None]
    weight: float = 1.0


def _each_file(read: Callable[[Path], object]) -> Callable[[Path], None]:
    def run(root: Path) -> None:
        files = [path for path in sorted(root.rglob("*")) if path.is_file()]
        for path in files[:-1]:
            with contextlib.suppress(SaccadeError):
                read(path)
        for path in files[-1:]:
            read(path)

    return run


def _picture(path: Path) -> None:
    for read in (
        read_image,
        lambda p: read_size(p, p.name),
        lambda p: read_image(p, at_least=(9, 9)),
        read_embedded_settings,
    ):
        read(path)


def _film(root: Path) -> None:
    for source in sorted(root.iterdir()):
        for on_error in ("skip", "fail"):
            with open_film(source, on_error) as film:
                for _, frame in zip(range(200), film, strict=False):
                    assert frame.picture.image.mode == "RGB"
                _check_lines(film.notes)


def _doctor(root: Path) -> None:
    report = examine(root).report
    _check_lines([place for finding in report.findings for place in finding.places])
    json.dumps(report.to_dict(), ensure_ascii=False).encode()


def _archive(root: Path) -> None:
    for path in root.iterdir():
        _doctor(path)


def _both(read: Callable[[Path], object]) -> Callable[[Path], None]:
    """The doctor, and what training reads."""

    def run(root: Path) -> None:
        with contextlib.suppress(SaccadeError):
            read(root)
        _doctor(root)
        read(root)

    return run


def _objects(root: Path) -> None:
    for part in object_splits(root):
        _check_lines(part.notes)
        for i in range(min(len(part), 4)):
            part.picture(i)
            part.objects(i)


def _segments(root: Path) -> None:
    for part in segment_splits(root):
        _check_lines(part.notes)
        for i in range(min(len(part), 4)):
            part.picture(i)
            part.mask(i)


def _captions(root: Path) -> None:
    for part in caption_splits(root):
        _check_lines(part.notes)


def _settings(root: Path) -> None:
    for path in filter(Path.is_file, root.rglob("*")):
        Settings.parse(path.read_bytes().decode("utf-8", "replace"))


def _check_lines(texts: list[str]) -> None:
    for text in texts:
        assert text.isprintable(), f"not printable: {text!a}"


READERS: dict[str, Reader] = {
    "picture": Reader(seeds.pictures, _each_file(_picture)),
    "mask": Reader(seeds.pictures, _each_file(lambda path: read_mask(path, str(path)))),
    "coco": Reader(seeds.coco, _both(_objects)),
    "coco masks": Reader(seeds.coco, _segments),
    "yolo": Reader(seeds.yolo, _both(_objects)),
    "voc": Reader(seeds.voc, _both(_objects)),
    "box tables": Reader(table_seeds.box_tables, _both(_objects)),
    "formats": Reader(table_seeds.formats, _doctor, weight=0.5),
    "segments": Reader(seeds.segments, _both(_segments)),
    "classes": Reader(table_seeds.classes, _both(ImageFolder)),
    "captions": Reader(table_seeds.captions, _both(_captions)),
    "film": Reader(seeds.films, _film),
    "film set": Reader(seeds.film_sets, lambda root: _check_lines(open_films(root).notes)),
    "archive": Reader(table_seeds.archives, _archive),
    "model": Reader(seeds.models, lambda root: _check_lines(load(root).notes), weight=0.05),
    "settings": Reader(seeds.settings, _settings),
}
