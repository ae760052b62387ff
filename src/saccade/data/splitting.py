"""Training and validation sets from one source, for annotations of any kind."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from saccade.data.files import count_suffixes, escape
from saccade.data.formats import VIDEOS
from saccade.data.recognise_formats import describe_formats, recognise_formats
from saccade.data.split_names import find_split, is_trainval, splits_by_role
from saccade.data.store import FileStore, open_store
from saccade.errors import DataError, pluralize, shorten_list


class Layout(Protocol):
    """Where the files of a set are, and its splits if it has any."""

    @property
    def store(self) -> FileStore: ...

    @property
    def splits(self) -> list[str]: ...


class LayoutAdapter:
    """A set that is read otherwise than `layout` reads it: of the same files, in the same splits."""

    def __init__(self, layout: Any):
        self.layout = layout
        self.store: FileStore = layout.store
        self.root: str = layout.root

    @property
    def splits(self) -> list[str]:
        return self.layout.splits

    def orphans(self) -> list[str]:
        """Files that belong to no split."""
        return self.layout.orphans()


class Subsettable(Protocol):
    """A data set that subsets can be taken of."""

    title: str
    notes: list[str]

    @property
    def names(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def subset(self, indices: Sequence[int]) -> Self: ...


AnyLayout = TypeVar("AnyLayout", bound=Layout)
Dataset = TypeVar("Dataset", bound=Subsettable)


def split_train_val(
    layout: AnyLayout,
    val: AnyLayout | None,
    open_split: Callable[[AnyLayout, str | None, Dataset | None], Dataset],
    val_fraction: float,
    seed: int,
    split: Callable[[Dataset, float, int], tuple[Dataset, Dataset]] | None = None,
) -> tuple[Dataset, Dataset]:
    """Training and validation sets: `val` if it is given, else the validation split of the source, else `val_fraction`
    of its training pictures. The notes of the validation set record which. A test split is not used: weights are
    selected on the validation set, so scores on it are biased.

    A split for training and validation together (`trainval`) is divided: its pictures are trained on that are not in
    the validation split. `splits_by_role` chooses of several splits.

    open_split: opens a split of a layout, with the classes of the training set if that is given. split: how pictures
    are held out; default: `random_split`. Raises DataError if there are splits and none is for training,
    and what `open_split` raises."""
    roles = splits_by_role(layout.splits)
    if layout.splits and "train" not in roles:
        raise DataError(
            f"{layout.store.title} has no split for training (found: {', '.join(map(escape, layout.splits))}); "
            "one named train expected"
        )
    train = open_split(layout, roles.get("train"), None)
    used = {roles.get("train")}
    if val is not None:
        found = splits_by_role(val.splits)
        held_out = open_split(
            val, next((found[role] for role in ("val", "test", "train") if role in found), None), train
        )
        held_out.notes.append(f"validation: {held_out.title}")
    elif "val" in roles:
        held_out = open_split(layout, roles["val"], train)
        used.add(roles["val"])
        held_out.notes.append(f"validation: the split {escape(roles['val'])}")
        if is_trainval(roles["train"]):
            train = _without(train, held_out)
    else:
        train, held_out = (split or random_split)(train, val_fraction, seed)
        held_out.notes.append(
            f"no validation split was found: {pluralize(len(held_out), 'picture')} "
            f"({val_fraction:.0%}, seed {seed}) held out"
        )
    expected = {roles.get("test"), *filter(is_trainval, layout.splits)} if "val" in roles else set()
    unused = [escape(name) for name in layout.splits if name not in used | expected]
    if unused:
        what = f"the splits {shorten_list(unused)} are" if len(unused) > 1 else f"the split {unused[0]} is"
        held_out.notes[-1] += f"; {what} not used"
    return train, held_out


def _without(train: Dataset, held_out: Dataset) -> Dataset:
    """The pictures that are not held out."""
    left = set(held_out.names)
    rest = [i for i, name in enumerate(train.names) if name not in left]
    if not rest:
        raise DataError(f"all pictures of {train.title} are also those of {held_out.title}; none are left to train on")
    return train.subset(rest)


def nothing_found(source: str | os.PathLike[str], what: str, expected: str, task: str | None = None) -> DataError:
    """The error for a source without annotations; it names the files that there are, by format if that is known.

    what: that the source lacks, a plural. expected: the formats of it that are read. task: that they are for."""
    store = open_store(source)
    known = describe_formats(recognise_formats(store), task)
    if known:
        return DataError(f"{store.title} holds no {what} that can be read; it holds {known}")
    return DataError(
        f"{store.title} holds no {what} that can be read (found: {count_suffixes(store.files)}); {expected} expected"
    )


def splits_to_read(layout: Layout, split: str | None) -> list[str | None]:
    """The split of that name or role, else all; [None] for a set without splits. Raises DataError for a split that does
    not exist."""
    if split is not None:
        return [find_split(layout.splits, split, layout.store.title)]
    return list(layout.splits) or [None]


def select_split(layout: Layout, split: str | None, both: str) -> str | None:
    """The split to open, by its own or a common name; None for a set without splits. both: the function that opens
    training and validation sets. Raises DataError if it does not exist, and if there are several and none is named."""
    if split is not None:
        return find_split(layout.splits, split, layout.store.title)
    if len(layout.splits) > 1:
        raise DataError(
            f"{layout.store.title} holds the splits {', '.join(map(escape, layout.splits))}; "
            f"name one with --split (in Python split='{escape(layout.splits[0])}', or {both}(...) for training)"
        )
    return next(iter(layout.splits), None)


def random_split(
    dataset: Dataset, val_fraction: float, seed: int = 0, groups: Mapping[str, Sequence[int]] | None = None
) -> tuple[Dataset, Dataset]:
    """The set without `val_fraction` of its pictures, and those, both in the order of the set; deterministic in `seed`.

    groups: name -> indices, to take the fraction of each group. Default: the whole set.

    Raises DataError for a fraction outside 0..1 and for a group of a single picture."""
    check_fraction(val_fraction)
    rng, held_out = np.random.default_rng(seed), list[int]()
    for name, members in (groups or {dataset.title: range(len(dataset))}).items():
        if len(members) < 2:
            raise DataError(
                f"{name} has one picture; two are needed to hold one out for validation: add pictures, or name a "
                "validation set (--val)"
            )
        count = min(max(1, round(val_fraction * len(members))), len(members) - 1)
        held_out += sorted(rng.permutation(members)[:count].tolist())
    return split_at_indices(dataset, held_out)


def split_at_indices(dataset: Dataset, held_out: Sequence[int]) -> tuple[Dataset, Dataset]:
    """The set without the pictures at `held_out`, and those in the order given."""
    return dataset.subset(sorted(set(range(len(dataset))).difference(held_out))), dataset.subset(held_out)


def split_videos(layout: Layout, dataset: Dataset, val_fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """`random_split`; of a set of videos, by whole videos: neighbouring frames are nearly the same picture.

    Raises DataError as `random_split`, and for a single video."""
    folders: dict[str, list[int]] = {}
    for i, name in enumerate(dataset.names):
        folders.setdefault(PurePosixPath(name).parent.name, []).append(i)
    if not any(each.format in VIDEOS for each in recognise_formats(layout.store)):
        train, held_out = random_split(dataset, val_fraction, seed)
        if len(folders) > 1 and all(PurePosixPath(name).stem.isdigit() for name in dataset.names):
            held_out.notes.append(
                f"pictures are numbered in {len(folders)} folders ({shorten_list(map(escape, folders))}): if these are "
                "frames of videos, which were divided picture by picture, move the videos into folders named train "
                "and val"
            )
        return train, held_out
    if len(folders) < 2:
        raise DataError(
            f"{dataset.title} has frames of one video only; two are needed to hold one out for validation: "
            "add one, or name a validation set (--val)"
        )
    check_fraction(val_fraction)
    chosen = held_out_names(folders, val_fraction, seed)
    held = [i for name in folders if name in chosen for i in folders[name]]
    train, held_out = split_at_indices(dataset, sorted(held))
    held_out.notes.append(f"whole videos are held out: {shorten_list(map(escape, sorted(chosen)))}")
    return train, held_out


def check_fraction(val_fraction: float) -> None:
    """Raises DataError for a fraction outside 0..1."""
    if not 0 < val_fraction < 1:
        raise DataError(f"val_fraction={val_fraction} was given; a number between 0 and 1 expected")


def held_out_names(names: Iterable[str], fraction: float, seed: int, least: int = 1) -> set[str]:
    """About `fraction` of the names, at least `least`, and at least `least` of them are left.

    A name is chosen by its own hash with the seed, and not by its place, so that it is held out of every set that has
    it: of pairs, of styles and of captions. Only in sets so small that `least` decides do other names matter."""
    place = {name: _place(name, seed) for name in names}
    below = sum(each < fraction for each in place.values())
    return set(sorted(place, key=lambda name: place[name])[: min(max(below, least), len(place) - least)])


def _place(name: str, seed: int) -> float:
    """From 0 to 1, evenly distributed."""
    return int.from_bytes(blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()) / 2**64
