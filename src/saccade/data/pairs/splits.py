"""Training and validation parts of sets whose pictures belong together by their stems."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from saccade.data.files import escape
from saccade.data.pairs.stems import read_stems
from saccade.data.split_names import split_role
from saccade.data.splitting import held_out_names
from saccade.errors import DataError


@dataclass(frozen=True)
class HoldOut:
    """Which stems are held out for validation: those that a text file lists, else those in folders named for it, else a
    fraction by their names, so that a name is held out of every set that has it (`held_out_names`)."""

    fraction: float = 0.1
    seed: int = 0
    file: Path | None = None


class Paired(Protocol):
    """A data set whose items have stems."""

    label: str
    notes: list[str]
    skipped: dict[str, str]

    @property
    def stems(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def subset(self, indices: Sequence[int]) -> Self: ...


Dataset = TypeVar("Dataset", bound=Paired)


def split_by_file(dataset: Dataset, file: Path) -> tuple[Dataset, Dataset]:
    """Without the stems that a file lists, and with those only. Raises DataError as `read_stems` does, and if it lists
    all of them."""
    held_out = read_stems(file, dataset.stems, dataset.label)
    train, val = parts(dataset, held_out)
    if not len(train):
        raise DataError(f"{escape(file)} lists all names of {dataset.label}: none are left to train on")
    val.notes.append(f"validation: {len(held_out)} names of {escape(file)}")
    return train, val


def split_by_stem(dataset: Dataset, hold_out: HoldOut) -> tuple[Dataset, Dataset]:
    """Without about a fraction of the items, and those, by their stems; each has its own.

    Raises DataError for a single item."""
    if len(dataset) < 2:
        raise DataError(f"{dataset.label} holds one pair; two are needed to hold one out for validation")
    chosen = held_out_names(dataset.stems, hold_out.fraction, hold_out.seed)
    train, val = parts(dataset, chosen)
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
            f"{dataset.label}: pictures are in folders of the splits {names}, but "
            f"{escape(dataset.stems[roles.index(None)])} is in none; move it into one of them"
        )
    if "train" not in roles:
        raise DataError(f"{dataset.label} has no split for training (found: {names})")
    found = [role for role in ("train", "val", "test") if role in roles]
    return {role: dataset.subset([i for i, each in enumerate(roles) if each == role]) for role in found}


def parts(dataset: Dataset, held_out: set[str]) -> tuple[Dataset, Dataset]:
    """The items without these stems, and with them."""
    train = dataset.subset([i for i, stem in enumerate(dataset.stems) if stem not in held_out])
    val = dataset.subset([i for i, stem in enumerate(dataset.stems) if stem in held_out])
    val.skipped = {}
    return train, val
