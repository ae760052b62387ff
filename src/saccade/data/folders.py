"""The ImageFolder layout, one folder a class, from a folder or a tar of it; splits into train and validation."""

import copy
import os
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import torch

from saccade.data.dataset import check_on_error
from saccade.data.files import count_suffixes, escape, is_picture, natural_key
from saccade.data.images import Picture, read_image
from saccade.data.split_names import SPLIT_NAMES
from saccade.data.splitting import random_split
from saccade.data.store import Store, join, open_store
from saccade.errors import DataError
from saccade.options import OnError


class ImageFolder(torch.utils.data.Dataset):
    """Pictures in one folder for each class: `root/cat/1.jpg`, `root/dog/sub/2.png`.

    Args:
        source: the root folder, or a tar of it (.tar, .tar.gz, ...). A single folder around everything is skipped.
        classes: class names in label order; the folders must be exactly these. Default: sorted by name, as in
            torchvision.
        on_error: "fail" raises for an unreadable picture; with "skip", `prepare`, `to_arrays` and `drop_unreadable`
            leave it out and record it in `skipped`.
        split: name of the split ("train", "val", ...), if the source has several.

    Attributes:
        label: name of the set in messages.
        classes: class names; `labels` index them.
        labels: int64 (n,), 0 to len(classes) - 1.
        names: file names relative to the root, in label order, then in natural order.
        skipped: unreadable pictures found so far, file name -> reason.
        notes: assumptions made while reading, one sentence each.

    Raises:
        DataError: nothing there, no class folders, an empty class, only one class, classes that differ from
            `classes`, a source with splits of which none is named.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Store,
        classes: Sequence[str] | None = None,
        on_error: OnError = "fail",
        split: str | None = None,
    ):
        check_on_error(on_error)
        store = open_store(source)
        self.store, self.label, self.on_error = store, store.label, on_error
        self.notes: list[str] = []
        self.skipped: dict[str, str] = {}
        root = dataset_root(store)
        if split is not None:
            root = _find_split(store, root, split)
        elif found := split_folders(store, root):
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
        """The picture without its label. `at_least`: see `read_image`. Raises DataError if it cannot be read."""
        name = join(self._root, self.names[index])
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

    With `val`, that source is the validation set. Otherwise, if the source holds `train/` and one of `val/`, `valid/`
    and `validation/` (in this order of preference), those are used; else `val_fraction` of each class is held out,
    deterministically for each seed. The notes of the validation set record which. A `test/` folder is not used: weights
    are selected on the validation set, so scores on it are biased.

    Raises:
        DataError: as ImageFolder; classes that differ between the two, by name; a class too small to split.
    """
    store = open_store(source)
    folders = split_folders(store, dataset_root(store))
    train = ImageFolder(store, None, on_error, folders.get("train"))
    if val is not None:
        val_store = open_store(val)
        val_folders = split_folders(val_store, dataset_root(val_store))
        held_out = ImageFolder(val_store, None, on_error, val_folders.get("val", val_folders.get("test")))
        held_out.notes.append(f"validation: {val_store.label}")
    elif "val" in folders:
        held_out = ImageFolder(store, None, on_error, folders["val"])
        held_out.notes.append(f"validation: the {folders['val']}/ folder")
    else:
        labels = train.labels.numpy()
        groups = {
            f"class '{escape(name)}'": np.flatnonzero(labels == i).tolist() for i, name in enumerate(train.classes)
        }
        train, held_out = random_split(train, val_fraction, seed, groups)
        unused = f"; {folders['test']}/ is not used" if "test" in folders else ""
        held_out.notes.append(
            f"no validation split was found: {len(held_out)} pictures ({val_fraction:.0%} of each class, seed {seed}) "
            f"held out{unused}"
        )
    _check_classes(held_out.classes, train.classes, "the validation split")
    return train, held_out


def _label(store: Store, root: str) -> str:
    return escape(store.full_name(root)) if root else store.label


def _below(root: str, names: Sequence[str]) -> list[PurePosixPath]:
    paths = (PurePosixPath(name) for name in names)
    return [path.relative_to(root) for path in paths if not root or path.is_relative_to(root)]


def _top_folders(store: Store, root: str) -> list[str]:
    return sorted(path.name for path in _below(root, sorted(store.folders)) if len(path.parts) == 1)


def dataset_root(store: Store) -> str:
    """The single folder around everything, as in most tars, with subfolders and no pictures of its own; else ""."""
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
    return join(root, split)


def split_folders(store: Store, root: str) -> dict[str, str]:
    """{"train": name, "val": name, "test": name} of the folders in `root`; empty unless "train" and another exist."""
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
        # Other unprintable characters (joiners, non-breaking spaces) are needed by scripts. Cs: undecodable bytes.
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
        difference = [
            f"{what} {', '.join(map(escape, names))}" for what, names in (("lacks", missing), ("adds", extra)) if names
        ]
        raise DataError(f"the classes of {where} differ from the expected: it {' and '.join(difference)}")
    return list(expected)
