"""Pictures with captions, in a folder or a tar; the format is detected.

- metadata.csv or metadata.jsonl as Hugging Face's imagefolder has them, any other CSV, TSV or JSON lines whose header
  names pictures and captions (`tables.py`); a column split makes splits, and so do train, val and test in the names of
  tables and of folders;
- COCO captions JSON (`coco.py`);
- a .txt beside each picture, a caption a line (`texts.py`).

Captions are text exactly as written. Nothing is guessed: what cannot be read is left out and recorded, or raises.
"""

import copy
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Self, TypeVar

import numpy as np
from jaxtyping import UInt8

from saccade.data.cache import MEMORY_BUDGET, Arrays, Streamed, prepare_readable
from saccade.data.captions.annotations import CaptionedPicture, Captions
from saccade.data.captions.layout import CaptionLayout, find_captions, no_captions_error
from saccade.data.dataset import AnnotatedFiles
from saccade.data.files import escape
from saccade.data.preprocess import Preprocess
from saccade.data.splitting import held_out_names, random_split, select_split, split_at_indices, split_train_val
from saccade.data.store import relative_to
from saccade.errors import DataError, pluralize, shorten_list

SHARED = 20  # pictures from which on a caption names a class, and its pictures are held out one by one


class CaptionSet(AnnotatedFiles):
    """Picture files with their captions, one or more each.

    Captions that are blank, no text, repeated for their picture, or hold control characters or unpaired surrogates are
    left out and recorded in `skipped`, or raise, depending on `on_error`; so are captions of pictures that are not
    there. Pictures without captions are left out, and `notes` names them.

    Raises:
        DataError: a fatal problem (a file name outside the folder, ids of images that repeat); any problem with
            on_error="fail"; no picture left.
    """

    items, both = "pictures", "caption_splits"  # what it holds, and the function that opens two splits, in messages

    def __init__(self, captions: Captions, on_error: str = "skip"):
        super().__init__(captions, on_error)
        self._owners = dict(captions.owners)
        self._pictures = captions.pictures
        self.by_stem = captions.by_stem
        if not self._pictures:
            reason = next(iter(self.skipped.values()), "no caption names one")
            raise DataError(f"{captions.title} has no picture with a caption: {reason}")
        self.names = [relative_to(self._root, picture.name) for picture in self._pictures]
        if captions.unlabelled:
            names = shorten_list(escape(relative_to(self._root, name)) for name in captions.unlabelled)
            self.notes.append(f"{len(captions.unlabelled)} pictures have no caption and are left out: {names}")

    @classmethod
    def open(cls, layout: CaptionLayout, split: str | None, on_error: str) -> Self:
        """A split of a source that has been read."""
        dataset = cls(layout.read(select_split(layout, split, cls.both)), on_error)
        captions = sum(len(dataset.captions(i)) for i in range(len(dataset)))
        found = f"{pluralize(len(dataset), cls.items.removesuffix('s'))}, {pluralize(captions, 'caption')}"
        dataset.notes.insert(0, f"{dataset.title} was read as {layout.format}: {found}")
        return dataset

    @classmethod
    def train_val(
        cls, layout: CaptionLayout, val: CaptionLayout | None, val_fraction: float, seed: int, on_error: str
    ) -> tuple[Self, Self]:
        """`caption_splits` of sources that have been read."""

        def open_split(layout: CaptionLayout, split: str | None, like: Self | None) -> Self:
            return cls.open(layout, split, on_error)

        return split_train_val(layout, val, open_split, val_fraction, seed, split_by_caption)

    def captions(self, index: int) -> tuple[str, ...]:
        """The captions of `picture(index)`, at least one, in the order of the file."""
        return tuple(self._pictures[index].captions)

    def readable_captions(self, read: Callable[[str], object]) -> Self:
        """The set without the captions for which `read` raises a DataError, and without the pictures that have no other
        one; they are recorded in `skipped`, or raise, depending on `on_error`.

        Raises DataError if no caption is left."""
        kept: list[int] = []
        pictures, skipped, owners = list(self._pictures), dict(self.skipped), dict(self._owners)
        for i, name in enumerate(self.names):
            captions = []
            for number, caption in enumerate(self.captions(i), start=1):
                try:
                    read(caption)
                    captions.append(caption)
                except DataError as error:
                    if self.on_error == "fail":
                        raise DataError(f"{self.title}, {escape(name)}: {error}") from error
                    where = f"{name}, caption {number}"
                    skipped[where], owners[where] = f"{escape(where)}: {error}", name
            if captions or not self.captions(i):  # films need none
                kept.append(i)
                pictures[i] = CaptionedPicture(pictures[i].name, captions)
        if not kept:
            reason = next(iter(skipped.values()), "it is empty")
            raise DataError(f"{self.title} has no caption that can be used: {reason}")
        part = copy.copy(self)
        part._pictures, part._owners = pictures, owners
        part = part.subset(kept)
        part.skipped = skipped
        return part


AnyCaptionSet = TypeVar("AnyCaptionSet", bound=CaptionSet)


