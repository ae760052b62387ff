"""What `predict` sees: pictures of files, and the frames of films among them."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from tqdm.auto import tqdm

from saccade.cli import say
from saccade.data.images import Picture, read_image
from saccade.data.video import Film, is_film, pyav
from saccade.errors import DataError


@dataclass(frozen=True)
class Shot:
    """A picture that is on its way through the model.

    picture: None where nothing is drawn on it later. film, frame, time: of a frame, its film, index and seconds.
    """

    file: Path
    picture: Picture | None
    film: Film | None = None
    frame: int = 0
    time: Fraction = Fraction(0)


class Shots:
    """Every picture that can be read, in order; what the model has not answered yet waits in `pending`.

    Attributes:
        what: to call the files, in the plural.
        skipped: files that could not be read, with the reason.
    """

    def __init__(self, files: Sequence[Path], bad: Literal["skip", "fail"], keep: bool) -> None:
        """keep: hold pictures until they are answered, to draw on them. Raises SaccadeError for films without PyAV."""
        self.files, self.bad, self.keep = files, bad, keep
        self.films = any(map(is_film, files))
        if self.films:
            pyav()
        pictures = not all(map(is_film, files))
        self.what = " or ".join(["pictures"] * pictures + ["films"] * self.films)
        self.skipped: dict[str, str] = {}
        self.pending: deque[Shot] = deque()

    def __iter__(self) -> Iterator[Picture]:
        alone = self.films and len(self.files) == 1  # its frames are counted instead
        unit = "files" if self.films else "pictures"
        for file in tqdm(self.files, unit=unit, delay=1, disable=alone or None):
            try:
                if is_film(file):
                    yield from self._frames(file)
                else:
                    yield self._waiting(Shot(file, read_image(file)))
            except DataError as error:
                if self.bad == "fail":
                    raise
                self.skipped[str(file)] = str(error)

    def _frames(self, file: Path) -> Iterator[Picture]:
        with Film(file, self.bad) as film:
            frames = tqdm(film, total=film.count, unit="frames", delay=1, disable=None)
            for i, (time, picture) in enumerate(frames):
                yield self._waiting(Shot(file, picture, film, i, time))
        for note in film.notes:
            say.note(say.to(stderr=True), note)

    def _waiting(self, shot: Shot) -> Picture:
        assert shot.picture is not None
        kept = shot.picture if self.keep else None
        self.pending.append(Shot(shot.file, kept, shot.film, shot.frame, shot.time))
        return shot.picture
