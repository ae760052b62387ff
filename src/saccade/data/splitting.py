"""One source divided into training and validation sets, whatever its annotations are."""

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

import numpy as np

from saccade.data.files import escape
from saccade.data.split_names import find_split, split_role
from saccade.data.store import Store
from saccade.errors import DataError


class SplitLayout(Protocol):
    """A set as it was found, with its splits if it has any."""

    @property
    def store(self) -> Store: ...

    @property
    def splits(self) -> list[str]: ...


class SubsetDataset(Protocol):
    """A set that parts can be taken of."""

    label: str
    notes: list[str]

    def __len__(self) -> int: ...

    def subset(self, indices: Sequence[int]) -> Self: ...


Layout = TypeVar("Layout", bound=SplitLayout)
Whole = TypeVar("Whole", bound=SubsetDataset)


def split_train_val(
    layout: Layout,
    val: Layout | None,
    opened: Callable[[Layout, str | None, Whole | None], Whole],
    val_fraction: float,
    seed: int,
) -> tuple[Whole, Whole]:
    """Training and validation sets: `val` if it is given, else the source's split for validation, else `val_fraction` of
    its training pictures. The notes of the validation set say which. Pictures of a test split stay unseen: validation
    chooses weights, and what has chosen can't judge.

    opened: a split of a layout, read as the training set is where that is given. Raises DataError for splits of which
    none is for training, and what `opened` raises."""
    first = {kind: first_split(layout, kind) for kind in ("train", "val", "test")}
    if layout.splits and first["train"] is None:
        raise DataError(f"{layout.store.label} has no split for training (found: {', '.join(layout.splits)})")
    train = opened(layout, first["train"], None)
    held = first["val"]
    if val is not None:
        name = next((found for kind in ("val", "test", "train") if (found := first_split(val, kind))), None)
        result = opened(val, name, train)
        result.notes.append(f"validation: {result.label}")
    elif held is not None:
        result = opened(layout, held, train)
        result.notes.append(f"validation: the split {held}")
    else:
        train, result = random_split(train, val_fraction, seed)
        apart = f"; the split {first['test']} stays unseen" if first["test"] else ""
        result.notes.append(
            f"no validation split was found: {len(result)} pictures ({val_fraction:.0%}, seed {seed}) held out{apart}"
        )
    return train, result


def select_split(layout: SplitLayout, split: str | None, way: str) -> str | None:
    """The split to open, by its own or a usual name. way: the function that opens two. Raises DataError for one that
    is not there, and where there are several and none was named."""
    if split is not None:
        return find_split(layout.splits, split, layout.store.label)
    if len(layout.splits) > 1:
        raise DataError(
            f"{layout.store.label} holds the splits {', '.join(map(escape, layout.splits))}; "
            f"name one (split={layout.splits[0]!r}) or use {way}(...)"
        )
    return None


def random_split(whole: Whole, val_fraction: float, seed: int = 0) -> tuple[Whole, Whole]:
    """The set without `val_fraction` of its pictures, and those, in the order of the set; the same for the same seed.

    Raises DataError for a fraction outside 0..1 and for a single picture."""
    if not 0 < val_fraction < 1:
        raise DataError(f"val_fraction={val_fraction} was given; a number between 0 and 1 expected")
    if len(whole) < 2:
        raise DataError(f"{whole.label} has one picture; two are needed to hold one out for validation")
    count = min(max(1, round(val_fraction * len(whole))), len(whole) - 1)
    held = sorted(np.random.default_rng(seed).permutation(len(whole))[:count].tolist())
    rest = sorted(set(range(len(whole))) - set(held))
    return whole.subset(rest), whole.subset(held)


def first_split(layout: SplitLayout, kind: str) -> str | None:
    """The split for "train", "val" or "test", if there is one."""
    named = [name for name in layout.splits if split_role(name) == kind]
    return kind if kind in named else next(iter(named), None)
