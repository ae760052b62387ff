"""The role of a split by its name: training, validation or test."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from saccade.data.files import escape
from saccade.errors import DataError

# Names of each, in order of preference.
SPLIT_NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def split_role(name: str) -> str | None:
    """ "train", "val" or "test" if a file or folder name contains it: `valid`, `instances_train2017.json`."""
    words = PurePosixPath(name.lower()).name
    for mark in "0123456789._-":
        words = words.replace(mark, " ")
    for kind, known in SPLIT_NAMES.items():
        if any(word in known for word in words.split()):
            return kind
    return None


def find_split(splits: Sequence[str], split: str, label: str) -> str:
    """The split named `split`, or the only one of that role ("val" finds `validation`). Raises DataError otherwise."""
    if split in splits:
        return split
    named = [name for name in splits if split_role(name) is not None and split_role(name) == split_role(split)]
    if len(named) == 1:
        return named[0]
    raise DataError(f"{label} has no split '{escape(split)}' (found: {', '.join(map(escape, splits)) or 'none'})")
