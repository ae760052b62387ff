"""Whether annotations of pictures that EXIF turns are of the stored or of the upright pixels.

Pictures are read upright. Tools that ignore EXIF annotate the stored pixels; browsers, and most labelling tools, show
pictures upright. The annotated size says which where EXIF swaps rows and columns; for squares, turns by 180 degrees and
mirrored pictures it cannot.
"""

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple, get_args

from saccade.data.images import read_size
from saccade.data.store import FileStore
from saccade.errors import DataError
from saccade.options import ExifPixels

Size = tuple[int, int]

ENOUGH = 20  # pictures whose size says it

TURNED = "EXIF turns some pictures whose annotations are of the size before: these were turned, too"
UNKNOWN = "EXIF turns some pictures and their sizes do not say of which pixels the annotations are: "
REASONS = {
    "given": "{} pixels, as --exif says",
    "others": "{} pixels were taken, as in the pictures whose size says it",
    "assumed": "{} pixels were assumed; look at the drawn boxes, and give --exif stored if they lie elsewhere",
}


class ExifTurn(NamedTuple):
    """turned: the annotation is of the stored pixels, and is to be turned with its picture. note: what was done or
    assumed, "" for nothing."""

    turned: bool
    note: str = ""

    def finding(self, turned: str) -> str:
        """The doctor's kind of finding, "" for none. turned: that of annotations which are turned."""
        return "" if not self.note else turned if self.note == TURNED else "turn unknown"


class ExifPolicy:
    """What the annotations of a set refer to.

    Args:
        exif: for pictures whose size does not say it: "upright", "stored", or "auto": as in the pictures of the set
            whose size does, if these agree, and else upright.
        store: with the pictures.
        annotated: name and annotated (height, width) of the pictures that may say it.

    Raises DataError for another value of `exif`.
    """

    def __init__(self, exif: ExifPixels, store: FileStore, annotated: Sequence[tuple[str, Size | None]] = ()):
        if exif not in get_args(ExifPixels):
            raise DataError(f"exif={exif!r} was given; {', '.join(get_args(ExifPixels))} expected")
        self._store, self._annotated = store, annotated
        self._default: tuple[str, str] | None = None if exif == "auto" else (exif, "given")
        self._lock = Lock()

    def turn(self, orientation: int, stored: Size, annotated: Size | None) -> ExifTurn:
        """For one picture. orientation: EXIF's 1..8. stored: (height, width) in its file. annotated: if known."""
        if orientation == 1:
            return ExifTurn(False)
        known = matches_stored_size(orientation, stored, annotated)
        if known is not None:
            return ExifTurn(known, TURNED if known else "")
        with self._lock:
            if self._default is None:
                self._default = self._by_others()
        kept, reason = self._default
        return ExifTurn(kept == "stored", UNKNOWN + REASONS[reason].format(kept))

    def _by_others(self) -> tuple[str, str]:
        """From the headers of the pictures whose size says it."""
        found: list[bool] = []
        for name, annotated in self._annotated:
            if annotated is None or annotated[0] == annotated[1]:
                continue
            try:
                stored, orientation = read_size(self._store.read(name), name)
            except DataError:
                continue
            known = matches_stored_size(orientation, stored, annotated)
            found += [] if known is None else [known]
            if len(found) == ENOUGH:
                break
        if found and len(set(found)) == 1:
            return ("stored" if found[0] else "upright"), "others"
        return "upright", "assumed"


def matches_stored_size(orientation: int, stored: Size, annotated: Size | None) -> bool | None:
    """Whether an annotation is of the stored pixels, by its size; None if that does not say it."""
    if orientation <= 4 or stored[0] == stored[1] or annotated not in (stored, stored[::-1]):
        return None
    return annotated == stored
