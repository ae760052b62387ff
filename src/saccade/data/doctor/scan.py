"""Decode all pictures or films of a set once, to find unreadable ones, duplicates and similar ones."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from saccade.data.doctor.findings import Findings
from saccade.data.doctor.near_copies import SIDE, near_copies
from saccade.data.film_frames import open_film
from saccade.data.images import read_image, read_size
from saccade.data.store import FileStore
from saccade.data.threads import map_threads
from saccade.errors import DataError


@dataclass(frozen=True)
class ScannedImage:
    """Scan of one picture. error: why it cannot be decoded, "" if it can. size: (height, width) as stored. orientation:
    EXIF's 1..8. digest: of the file. thumb: SIDE x SIDE grey pixels. notes: of the reader."""

    error: str = ""
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    digest: bytes = b""
    thumb: bytes = b""
    notes: tuple[str, ...] = ()


def scan_images(store: FileStore, names: Sequence[str]) -> dict[str, ScannedImage]:
    """Decode all pictures, in threads, with a progress bar."""
    return dict(zip(names, map_threads(lambda name: _scan_image(store, name), names, "pictures"), strict=True))


def _scan_image(store: FileStore, name: str) -> ScannedImage:
    display = os.path.basename(name)
    try:
        source = store.read(name)
        data = source.read_bytes() if isinstance(source, Path) else source
        picture = read_image(data, name=display)
        image, size, orientation = picture.image, picture.image.size[::-1], 1
        if any("upright" in note for note in picture.notes):
            size, orientation = read_size(data, display)
    except OSError as error:
        return ScannedImage(f"{display} cannot be opened ({error.strerror})")
    except DataError as error:
        return ScannedImage(str(error))
    thumb = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()
    notes = tuple(note for note in picture.notes if "upright" not in note)
    return ScannedImage("", size, orientation, hashlib.blake2b(data, digest_size=16).digest(), thumb, notes)


def copies(seen: dict[str, ScannedImage]) -> list[list[str]]:
    """Groups of pictures with identical files."""
    groups: dict[bytes, list[str]] = {}
    for name, each in seen.items():
        if not each.error:
            groups.setdefault(each.digest, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def similar(seen: dict[str, ScannedImage]) -> list[tuple[str, str]]:
    """Pairs of pictures that are nearly the same, with different files."""
    names = [name for name, each in seen.items() if not each.error]
    thumbs = np.frombuffer(b"".join(seen[name].thumb for name in names), dtype=np.uint8).reshape(-1, SIDE, SIDE)
    pairs = [(names[i], names[j]) for i, j in near_copies(thumbs)]
    return [(a, b) for a, b in pairs if seen[a].digest != seen[b].digest]


@dataclass(frozen=True)
class ScannedFilm(ScannedImage):
    """size: of the first frame. thumb: blank, as films of one scene may differ in all but their first frame. frames:
    number of them. seconds: how long they last."""

    frames: int = 0
    seconds: Fraction = Fraction(0)


def scan_films(store: FileStore, names: Sequence[str]) -> dict[str, ScannedFilm]:
    """Decode all films, in threads, with a progress bar."""
    return dict(zip(names, map_threads(lambda name: _scan_film(store, name), names, "films"), strict=True))


def add_notes(seen: Mapping[str, ScannedImage], findings: Findings) -> None:
    """What was noted while pictures and films were read, and films of a single frame."""
    for name, each in seen.items():
        if not isinstance(each, ScannedFilm):
            findings.extend("picture noted", (f"{name}: {note}" for note in each.notes))
        elif not each.error:
            findings.extend("film noted", each.notes)
            if each.frames == 1:
                findings.add("film still", name)


def _scan_film(store: FileStore, name: str) -> ScannedFilm:
    path = store.read(name)
    assert isinstance(path, Path)  # a FilmStore is a folder
    try:
        with open_film(path) as film:
            moments = film.lazy_frames()
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
    return ScannedFilm("", first.size[::-1], 1, digest.digest(), bytes(SIDE * SIDE), notes, count, seconds)
