"""Several masks of one picture: a file for each object, or a file for each class.

- a file an object: a/images/a.png and a/masks/*.png (a folder a picture), images/a.png and masks/a/*.png,
  images/a.png and masks/a_1.png, a_mask.png and a_mask_1.png;
- a file a class: masks/road/a.png and masks/car/a.png, left_masks/a.png and right_masks/a.png, masks/a_road.png.

Each file is black, or 0, where the object is not. For classes of pixels the objects of a picture are united.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from saccade.data.files import escape
from saccade.data.segments.decode_mask import DecodedMask, grey_values, read_mask, read_mask_for_picture
from saccade.data.segments.file_names import Key, NamedFile, mask_stems, picture_stems
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, relative_to
from saccade.errors import DataError, shorten_list

OBJECT = "object"
MARK_WORDS = {"mask", "masks", "obj", "object", "inst", "instance", "label", "seg", "segmentation", "gt", "annotation"}
SUFFIX = re.compile(r"(?P<mark>[-_. ]*\(?)(?P<word>.*?)[-_. ]*\(?(?P<number>\d*)\)?")
FEW = 20  # classes, which half of the masks or more may be the only ones of
ALIKE = 0.8  # of the pixels of two masks, above which they are the same
SHARE = 0.8  # of the masks of a set at least, that belong to a picture in the same way


@dataclass(frozen=True)
class MaskPart:
    """A mask file of a picture that has several. label: index of `ObjectMasks.classes`."""

    file: str
    label: int


@dataclass
class ObjectMasks:
    """parts: picture -> its masks. classes: names of the objects, without background. per_object: whether each file
    holds one object, and not all of a class."""

    parts: dict[str, tuple[MaskPart, ...]]
    classes: list[str]
    per_object: bool


@dataclass(frozen=True)
class MaskMatch:
    """A mask of a picture. label: words in its name beyond that of the picture. way: how it was matched."""

    picture: str
    mask: str
    label: tuple[str, ...]
    way: str


def group_masks(pictures: Sequence[NamedFile], masks: Sequence[NamedFile]) -> ObjectMasks | None:
    """The masks of each picture, if pictures have several; None if each has one, or it is unclear which are whose."""
    index = MaskMatcher(pictures)
    claims = [claim for mask in masks if (claim := index.match_mask(mask)) is not None]
    ways = Counter(claim.way for claim in claims)
    whole = {claim.picture for claim in claims if claim.way == "whole"}
    more = Counter(claim.picture for claim in claims if claim.way != "whole")
    several = any(count > 1 or picture in whole for picture, count in more.items())
    if len(claims) < SHARE * len(masks) or not (several or (ways["near"] > 1 and not whole)):
        return None
    if whole and ways["class"] + ways["near"]:  # copies in further folders, beside a mask of all classes
        return None
    return _grouped(claims)


def _grouped(claims: Sequence[MaskMatch]) -> ObjectMasks | None:
    shared = set.intersection(*(set(claim.label) for claim in claims))
    label_of = {claim.mask: " ".join(word for word in claim.label if word not in shared) for claim in claims}
    named = sorted({label for label in label_of.values() if label}, key=str.lower)
    if len(named) > FEW and 2 * len(named) > len(claims):  # numbers of objects in letters
        label_of, named = dict.fromkeys(label_of, ""), []
    if named and "" in label_of.values():
        return None
    classes = named or [OBJECT]
    parts: dict[str, list[MaskPart]] = {}
    for claim in claims:
        parts.setdefault(claim.picture, []).append(MaskPart(claim.mask, classes.index(label_of[claim.mask] or OBJECT)))
    per_object = not named or max(Counter((c.picture, label_of[c.mask]) for c in claims).values()) > 1
    return ObjectMasks({name: tuple(each) for name, each in parts.items()}, classes, per_object)


class MaskMatcher:
    """Pictures by the keys, stems and folders of their masks."""

    def __init__(self, pictures: Iterable[NamedFile]):
        self.by_key: dict[Key, NamedFile] = {}
        self.by_stem: dict[str, dict[str, NamedFile]] = {}
        self.by_folder: dict[Key, list[NamedFile]] = {}
        self.folded: dict[Key, NamedFile] = {}  # folders are in lower case
        for each in pictures:
            for stem in picture_stems(each):
                self.by_key.setdefault((*each.folder, stem), each)
                self.folded.setdefault((*each.folder, stem.lower()), each)
                self.by_stem.setdefault(stem, {})[each.name] = each
            self.by_folder.setdefault(each.folder, []).append(each)

    def match_mask(self, mask: NamedFile) -> MaskMatch | None:
        """The picture of a mask, by the first rule that finds one."""
        for stem in mask_stems(mask):
            found = self.by_key.get((*mask.folder, stem))
            if found is not None:
                return MaskMatch(found.name, mask.name, (), "whole")
        return self._in_folder(mask) or self._marked(mask) or self._in_class(mask) or self._near(mask)

    def _in_folder(self, mask: NamedFile) -> MaskMatch | None:
        """masks/a/1.png of images/a.png"""
        found = self.folded.get(mask.folder)
        return None if found is None else MaskMatch(found.name, mask.name, (), "folder")

    def _marked(self, mask: NamedFile) -> MaskMatch | None:
        """masks/a_1.png, a_mask_1.png or a_road.png of a.png"""
        for cut in range(len(mask.stem) - 1, 0, -1):
            base = mask.stem[:cut]
            found = self.by_key.get((*mask.folder, base)) or self._only(base)
            suffix = SUFFIX.fullmatch(mask.stem[cut:]) if found is not None else None
            if found is None or suffix is None:
                continue
            if suffix["mark"] or (suffix["number"] and suffix["word"].lower() in MARK_WORDS):
                words = [word for word in re.split(r"[-_. ]+", suffix["word"]) if word.lower() not in MARK_WORDS]
                return MaskMatch(found.name, mask.name, tuple(words), "numbered" if suffix["number"] else "class")
        return None

    def _in_class(self, mask: NamedFile) -> MaskMatch | None:
        """masks/road/a.png of images/a.png, and left_masks/a.png"""
        for stem in mask_stems(mask):
            found = self._only(stem)
            if found is not None:
                label = tuple(each for each in mask.folder if each not in found.folder and split_role(each) is None)
                return MaskMatch(found.name, mask.name, label, "class" if label else "whole")
        return None

    def _near(self, mask: NamedFile) -> MaskMatch | None:
        """a/masks/x.png of a/images/a.png, the only picture of the folder"""
        near = self.by_folder.get(mask.folder, [])
        if len(near) != 1 or not mask.folder or split_role(mask.folder[-1]) is not None:
            return None
        return MaskMatch(near[0].name, mask.name, (), "near")

    def _only(self, stem: str) -> NamedFile | None:
        """The picture of that stem, if there is one only."""
        found = self.by_stem.get(stem, {})
        return next(iter(found.values())) if len(found) == 1 else None


def read_object_mask(
    store: FileStore, file: str, of: tuple[str, tuple[int, int], str] | None = None
) -> Bool[np.ndarray, "y x"]:
    """Where the object of a mask file is. of: name of its picture, (height, width) that are expected, and the folder
    that names in messages are relative to.

    Raises DataError for a file that cannot be read, of another size, and for one of several values or colours."""
    if of is None:
        return object_pixels(read_mask(store.read(file), store.full_name(file), two_levels=True), file)
    picture, size, root = of
    return object_pixels(
        read_mask_for_picture(store, file, picture, size, root, two_levels=True), relative_to(root, file)
    )


def object_pixels(pixels: DecodedMask, file: str) -> Bool[np.ndarray, "y x"]:
    """Where a mask of two values is not 0. Greys between black and white, of smooth or compressed edges, are taken for
    the nearer of the two."""
    codes = pixels.values
    if codes is None:
        assert pixels.colours is not None
        codes = grey_values(pixels.colours)
        codes = pixels.colours if codes is None else codes
    found = np.unique(codes)
    if len(found) <= 2 and (found[0] == 0 or len(found) == 1):
        return codes != 0
    top = 65535 if pixels.is_16_bit and int(found[-1]) > 255 else 255
    if int(found[-1]) > top or not _two_levels(codes, top):
        raise DataError(
            f"{escape(file)} has {len(found)} values ({shorten_list(map(str, found.tolist()))}); a mask of one object "
            "has two, 0 and another"
        )
    return codes > top // 2


def _two_levels(codes: np.ndarray, top: int) -> bool:
    """Whether nearly all values are close to 0 or `top`."""
    middle = (codes > top // 4) & (codes < top - top // 4)
    return int(codes.max()) > top - top // 4 and float(middle.mean()) < 0.1


def merge_masks(masks: Sequence[tuple[int, Bool[np.ndarray, "y x"]]]) -> UInt8[np.ndarray, "y x"]:
    """0 where no mask is, else 1 + its label; smaller masks lie on larger ones. masks: (label, mask).

    Raises DataError for masks of different sizes."""
    if len({mask.shape for _, mask in masks}) > 1:
        raise DataError("masks of one picture have different sizes; the size of the picture expected")
    canvas = np.zeros(masks[0][1].shape, np.uint8)
    for label, mask in sorted(masks, key=lambda each: -int(each[1].sum())):
        canvas[mask] = 1 + label
    return canvas


def check_overlap(store: FileStore, objects: ObjectMasks, label: str) -> None:
    """Raises DataError if the masks of most pictures cover each other: they are inverted, or copies of one another.

    A sample of the pictures is read."""
    several = [each for each in objects.parts.values() if len(each) > 1]
    read = covered = 0
    for each in several[:: max(1, len(several) // 16)]:
        try:
            one, other = (read_object_mask(store, part.file) for part in each[:2])
        except DataError:  # reported when the data set is read
            continue
        if one.shape == other.shape:
            read += 1
            alike = (one & other).sum() > ALIKE * max(one.sum(), other.sum(), 1)
            covered += bool(alike or (objects.per_object and 2 * min(one.sum(), other.sum()) > one.size))
    if 2 * covered > read:
        raise DataError(
            f"{label}: two masks of a picture, such as {escape(several[0][0].file)} and "
            f"{escape(several[0][1].file)}, cover the same pixels; they are inverted, or versions of one mask: keep one"
        )