def open_captions(source: str | os.PathLike[str], split: str | None = None, on_error: str = "skip") -> CaptionSet:
    """Pictures with their captions.

    Args:
        source: a folder or tar, or a .csv, .tsv, .jsonl or COCO .json in the folder of its pictures.
        split: "train", "val", "test" or the name of the split, if the set has several.
        on_error: "skip" leaves out and records what cannot be used, "fail" raises.

    Raises:
        DataError: no captions (columns that were found are named); a split that does not exist, or several and none
            named; see `CaptionSet`.
    """
    return CaptionSet.open(_layout(source), split, on_error)


def caption_splits(
    source: str | os.PathLike[str],
    val: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    on_error: str = "skip",
) -> tuple[CaptionSet, CaptionSet]:
    """Training and validation sets of one source, as `split_train_val` makes them.

    Pictures with a caption in common are held out together, so that no validation picture has a caption of a training
    picture; captions of more than `SHARED` pictures are excepted, as they name classes.

    Raises DataError as `open_captions`."""
    layout, other = _layout(source), None if val is None else _layout(val)
    return CaptionSet.train_val(layout, other, val_fraction, seed, on_error)


def split_by_caption(dataset: AnyCaptionSet, val_fraction: float, seed: int) -> tuple[AnyCaptionSet, AnyCaptionSet]:
    """`random_split` of the groups of pictures with a caption in common. Where captions belong
    to names in several folders, `held_out_names`, so that pairs and styles hold out the same.

    Raises DataError as `random_split`, and if all pictures are one group."""
    groups = caption_groups([dataset.captions(i) for i in range(len(dataset))])
    if dataset.by_stem:
        return _split_by_stem(dataset, groups, val_fraction, seed)
    if len(groups) == len(dataset):
        return random_split(dataset, val_fraction, seed)
    held_out = held_out_groups(groups, val_fraction, seed, dataset.title)
    train, val = split_at_indices(dataset, held_out)
    val.notes.append("pictures that share a caption were kept in one split")
    return train, val


def _split_by_stem(
    dataset: AnyCaptionSet, groups: Sequence[Sequence[int]], val_fraction: float, seed: int
) -> tuple[AnyCaptionSet, AnyCaptionSet]:
    stems = [PurePosixPath(dataset.names[group[0]]).stem for group in groups]
    if len(set(stems)) < 2:
        raise DataError(f"{dataset.title} has captions of one name, and two are needed to hold one out for validation")
    chosen = held_out_names(stems, val_fraction, seed)
    held_out = sorted(i for group, stem in zip(groups, stems, strict=True) if stem in chosen for i in group)
    train, val = split_at_indices(dataset, held_out)
    val.notes.append(f"{len(chosen)} names were held out, with all pictures and captions of each")
    return train, val


def _layout(source: str | os.PathLike[str]) -> CaptionLayout:
    layout = find_captions(source)
    if layout is None:
        raise no_captions_error(source)
    return layout


def caption_key(text: str) -> str:
    """Equal for captions that a matcher cannot tell apart: in Unicode normal form C, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def caption_groups(captions: Sequence[Sequence[str]]) -> list[list[int]]:
    """Indices of the pictures in groups: two pictures with a caption in common are in the same one, unless more than
    `SHARED` pictures have it. captions: of each picture.

    The groups are in the order of their first picture.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, texts in enumerate(captions):
        for key in {caption_key(text) for text in texts}:
            members[key].append(i)
    parent = list(range(len(captions)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for same in members.values():
        for i in same[1:] if len(same) <= SHARED else ():
            parent[root(i)] = root(same[0])
    groups: dict[int, list[int]] = defaultdict(list)
    for i in range(len(captions)):
        groups[root(i)].append(i)
    return list(groups.values())


def held_out_groups(groups: Sequence[list[int]], fraction: float, seed: int, label: str) -> list[int]:
    """Indices of about `fraction` of the pictures, in whole groups chosen at random but deterministically, sorted. It
    is at least the smallest group, and a group is passed over where it would exceed the fraction.

    Raises DataError for a single group."""
    if len(groups) < 2:
        raise DataError(
            f"all pictures of {label} share captions, so none can be held out for validation; give a validation set"
        )
    count = fraction * sum(map(len, groups))
    chosen: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(groups)):
        if len(chosen) + len(groups[i]) <= max(1, round(count)):
            chosen += groups[i]
    smallest: list[int] = min(groups, key=len)
    return sorted(chosen or smallest)


def prepare_captioned(
    dataset: CaptionSet, preprocess: Preprocess, budget: int = MEMORY_BUDGET
) -> tuple[Arrays | Streamed, list[int]]:
    """The set at the model's input size, not normalized, in memory if that takes at most `budget` bytes, else decoded
    batch by batch; and the indices of its pictures in `dataset`. The target of a picture is its place in the result.

    Unreadable pictures are left out and recorded in `dataset.skipped`, or raise, depending on `dataset.on_error`.

    Raises DataError for an unreadable picture with on_error="fail", and if none can be read.
    """

    def decode(index: int) -> UInt8[np.ndarray, "c y x"]:
        image = preprocess.resize_and_crop(dataset.picture(index).image)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))

    return prepare_readable(dataset, dataset.title, (3, *preprocess.size), decode, budget)
