"""The ImageFolder layout, one folder a class, from a folder or a tar of it; splits into train and validation."""

import copy
import os
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import torch

from saccade.data.files import count_suffixes, escape, is_picture, natural_key
from saccade.data.images import Picture, read_image
from saccade.data.split_names import SPLIT_NAMES
from saccade.data.store import Store, open_store
from saccade.errors import DataError

OnError = Literal["skip", "fail"]


class ImageFolder(torch.utils.data.Dataset):
    """Pictures in one folder a class: `root/cat/1.jpg`, `root/dog/sub/2.png`.

    Args:
        source: the root, or a tar of it (.tar, .tar.gz, ...). One folder around all of it is looked through.
        classes: class names in label order; found folders must be exactly these. Default: sorted by name, as
            torchvision does.
        on_error: what an unreadable picture does: "fail" raises, "skip" has `prepare`, `to_arrays` and `readable`
            leave it out and record it in `skipped`.
        split: folder to read where the source holds several ("train", "val", ...).

    Attributes:
        label: what to call the set in messages.
        classes: class names; `labels` index them.
        labels: int64 (n,), 0 to len(classes) - 1.
        names: file names below the class folders' root, in label order, then as a person would sort them.
        skipped: unreadable pictures met so far, file name -> reason.
        notes: what was assumed on the way, a sentence each.

    Raises:
        DataError: nothing there, no class folders, an empty class, only one class, other classes than asked for,
            a source that holds splits and none was named.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        classes: Sequence[str] | None = None,
        on_error: OnError = "fail",
        split: str | None = None,
    ):
        self._fill(open_store(source), classes, on_error, split)

    def _fill(self, store: Store, classes: Sequence[str] | None, on_error: OnError, split: str | None) -> None:
        if on_error not in ("skip", "fail"):
            raise DataError(f'on_error={on_error!r} was given; "skip" or "fail" expected')
        self.store, self.label, self.on_error = store, store.label, on_error
        self.notes: list[str] = []
        self.skipped: dict[str, str] = {}
        root = _root(store)
        if split is not None:
            root = _find_split(store, root, split)
        elif found := _split_folders(store, root):
            raise DataError(
                f"{store.label} holds splits ({', '.join(found.values())}), not classes; "
                f"name one (split={found['train']!r}) or use splits(...)"
            )
        if root:
            self.notes.append(f"classes read from {escape(root)}/ of {store.label}")
        by_class = _by_class(store, root)
        self.classes = _check_classes(sorted(by_class), classes, _label(store, root))
        self._root = root
        self.names = [name for c in self.classes for name in by_class[c]]
        counts = torch.tensor([len(by_class[c]) for c in self.classes])
        self.labels = torch.arange(len(self.classes)).repeat_interleave(counts)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        return self.picture(index), int(self.labels[index])

    def picture(self, index: int, at_least: tuple[int, int] | None = None) -> Picture:
        """The picture alone. `at_least`: as in `read_image`. Raises DataError if it cannot be read."""
        name = _join(self._root, self.names[index])
        return read_image(self.store.read(name), name=self.store.full_name(name), at_least=at_least)

    def subset(self, indices: Sequence[int]) -> "ImageFolder":
        """The same classes with the items at `indices` only."""
        part = copy.copy(self)
        part.names = [self.names[i] for i in indices]
        part.labels = self.labels[torch.as_tensor(indices, dtype=torch.int64)]
        part.notes, part.skipped = list(self.notes), {}
        return part


def splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: OnError = "fail",
) -> tuple[ImageFolder, ImageFolder]:
    """Training and validation sets of one source.

    With `val`, that source is the validation set. Otherwise, where the source holds `train/` beside `val/`, `valid/`
    or `validation/`, those are taken (in this order of preference); else `val_fraction` of each class is held out, the
    same pictures for the same seed. The notes of the validation set say which. A `test/` beside `train/` stays unseen:
    validation chooses weights, and what has chosen can't judge.

    Raises:
        DataError: as ImageFolder; classes that differ between the two, by name; a class too small to divide.
    """
    store = open_store(source)
    folders = _split_folders(store, _root(store))
    train = _dataset(store, None, on_error, folders.get("train"))
    if val is not None:
        held = open_store(val)
        inside = _split_folders(held, _root(held))
        other = _dataset(held, None, on_error, inside.get("val", inside.get("test")))
        other.notes.append(f"validation: {other.store.label}")
    elif "val" in folders:
        other = _dataset(store, None, on_error, folders["val"])
        other.notes.append(f"validation: the {folders['val']}/ folder")
    else:
        train, other = _random_split(train, val_fraction, seed)
        other.notes.append(
            f"no validation split was found: {len(other)} pictures ({val_fraction:.0%} of each class, seed {seed}) held out"
            + (f"; {folders['test']}/ stays unseen" if "test" in folders else "")
        )
    _check_classes(other.classes, train.classes, "the validation split")
    return train, other


def _dataset(store: Store, classes: Sequence[str] | None, on_error: OnError, split: str | None) -> ImageFolder:
    dataset = ImageFolder.__new__(ImageFolder)
    dataset._fill(store, classes, on_error, split)
    return dataset


def _random_split(whole: ImageFolder, val_fraction: float, seed: int) -> tuple[ImageFolder, ImageFolder]:
    if not 0 < val_fraction < 1:
        raise DataError(f"val_fraction={val_fraction} was given; a number between 0 and 1 expected")
    rng = np.random.default_rng(seed)
    held: list[int] = []
    for label, name in enumerate(whole.classes):
        members = (whole.labels == label).nonzero().flatten().numpy()
        if len(members) < 2:
            raise DataError(f"class '{escape(name)}' has one picture; two are needed to hold one out for validation")
        count = min(max(1, round(val_fraction * len(members))), len(members) - 1)
        held += sorted(rng.permutation(members)[:count].tolist())
    rest = sorted(set(range(len(whole))) - set(held))
    return whole.subset(rest), whole.subset(held)


def _join(root: str, name: str) -> str:
    return f"{root}/{name}" if root else name


def _label(store: Store, root: str) -> str:
    return escape(store.full_name(root)) if root else store.label


def _below(root: str, names: Sequence[str]) -> list[PurePosixPath]:
    paths = (PurePosixPath(name) for name in names)
    return [path.relative_to(root) for path in paths if not root or path.is_relative_to(root)]


def _top_folders(store: Store, root: str) -> list[str]:
    return sorted(path.name for path in _below(root, sorted(store.folders)) if len(path.parts) == 1)


def _root(store: Store) -> str:
    """ "" or the one folder around everything, as most tars have: folders in it, and no picture beside them."""
    top = _top_folders(store, "")
    if len(top) != 1 or not _top_folders(store, top[0]):
        return ""
    pictures = (PurePosixPath(name) for name in store.files if is_picture(name))
    return top[0] if all(len(path.parts) > 2 for path in pictures) else ""


def _find_split(store: Store, root: str, split: str) -> str:
    if root and split == root:
        return root
    top = _top_folders(store, root)
    if split not in top:
        found = ", ".join(map(escape, top)) or "none"
        raise DataError(f"{_label(store, root)} has no folder '{escape(split)}' (found: {found})")
    return _join(root, split)


def _split_folders(store: Store, root: str) -> dict[str, str]:
    """{"train": name, "val": name, "test": name} of the folders below `root`; none unless there is a "train" and
    another."""
    found = {}
    top = {name.lower(): name for name in _top_folders(store, root)}
    for role, candidates in SPLIT_NAMES.items():
        name = next((top[c] for c in candidates if c in top), None)
        if name is not None:
            found[role] = name
    return found if "train" in found and len(found) > 1 else {}


def _by_class(store: Store, root: str) -> dict[str, list[str]]:
    """Class -> its pictures, in natural order, for the class folders below `root`."""
    where = _label(store, root)
    files = _below(root, store.files)
    by_class: dict[str, list[str]] = {name: [] for name in _top_folders(store, root)}
    loose = [path.name for path in files if len(path.parts) == 1 and is_picture(path.name)]
    if not by_class:
        instead = f"{len(loose)} loose pictures" if loose else count_suffixes(str(path) for path in files)
        raise DataError(
            f"{where} has no class folders (found: {instead}); expected one folder a class, as in cat/1.jpg"
        )
    if loose:
        raise DataError(
            f"{where} has {len(loose)} loose pictures beside its class folders (such as {escape(loose[0])}); "
            "move them into a class folder"
        )
    others: dict[str, list[str]] = {name: [] for name in by_class}
    for path in files:
        if len(path.parts) > 1:
            kind = by_class if is_picture(path.name) else others
            kind[path.parts[0]].append(str(path))
    for name, pictures in by_class.items():
        # Of what is unprintable, scripts need joiners and spaces that do not break. Cs: bytes that are no text.
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise DataError(
                f"{where} has a class folder with control characters in its name ('{escape(name)}'); rename it"
            )
        if not pictures:
            raise DataError(
                f"class folder {name!r} of {where} holds no pictures (found: {count_suffixes(others[name])}); "
                "fill or remove it"
            )
        pictures.sort(key=natural_key)
    if len(by_class) == 1:
        raise DataError(f"{where} has one class only ({next(iter(by_class))!r}); two or more expected")
    return by_class


def _check_classes(found: list[str], expected: Sequence[str] | None, where: str) -> list[str]:
    if expected is None:
        return found
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if missing or extra:
        said = [
            f"{what} {', '.join(map(escape, names))}" for what, names in (("lacks", missing), ("adds", extra)) if names
        ]
        raise DataError(f"the classes of {where} differ from the expected: it {' and '.join(said)}")
    return list(expected)
