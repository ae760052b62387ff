"""Sets whose pictures belong together by their stems, and their training and validation parts."""

import copy
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeVar

from saccade.data.dataset import check_on_error
from saccade.data.files import count_suffixes, escape, natural_key
from saccade.data.pairs.captions import FoundCaptions
from saccade.data.split_names import split_role
from saccade.data.splitting import held_out_names
from saccade.data.store import FileStore, join_path, pictures_in, relative_to
from saccade.errors import DataError, shorten_list


@dataclass(frozen=True)
class HoldOut:
    """Which stems are held out for validation: those that a text file lists, else those in folders named for it, else a
    fraction by their names, so that a name is held out of every set that has it (`held_out_names`)."""

    fraction: float = 0.1
    seed: int = 0
    file: Path | None = None


class StemSet:
    """A data set whose items have stems: the names that the same content has in several folders. `title`, `on_error`,
    `skipped` and `notes` are those of a `PictureSet`."""

    def __init__(self, title: str, items: Sequence[Any], found: FoundCaptions, on_error: str):
        """items: each with `stem` and `captions`."""
        check_on_error(on_error)
        self.title, self.on_error, self._items = title, on_error, list(items)
        self.classes: list[str] = []
        self.skipped, self.notes = dict(found.skipped), list(found.notes)

    @property
    def stems(self) -> list[str]:
        """Name of the content of each item."""
        return [item.stem for item in self._items]

    def __len__(self) -> int:
        return len(self._items)

    def captions(self, index: int) -> tuple[str, ...]:
        """The captions of the picture to paint; empty where it has none."""
        return self._items[index].captions

    def subset(self, indices: Sequence[int]) -> Self:
        """The items at `indices`."""
        part = copy.copy(self)
        part._items = [self._items[i] for i in indices]
        part.notes, part.skipped = list(self.notes), dict(self.skipped)
        return part


Dataset = TypeVar("Dataset", bound=StemSet)


def split_by_file(dataset: Dataset, file: Path) -> tuple[Dataset, Dataset]:
    """Without the stems that a file lists, and with those only. Raises DataError as `read_stems` does, and if it lists
    all of them."""
    held_out = read_stems(file, dataset.stems, dataset.title)
    train, val = split_held_out(dataset, held_out)
    if not len(train):
        raise DataError(f"{escape(file)} lists all names of {dataset.title}: none are left to train on")
    val.notes.append(f"validation: {len(held_out)} names of {escape(file)}")
    return train, val


def split_by_stem(dataset: Dataset, hold_out: HoldOut) -> tuple[Dataset, Dataset]:
    """Without about a fraction of the items, and those, by their stems; each has its own.

    Raises DataError for a single item."""
    if len(dataset) < 2:
        raise DataError(f"{dataset.title} holds one pair; two are needed to hold one out for validation")
    chosen = held_out_names(dataset.stems, hold_out.fraction, hold_out.seed)
    train, val = split_held_out(dataset, chosen)
    val.notes.append(f"validation: {len(val)} pairs ({hold_out.fraction:.0%}, seed {hold_out.seed}) held out")
    return train, val


def split_by_folder(dataset: Dataset) -> dict[str, Dataset]:
    """Role -> its items, by outermost folders named train, val or test; empty where there are none.

    Raises DataError if only some items are in such folders, and if none are for training."""
    folders = [stem.split("/")[0] if "/" in stem else "" for stem in dataset.stems]
    roles = [split_role(folder) if folder else None for folder in folders]
    if not any(roles):
        return {}
    names = ", ".join(escape(name) for name in dict.fromkeys(f for f, role in zip(folders, roles, strict=True) if role))
    if None in roles:
        raise DataError(
            f"{dataset.title}: pictures are in folders of the splits {names}, but "
            f"{escape(dataset.stems[roles.index(None)])} is in none; move it into one of them"
        )
    if "train" not in roles:
        raise DataError(f"{dataset.title} has no split for training (found: {names})")
    found = [role for role in ("train", "val", "test") if role in roles]
    return {role: dataset.subset([i for i, each in enumerate(roles) if each == role]) for role in found}


def split_held_out(dataset: Dataset, held_out: set[str]) -> tuple[Dataset, Dataset]:
    """The items without these stems, and with them."""
    train = dataset.subset([i for i, stem in enumerate(dataset.stems) if stem not in held_out])
    val = dataset.subset([i for i, stem in enumerate(dataset.stems) if stem in held_out])
    val.skipped = {}
    return train, val


def pictures_by_stem(store: FileStore, folder: str = "") -> dict[str, str]:
    """Stem -> picture, for all pictures of a folder of the store and its subfolders, in natural order. A stem is the
    path below the folder without the suffix, in Unicode normal form C.

    Raises DataError for a folder without pictures, and for two pictures with one stem."""
    found: dict[str, str] = {}
    for name in pictures_in(store, folder):
        stem = stem_of(relative_to(folder, name))
        if stem in found:
            raise DataError(
                f"{escape(store.full_name(found[stem]))} and {escape(store.full_name(name))} have the same name "
                "without suffix; which of them is meant is unknown: remove one"
            )
        found[stem] = name
    if not found:
        files = [name for name in store.files if not folder or name.startswith(f"{folder}/")]
        label = escape(store.full_name(folder)) if folder else store.title
        raise DataError(f"{label} holds no pictures (found: {count_suffixes(files)})")
    return dict(sorted(found.items(), key=lambda each: natural_key(each[0])))


def stem_of(name: str) -> str:
    """A file name without its suffix, in Unicode normal form C."""
    path = PurePosixPath(unicodedata.normalize("NFC", name))
    parent = "" if str(path.parent) == "." else str(path.parent)
    return join_path(parent, path.stem)


def read_stems(file: Path, known: Iterable[str], label: str) -> set[str]:
    """The stems that a UTF-8 text file lists, one a line.

    Raises DataError for a file that cannot be read or lists none, and for stems that the set `label` does not have."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{escape(file)} is not UTF-8 text (byte {error.start}); convert it") from error
    except OSError as error:
        raise DataError(f"{escape(file)} cannot be opened ({error.strerror})") from error
    stems = {unicodedata.normalize("NFC", line.strip()) for line in lines if line.strip()}
    if not stems:
        raise DataError(f"{escape(file)} is empty; a name without suffix on each line expected")
    unknown = sorted(stems.difference(known))
    if unknown:
        raise DataError(
            f"{escape(file)} lists {len(unknown)} of {len(stems)} names that {label} does not have: "
            f"{shorten_list(map(escape, unknown))}; one name without suffix on each line expected"
        )
    return stems


def unmatched(parts: Mapping[str, Iterable[str]]) -> list[str]:
    """For each of two labels a phrase with the number of its stems that the other lacks, and the first of them; none
    where all match. parts: label -> stems."""
    (a, first), (b, second) = ((label, dict.fromkeys(stems)) for label, stems in parts.items())
    phrases = []
    for label, stems, other, others in ((a, first, b, second), (b, second, a, first)):
        alone = [stem for stem in stems if stem not in others]
        if alone:
            names = shorten_list(map(escape, alone))
            phrases.append(f"{len(alone)} of {len(stems)} pictures of {label} have no partner in {other}: {names}")
    return phrases
