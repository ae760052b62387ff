"""Decode all films of a set once, to find unreadable ones and duplicates, and what their readers note."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from saccade.data.doctor.findings import Findings
from saccade.data.doctor.near_copies import SIDE
from saccade.data.doctor.scan import ScannedImage
from saccade.data.film_frames import open_film
from saccade.data.store import Store
from saccade.data.threads import map_threads
from saccade.errors import DataError


@dataclass(frozen=True)
class ScannedFilm(ScannedImage):
    """size: of the first frame. thumb: blank, as films of one scene may differ in all but their first frame. frames:
    number of them. seconds: how long they last. notes: of the reader."""

    frames: int = 0
    seconds: Fraction = Fraction(0)
    notes: tuple[str, ...] = ()


def scan_films(store: Store, names: Sequence[str]) -> dict[str, ScannedFilm]:
    """Decode all films, in threads, with a progress bar."""
    return dict(zip(names, map_threads(lambda name: _scan_film(store, name), names, "films"), strict=True))


def add_notes(seen: Mapping[str, ScannedImage], findings: Findings) -> None:
    """What was noted while films were read, and films of a single frame."""
    for name, each in seen.items():
        if isinstance(each, ScannedFilm) and not each.error:
            findings.extend("film noted", each.notes)
            if each.frames == 1:
                findings.add("film still", name)


def _scan_film(store: Store, name: str) -> ScannedFilm:
    path = store.read(name)
    assert isinstance(path, Path)  # a FilmStore is a folder
    try:
        with open_film(path) as film:
            moments = film.moments()
            first = next(iter(moments)).picture().image
            count = 1 + sum(1 for _ in moments)
            notes, seconds = tuple(film.notes), film.end
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        digest = hashlib.blake2b(digest_size=16)
        for each in files:
            with each.open("rb") as file:
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    except OSError as error:
        return ScannedFilm(f"{name} cannot be opened ({error.strerror})")
    except DataError as error:
        return ScannedFilm(str(error))
    return ScannedFilm("", first.size[::-1], 1, digest.digest(), bytes(SIDE * SIDE), count, seconds, notes)
