"""Match masks to pictures by common names of folders and files.

The key of a file is its path without words for "picture" or "mask"; a picture and a mask with the same key match:
images/train/a.jpg and masks/train/a.png, train/a.png and trainannot/a.png, leftImg8bit/val/b/c_leftImg8bit.png and
gtFine/val/b/c_gtFine_labelIds.png, JPEGImages/a.jpg and SegmentationClass/a.png.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from saccade.data.files import is_picture, natural_key
from saccade.data.split_names import split_role
from saccade.data.store import Store, parent_folder, relative_to

MASK_FOLDER = re.compile(
    r"(?:(?P<rest>.*?)[-_. ]?)??(?P<word>segmentationclass(?:png|es|aug)?|annotations?|annots?|labels?|masks?|"
    r"segmentations?|segmaps?|segmasks?|ground_?truths?|gtfine|gtcoarse)|(?:(?P<rest2>.*)[-_. ])?(?P<word2>gt|seg|sem"
    r"antic)|(?P<word3>labell?ed\w*|masks?_\w+)",
    re.IGNORECASE,
)
PICTURE_FOLDER = re.compile(
    r"(?:(?P<rest>.*?)[-_. ]?)??(?P<word>jpegimages|images?|imgs?|pictures?|photos?|frames?|leftimg8bit|inputs?|"
    r"stillsraw_full|rgb)",
    re.IGNORECASE,
)
# Folders of neither pictures nor class masks: instances, previews, depth.
OTHER_FOLDER = re.compile(
    r"instances?|segmentationobject.*|.*visuali[sz]ations?|panoptic.*|depths?|previews?|overlays?|masks?_colou?r\w*|"
    r"colou?r_?(masks?|labels?)",
    re.IGNORECASE,
)
# Suffixes of the names of masks and pictures. Of several masks with one key, the first is used.
MASK_MARKS = (
    r"_gtfine_labeltrainids", r"_gtfine_labelids", r"_gtcoarse_labeltrainids", r"_gtcoarse_labelids",
    r"[-_. ](masks?|labels?|labelids|gt|ground_?truth|seg|segmentation|annot|annotation|semantic)", r"_[lp]",
    r"\.(jpe?g|png)",
)  # fmt: skip
OTHER_MARKS = re.compile(r".*(_color|_colou?r_mask|_instanceids|_instancetrainids|_overlay)", re.IGNORECASE)
PICTURE_MARK = re.compile(r"(.+)(_leftimg8bit|[-_](image|img|rgb|sat))", re.IGNORECASE)
_MASK_MARKS = tuple(re.compile(f"(.+){mark}", re.IGNORECASE) for mark in MASK_MARKS)

Key = tuple[str, ...]


@dataclass
class Pairs:
    """mask_of: picture -> mask, in natural order, "" for none. masks: those without a picture. kind: the word in the
    names of mask folders ("masks", "annot"), "" if masks and pictures are in the same folders. certain: whether names
    show unambiguously that these are masks. folders: picture -> words of its path that may name a split."""

    mask_of: dict[str, str]
    masks: list[str]
    kind: str
    certain: bool
    folders: dict[str, Key] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    name: str
    key: Key  # ends with the stem
    kind: str


def pair(store: Store) -> Pairs | None:
    """Match pictures and masks of a store; None if there are no masks."""
    files = [name for name in store.files if is_picture(name)]
    files = [n for n in files if not any(OTHER_FOLDER.fullmatch(part) for part in PurePosixPath(n).parts[:-1])]
    files.sort(key=natural_key)
    pictures, masks, picture_words = list[_File](), list[_File](), set[str]()
    for name in files:
        file, worded = _file(name)
        (masks if file.kind else pictures).append(file)
        if worded:
            picture_words.add(name)
    if not masks:
        pictures, masks = _beside_pictures(pictures)
    masks = [each for each in masks if not OTHER_MARKS.fullmatch(each.key[-1])]
    best: Pairs | None = None
    for kind, _ in Counter(each.kind for each in masks).most_common():
        found = _matched(pictures, [each for each in masks if each.kind == kind], kind)
        if any(found.mask_of.values()) and (best is None or _count(found) > _count(best)):
            best = found
    if best is None:
        return None
    best.certain = best.kind in ("", "annot", "segmentationclass") or any(
        mask and (name in picture_words or _names_split_and_mask(mask)) for name, mask in best.mask_of.items()
    )
    best.folders = {each.name: each.key[:-1] for each in pictures}
    return best


def _count(found: Pairs) -> int:
    return sum(map(bool, found.mask_of.values()))


def _file(name: str) -> tuple[_File, bool]:
    """A file with its key, and whether the name of a folder marks it as a picture."""
    path = PurePosixPath(name)
    key, kind, worded = [], "", False
    for part in path.parts[:-1]:
        turned = re.fullmatch(r"(?P<word>[a-z]+)[-_. ](?P<split>[a-z]+)", part, re.IGNORECASE)
        if turned is not None and split_role(turned["split"]) and not split_role(turned["word"]):  # masks_train
            part = f"{turned['split']}_{turned['word']}"
        mask = MASK_FOLDER.fullmatch(part)
        picture = PICTURE_FOLDER.fullmatch(part)
        if mask is not None and not (picture is not None and split_role(part) is None and not _rest(mask)):
            kind, part = _word(mask), _rest(mask)
            if PICTURE_FOLDER.fullmatch(part):  # image_masks
                part = ""
        elif picture is not None:
            worded, part = True, picture["rest"] or ""
        if part:
            key.append(part)
    return _File(name, (*key, path.stem), kind), worded and not kind


def _names_split_and_mask(mask: str) -> bool:
    """Whether the name of a folder contains both split and mask: train_masks."""
    return any(split_role(part) and MASK_FOLDER.fullmatch(part) for part in PurePosixPath(mask).parts[:-1])


def _rest(match: re.Match) -> str:
    return match["rest"] or match["rest2"] or ""


def _word(match: re.Match) -> str:
    word = (match["word"] or match["word2"] or match["word3"]).lower()
    if word.startswith("segmentationclass"):
        return "segmentationclass"
    return "annot" if word.startswith("annot") and len(word) <= 6 else word.rstrip("s")


def _beside_pictures(pictures: list[_File]) -> tuple[list[_File], list[_File]]:
    """Masks in the folders of their pictures, marked by the end of their names: a.jpg and a_mask.png."""
    there = {each.key for each in pictures}
    masks = [e for e in pictures if any((*e.key[:-1], stem) in there for stem in _stripped(e.key[-1]))]
    taken = {each.name for each in masks}
    return [each for each in pictures if each.name not in taken], masks


def _stripped(stem: str) -> list[str]:
    return [match[1] for form in _MASK_MARKS[:5] if (match := form.fullmatch(stem)) is not None]


def _matched(pictures: list[_File], masks: list[_File], kind: str) -> Pairs:
    by_key, by_stem = _index(masks)
    mask_of: dict[str, str] = {}
    for each in pictures:
        marked = PICTURE_MARK.fullmatch(each.key[-1])
        stems = [each.key[-1], *([marked[1]] if marked else [])]
        found = next((by_key[k] for stem in stems if (k := (*each.key[:-1], stem)) in by_key), None)
        if found is None:  # all masks in one folder, pictures in one for each split
            near = [by_stem[stem] for stem in stems if len(by_stem.get(stem, ())) == 1]
            found = next(iter(near[0])) if near else None
        mask_of[each.name] = found or ""
    used = set(mask_of.values())
    # other masks with a used key are alternatives, such as the trainIds of Cityscapes
    known = {key for key, name in by_key.items() if name in used}
    return Pairs(mask_of, [e.name for e in masks if e.name not in used and not _keys(e) & known], kind, False)


def _keys(each: _File) -> set[Key]:
    stems = [each.key[-1], *(m[1] for form in _MASK_MARKS if (m := form.fullmatch(each.key[-1])) is not None)]
    return {(*each.key[:-1], stem) for stem in stems}


def _index(masks: list[_File]) -> tuple[dict[Key, str], dict[str, set[str]]]:
    """Masks by key and by name only; names without a suffix first."""
    by_key: dict[Key, str] = {each.key: each.name for each in reversed(masks)}
    for form in _MASK_MARKS:
        for each in masks:
            match = form.fullmatch(each.key[-1])
            if match is not None:
                by_key.setdefault((*each.key[:-1], match[1]), each.name)
    by_stem: dict[str, set[str]] = {}
    for key, name in by_key.items():
        by_stem.setdefault(key[-1], set()).add(name)
    return by_key, by_stem


def root_of(paired: Pairs) -> str:
    """The common folder of all pictures and masks, above folders named like a split, pictures or masks."""
    names = [name for name, mask in paired.mask_of.items() if mask] + [mask for mask in paired.mask_of.values() if mask]
    shared: list[str] = list(PurePosixPath(parent_folder(names[0])).parts)
    for name in names[1:]:
        parts = PurePosixPath(parent_folder(name)).parts
        same = next((i for i, (a, b) in enumerate(zip(shared, parts, strict=False)) if a != b), len(parts))
        shared = shared[:same]
    while shared and (
        split_role(shared[-1]) or MASK_FOLDER.fullmatch(shared[-1]) or PICTURE_FOLDER.fullmatch(shared[-1])
    ):
        shared.pop()
    return "/".join(shared)


def split_of(paired: Pairs, root: str, name: str) -> str:
    """The split in the names of a picture's folders below `root`, "" for none."""
    inside = PurePosixPath(relative_to(root, name)).parts[:-1]
    return next(
        (word for word in paired.folders[name] if split_role(word) and any(word in part for part in inside)), ""
    )
