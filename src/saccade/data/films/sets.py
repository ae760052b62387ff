"""Films with captions in a folder, in every format that `saccade.data.captions` reads; a file is a video (MP4, MKV,
WebM, MOV, AVI and others), an animated picture (GIF, WebP, PNG) or a folder of frames."""

import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from saccade.data.captions.annotations import CaptionedPicture, Captions
from saccade.data.captions.layout import CaptionLayout, find_captions, no_captions_error, table_faults
from saccade.data.captions.sets import CaptionSet
from saccade.data.files import count_suffixes, escape
from saccade.data.film_frames import open_film, resample_frames
from saccade.data.films.store import FilmStore
from saccade.data.images import Picture
from saccade.data.preprocess import Preprocess
from saccade.data.store import FileStore, relative_to
from saccade.data.video import FilmReader
from saccade.errors import DataError, shorten_list


class FilmSet(CaptionSet):
    """Film files with their captions. Captions are checked as those of a `CaptionSet`; films without one are kept, and
    `notes` names them. Files are opened when they are read.

    Raises:
        DataError: a fatal problem (a file name outside the folder); any problem with on_error="fail"; no film.
    """

    items, both = "films", "film_splits"

    def __init__(self, captions: Captions, on_error: str = "skip"):
        bare = [CaptionedPicture(name) for name in captions.unlabelled]
        super().__init__(replace(captions, pictures=captions.pictures + bare, unlabelled=[]), on_error)
        if bare:
            names = shorten_list(escape(relative_to(self._root, each.name)) for each in bare)
            self.notes.append(f"{len(bare)} films have no caption and are used without one: {names}")

    def captions(self, index: int) -> tuple[str, ...]:
        """The captions of the film, in the order of the file; none for some films."""
        return super().captions(index)

    def path(self, index: int) -> Path:
        """The file or folder of the film."""
        place = self._store.read(self._pictures[index].name)
        assert isinstance(place, Path)  # a FilmStore is a folder
        return place

    def film(self, index: int, rate: Fraction) -> FilmReader:
        """The film, opened. rate: frames per second of a folder that does not state it. Raises DataError as
        `open_film`."""
        on_error: Literal["skip", "fail"] = "fail" if self.on_error == "fail" else "skip"
        return open_film(self.path(index), on_error, rate)

    def picture(self, index: int, at_least: tuple[int, int] | None = None) -> Picture:
        """The first frame. Raises DataError as `open_film`."""
        with self.film(index, Fraction(1)) as film:
            return next(iter(film)).picture


def read_resized_frames(
    film: FilmReader, size: tuple[int, int], rate: Fraction, most: int, start: Fraction = Fraction(0)
) -> tuple[UInt8[np.ndarray, "t y x 3"], tuple[int, int]]:
    """The first `most` frames at `rate` per second from `start` on, at `size`; and the (width, height) of the film."""
    sizes: list[tuple[int, int]] = []

    def frames() -> Iterator[np.ndarray]:
        before, pixels = None, np.empty(0)
        for picture in islice(resample_frames(film, rate, start), most):
            if picture.image is not before:
                before = picture.image
                pixels = np.asarray(resize_to_cover(size, before.size).resize_and_crop(before))
                sizes.append(before.size)
            yield pixels

    # grows in place, where a list of frames would take the memory twice
    array = np.fromiter(frames(), np.dtype((np.uint8, (*size, 3))))
    return array, sizes[0] if sizes else (0, 0)


def resize_to_cover(size: tuple[int, int], whole: tuple[int, int]) -> Preprocess:
    """Resizes a picture so that it just covers `size`, (height, width), and crops the centre. whole: (width, height) of
    the picture."""
    (height, width), (columns, rows) = size, whole
    shorter = max(-(-min(whole) * height // rows), -(-min(whole) * width // columns))
    return Preprocess(size, "crop", shorter)


def check_length(path: Path, found: int, needed: int, rate: Fraction) -> None:
    """Raises DataError for a film that is too short."""
    if found < needed:
        raise DataError(f"{escape(path)} is too short: {found} frames at {float(rate):g} per second, {needed} expected")


def open_films(source: str | os.PathLike[str], split: str | None = None, on_error: str = "skip") -> FilmSet:
    """Films with their captions.

    Args:
        source: a folder, or a .csv, .tsv, .jsonl or COCO .json in the folder of its films. A folder without captions is
            a set of films without captions.
        split: "train", "val", "test" or the name of the split, if the set has several.
        on_error: "skip" leaves out and records what cannot be used, "fail" raises.

    Raises:
        DataError: no films; tables without columns for captions, which are named; a split that does not exist, or
            several and none named; see `FilmSet`.
    """
    return FilmSet.open(find_films(source), split, on_error)


def film_splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: str = "skip",
) -> tuple[FilmSet, FilmSet]:
    """Training and validation sets of one source, as `caption_splits` makes them: films with a caption in common are
    held out together. Raises DataError as `open_films`."""
    layout, other = find_films(source), None if val is None else find_films(val)
    return FilmSet.train_val(layout, other, val_fraction, seed, on_error)


def find_films(source: str | os.PathLike[str]) -> CaptionLayout:
    """The films in a folder, or those that a table names, with their captions. Raises DataError if there are none."""
    found = find_captions(source, _open_store)
    if found is not None:
        return found
    store = _open_store(source)
    if table_faults(store):
        raise no_captions_error(store)
    assert isinstance(store, FilmStore)
    films = store.films
    if not films:
        raise DataError(
            f"{store.title} holds no films (found: {count_suffixes(store.files)}); videos, GIF, WebP or folders of "
            "numbered frames expected"
        )
    return CaptionLayout(
        store, "", "films without captions", {"": Captions(store.title, "", store, "", unlabelled=films)}
    )


def _open_store(source: str | os.PathLike[str]) -> FileStore:
    path = Path(source)
    if path.is_dir():
        return FilmStore(path)
    if path.exists():
        raise DataError(f"{escape(path)} is a file; a folder of films expected: unpack a tar")
    raise DataError(f"{escape(path)} does not exist; a folder of films expected")
