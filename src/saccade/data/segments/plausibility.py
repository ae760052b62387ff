"""What the masks of a whole set say about it: what a model could not learn from it, and what is likely a mistake."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from saccade.data.files import escape
from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.data.segments.class_lists import is_background
from saccade.data.segments.decode_mask import pack_colours
from saccade.errors import DataError, shorten_list

DRAWN_COLOURS = 64  # of a drawing at most
SAMPLED = 8  # pictures compared with their masks
OUTER = 0.8  # of the pixels along the sides, that are background in most sets
ALIKE = 4  # masks at least, that are all the same


class MaskCensus:
    """Counts the pixels of each class in the masks of a set, mask by mask, in any thread."""

    def __init__(self, classes: Sequence[str]):
        self.classes = list(classes)
        self.pixels = np.zeros(256, np.int64)
        self.edges = np.zeros(256, np.int64)  # along the sides of the masks
        self.masks = self.ignored = 0
        self._digests: set[bytes] = set()
        self._lock = threading.Lock()

    def add(self, mask: UInt8[np.ndarray, "y x"]) -> None:
        counts = np.bincount(mask.ravel(), minlength=256)
        sides = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        digest = hashlib.blake2b(mask.tobytes(), digest_size=8).digest()
        with self._lock:
            self.pixels += counts
            self.edges += np.bincount(sides, minlength=256)
            self.masks += 1
            self.ignored += int(counts[IGNORE_INDEX]) == mask.size
            self._digests.add(digest)

    @property
    def present(self) -> list[str]:
        """The classes that have pixels."""
        return [name for i, name in enumerate(self.classes) if self.pixels[i]]

    def nothing_to_learn(self, label: str) -> str:
        """Why nothing can be learnt from the set `label`, "" if something can."""
        if len(self.present) > 1 or not self.masks:
            return ""
        if not self.present:
            return f"every pixel of {label} is ignored; masks of classes expected"
        what = f"'{escape(self.present[0])}'{' or ignored' if self.pixels[IGNORE_INDEX] else ''}"
        return (
            f"every pixel of {label} is {what} ({self.masks} masks): there is nothing to tell apart; check that masks "
            "hold the objects, and which value stands for them"
        )

    @property
    def doubts(self) -> list[str]:
        """What is likely a mistake, one sentence each."""
        found = []
        absent = [escape(name) for name in self.classes if name not in self.present]
        if absent:
            found.append(f"no pixel is of {shorten_list(absent, 9)} ({len(absent)} of {len(self.classes)} classes)")
        if self.ignored:
            found.append(f"{self.ignored} of {self.masks} masks have ignored pixels only")
        share = self.pixels[IGNORE_INDEX] / max(1, self.pixels.sum())
        if share > 0.5 and self.ignored < self.masks:
            found.append(f"{share:.0%} of all pixels are ignored")
        if len(self.classes) == 2 and is_background(self.classes[0]) and self.edges[1] > OUTER * self.edges.sum():
            found.append(f"'{escape(self.classes[1])}' lies along the sides of most pictures: are the masks inverted?")
        if self.alike:
            found.append(f"all {self.masks} masks are the same: they may show the field of view, and not objects")
        return found

    @property
    def alike(self) -> bool:
        """Whether all of several masks are the same."""
        return len(self._digests) == 1 and self.masks >= ALIKE


def is_drawing(picture: Image.Image, mask: UInt8[np.ndarray, "y x"]) -> bool:
    """Whether a picture has one colour for each class of its mask: it shows the mask, and no scene."""
    if picture.size != mask.shape[::-1] or picture.getcolors(DRAWN_COLOURS) is None or len(np.unique(mask)) < 2:
        return False
    colours = pack_colours(np.asarray(picture.convert("RGB"))).ravel()
    both = np.unique(np.stack([colours, mask.ravel().astype(np.int32)]), axis=1)
    return len(both[0]) == len(np.unique(both[0])) == len(np.unique(both[1]))


def find_drawn_pictures(dataset: SegmentSet) -> list[str]:
    """Names of pictures that show their masks, of a sample; empty unless all of the sample do."""
    found = []
    for index in range(0, len(dataset), max(1, -(-len(dataset) // SAMPLED))):
        try:
            picture, mask = dataset.picture(index).image, dataset.mask(index).numpy()
        except DataError:  # reported when the data set is read
            continue
        if not is_drawing(picture, mask):
            return []
        found.append(dataset.names[index])
    return found


def check_census(census: MaskCensus, dataset: SegmentSet) -> None:
    """Add what is doubtful about a set to its notes. Raises DataError if there is nothing to learn from it."""
    problem = census.nothing_to_learn(dataset.title)
    if problem:
        raise DataError(problem)
    dataset.notes += [f"{dataset.title}: {doubt}" for doubt in census.doubts]
    drawn = find_drawn_pictures(dataset)
    if drawn:
        dataset.notes.append(
            f"{dataset.title}: pictures such as {escape(drawn[0])} have one colour for each class: they show masks, "
            "and no scenes"
        )
