"""Some of the classes of a data set, as a data set: `--classes`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.dataset import DerivedSet
from saccade.data.files import escape
from saccade.data.folders import ImageFolder
from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.transforms import select
from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError, shorten_list

BACKGROUND = "background"
NOTHING = (BACKGROUND, "void", "null", "unlabeled", "unlabelled")  # names of "no class", for class 0 only


def keep_classes(data: ImageFolder, kept: Sequence[str], labels: Sequence[str] | None = None) -> ImageFolder:
    """The pictures of the classes `kept`.

    labels: names in label order; default: `kept`. Raises DataError for a class that the set does not have, and for
    fewer than two."""
    names = _checked(data, kept, labels)
    index = torch.tensor([names.index(name) if name in kept else -1 for name in data.classes])
    labels_now = index[data.labels]
    part = data.subset((labels_now >= 0).nonzero().flatten().tolist())
    part.labels, part.classes = labels_now[labels_now >= 0], names
    if labels is None and len(names) < 2:
        raise DataError(f"{data.title}: one class alone cannot be told from others; name two or more")
    return part


class _Subset(DerivedSet):
    def __init__(self, whole: Any, kept: Sequence[str], labels: Sequence[str] | None):
        self._whole, self.classes = whole, _checked(whole, kept, labels)
        index = {name: i for i, name in enumerate(self.classes)}
        self._index = [index[name] if name in kept else None for name in whole.classes]


class ObjectClassSubset(_Subset):
    """An `ObjectSet` with the objects of the classes `kept`; pictures without one stay, as background.

    labels: as in `keep_classes`."""

    def __init__(self, whole: Any, kept: Sequence[str], labels: Sequence[str] | None = None):
        super().__init__(whole, kept, labels)
        self._labels = torch.tensor([-1 if i is None else i for i in self._index], dtype=torch.int64)

    def objects(self, index: int, *args: Any, **options: Any) -> ObjectAnnotations:
        """As of the whole set."""
        found = self._whole.objects(index, *args, **options)
        labels = self._labels[found.labels]
        rest = select(found, labels >= 0)
        return replace(rest, labels=labels[labels >= 0])


class SegmentClassSubset(_Subset):
    """A `SegmentSet` with the classes `kept`. To train on, all others are the background: the set's own first class, or
    a new one.

    labels: names in label order, to score a model of these: without the background, others are ignored."""

    def __init__(self, whole: Any, kept: Sequence[str], labels: Sequence[str] | None = None):
        first = whole.classes[0]
        background = first if first.casefold() in NOTHING else BACKGROUND
        names = [*([] if background in kept else [background]), *kept] if labels is None else list(labels)
        super().__init__(whole, kept, names)
        rest = names.index(background) if background in names else IGNORE_INDEX
        self._table = torch.full((256,), IGNORE_INDEX, dtype=torch.uint8)
        self._table[: len(self._index)] = torch.tensor([rest if i is None else i for i in self._index]).byte()

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """As of the whole set."""
        return self._table[self._whole.mask(index).int()]


def _checked(data: Any, kept: Sequence[str], labels: Sequence[str] | None) -> list[str]:
    """Names in label order."""
    for name in kept:
        if name not in data.classes:
            raise DataError(
                f"{data.title} has no class '{escape(name)}'; it has {shorten_list(map(escape, data.classes), 20)}"
            )
    return list(dict.fromkeys(kept) if labels is None else labels)
