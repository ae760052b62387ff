"""The pictures, films, masks and areas that `predict` writes beside its answer, each as it comes."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from PIL import Image

from saccade.cli.asked import Asked
from saccade.cli.kinds import Kind
from saccade.cli.shots import Shot
from saccade.data.video import is_film
from saccade.data.video_writer import FilmWriter
from saccade.errors import DataError

if TYPE_CHECKING:
    from saccade.tasks.segment.coco import AreasFile


class Keeping:
    """Writes what was asked for: `with Keeping(...) as kept: kept.add(shot, result)`. A film, and the file of areas,
    is there whole once it is left, or not at all."""

    def __init__(self, asked: Asked, task: Any, kind: Kind, files: Sequence[Path]) -> None:
        self._asked, self._task, self._kind = asked, task, kind
        self._names = _below(files) if asked.coco is not None else {}
        self._whole, self._drawing = ExitStack(), ExitStack()
        self._file: Path | None = None
        self._film: FilmWriter | None = None
        self._paint: Callable[[Image.Image, Any], Image.Image] | None = None
        self._areas: "AreasFile | None" = None

    def __enter__(self) -> "Keeping":
        if self._asked.coco is not None:
            from saccade.tasks.segment.coco import writing_areas

            about = f"areas of classes, as {self._task.name} sees them"
            self._areas = self._whole.enter_context(writing_areas(self._asked.coco, self._task.labels, about))
        self._whole.push(self._drawing)  # a film is finished first; what goes wrong there ends the areas, too
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._whole.__exit__(kind, error, trace)

    def add(self, shot: Shot, result: Any) -> None:
        """What is to be written of one answer."""
        if shot.file != self._file:
            self._turn_to(shot)
        if self._paint is not None:
            assert shot.picture is not None
            drawn = self._paint(shot.picture.image, result)
            if self._film is not None:
                self._film.add(drawn, shot.time)
            else:
                self._asked.save(drawn, "draw", shot.file)
        if self._asked.masks is not None:
            from saccade.tasks.segment.colours import index_png

            self._asked.save(index_png(result.mask), "masks", shot.file, None if shot.film is None else shot.frame)
        if self._areas is not None:
            name = self._names[shot.file]
            self._areas.add(name if shot.film is None else f"{name}/{shot.frame:06}.png", result.mask)

    def _turn_to(self, shot: Shot) -> None:
        """Another file: the film before it, if it was one, is finished."""
        self._drawing.close()
        self._file, self._film = shot.file, None
        if self._asked.draw is not None:
            self._paint = self._kind.painter(self._task, shot.film is not None)
            if shot.film is not None:
                place = self._asked.place("draw", shot.file)
                self._film = self._drawing.enter_context(FilmWriter(place, shot.film.rate, shot.film.time_base))


def _below(files: Sequence[Path]) -> dict[Path, str]:
    """Names below the folder that holds all files, as COCO has them; of a film, of the folder for its frames."""
    try:
        root = os.path.commonpath([file.absolute().parent for file in files])
    except ValueError as error:
        raise DataError("the pictures lie on several drives; --coco needs them in one folder") from error
    names = {}
    for file in files:
        name = Path(os.path.relpath(file.absolute(), root))
        name = name.with_suffix("") if is_film(file) else name
        names[file] = os.fsencode(name.as_posix()).decode(errors="backslashreplace")
    return names
