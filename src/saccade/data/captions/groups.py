"""Validation pictures with captions that no training picture has."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from saccade.errors import DataError

SHARED = 20  # pictures from which on a caption names a class, and its pictures are held out one by one


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
