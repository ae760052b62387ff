"""Pairs of pictures: one to paint, and one that it is painted from.

Two folders, A and B, hold pictures of equal names (suffixes may differ); or each file holds both side by side, A in its
left half and B in its right half, as pix2pix publishes its sets (Isola et al. 2017). B is painted from A, or A from B
with the direction "BtoA". Captions beside the pictures to paint are read where there are any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from saccade.data.files import escape
from saccade.data.images import Picture, read_image
from saccade.data.pairs.captions import FoundCaptions, Read, captions_in_or_around
from saccade.data.pairs.splits import (
    HoldOut,
    StemSet,
    pictures_by_stem,
    split_by_file,
    split_by_folder,
    split_by_stem,
    unmatched,
)
from saccade.data.store import FileStore, open_store
from saccade.errors import DataError

Direction = Literal["AtoB", "BtoA"]


@dataclass(frozen=True)
class PicturePair:
    """stem: name of both. name: of the picture to paint, which tells the direction too. source: file of the picture to
    paint from. target: of the one to paint. captions: of it."""

    stem: str
    name: str
    source: str
    target: str
    captions: tuple[str, ...]


class PairSet(StemSet):
    """Pairs of pictures, with captions where there are any."""

    def __init__(self, label: str, pairs: Sequence[PicturePair], found: FoundCaptions, on_error: str):
        super().__init__(label, pairs, found, on_error)
        captioned = sum(bool(pair.captions) for pair in pairs)
        self.notes.insert(0, f"{label}: {len(pairs)} pairs, {captioned} of them with captions")

    @property
    def names(self) -> list[str]:
        """A unique name for each pair: of the picture to paint."""
        return [pair.name for pair in self._items]

    def pair(self, index: int) -> tuple[Picture, Picture]:
        """The picture to paint from, and the one to paint. Raises DataError for pictures that cannot be read or do not
        fit."""
        raise NotImplementedError


class TwoFolders(PairSet):
    """The pictures of one folder, painted from those of another with equal names.

    Names without a partner are left out with a note, or raise with on_error="fail".

    Raises DataError for the same folder twice or one inside the other, for a folder without pictures, for two pictures
    with one name, and if no names are equal."""

    def __init__(self, source: Path, target: Path, read: Read, on_error: str = "skip"):
        _check_apart(source, target)
        self._source, self._target = open_store(source), open_store(target)
        sources, targets = pictures_by_stem(self._source), pictures_by_stem(self._target)
        alone = unmatched({self._source.title: sources, self._target.title: targets})
        both = [stem for stem in targets if stem in sources]
        if not both or (alone and on_error == "fail"):
            raise DataError(f"{'; '.join(alone)}. Pairs have the same name in both folders, without suffix")
        found = captions_in_or_around(target, read, on_error)
        folder = target.resolve().name
        pairs = [
            PicturePair(stem, f"{folder}/{targets[stem]}", sources[stem], targets[stem], found.of(targets[stem]))
            for stem in both
        ]
        super().__init__(f"{self._source.title} and {self._target.title}", pairs, found, on_error)
        self.notes += [f"{phrase}; left out" for phrase in alone]

    def pair(self, index: int) -> tuple[Picture, Picture]:
        """As for every set; DataError for pictures whose aspects differ, too."""
        pair = self._items[index]
        source, target = _read(self._source, pair.source), _read(self._target, pair.target)
        if not same_aspect(source.image.size, target.image.size):
            (a, b), (c, d) = source.image.size, target.image.size
            raise DataError(
                f"{escape(source.name)} is {a} x {b} and {escape(target.name)} {c} x {d} pixels; the same aspect "
                "expected: crop one of them"
            )
        return source, target


class SideBySide(PairSet):
    """Pairs that lie side by side in each picture of a folder: A left, B right, both of half the width."""

    def __init__(self, folder: Path, direction: Direction, read: Read, on_error: str = "skip"):
        self._store, self.direction = open_store(folder), direction
        found = captions_in_or_around(folder, read, on_error)
        pictures = pictures_by_stem(self._store)
        half = "right half" if direction == "AtoB" else "left half"
        pairs = [PicturePair(s, f"{name}, {half}", name, name, found.of(name)) for s, name in pictures.items()]
        super().__init__(self._store.title, pairs, found, on_error)

    def pair(self, index: int) -> tuple[Picture, Picture]:
        """As for every set; DataError for a picture of odd width, too."""
        both = _read(self._store, self._items[index].target)
        width, height = both.image.size
        if width % 2:
            raise DataError(f"{escape(both.name)} is {width} pixels wide; two halves of equal width expected")
        halves = [both.image.crop((x, 0, x + width // 2, height)) for x in (0, width // 2)]
        a, b = (Picture(half, both.name, both.notes) for half in halves)
        return (a, b) if self.direction == "AtoB" else (b, a)


def pair_splits(dataset: PairSet, hold_out: HoldOut) -> tuple[PairSet, PairSet]:
    """Training and validation pairs: as a file lists them; else by folders train and val (a folder test is not used);
    else about a fraction by their names (`held_out_names`). The notes of the validation set record which.

    Raises DataError for a single pair, for a file that lists unknown names, and for folders of splits beside a file."""
    parts = split_by_folder(dataset)
    if hold_out.file is not None:
        if parts:
            raise DataError(
                f"{dataset.title} is split by its folders ({', '.join(parts)}), and {escape(hold_out.file)} names "
                "other pairs to hold out: use one of the two"
            )
        return split_by_file(dataset, hold_out.file)
    train = parts.get("train", dataset)
    if "val" not in parts:
        return split_by_stem(train, hold_out)
    val = parts["val"]
    val.skipped = {}
    val.notes.append(f"validation: {len(val)} pairs in folders for it")
    return train, val


def same_aspect(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two sizes are one aspect, to a pixel of the smaller one."""
    small, large = sorted((a, b))
    scale = min(small[0] / large[0], small[1] / large[1])
    return all(abs(large[i] * scale - small[i]) <= 1 for i in (0, 1))


def _read(store: FileStore, name: str) -> Picture:
    return read_image(store.read(name), name=store.full_name(name))


def _check_apart(source: Path, target: Path) -> None:
    a, b = source.resolve(), target.resolve()
    if a == b:
        raise DataError(f"{escape(source)} is given twice; a folder to paint from and one to paint expected")
    if a.is_relative_to(b) or b.is_relative_to(a):
        raise DataError(f"{escape(source)} and {escape(target)} lie inside each other; give two separate folders")
