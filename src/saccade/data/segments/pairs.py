"""Match masks to pictures by common names of folders and files; see `file_names.py`."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from saccade.data.files import escape, is_picture, natural_key
from saccade.data.images import read_image
from saccade.data.segments import file_names
from saccade.data.segments.file_names import (
    MARKS,
    Key,
    NamedFile,
    mask_stems,
    parse_file_name,
    picture_stems,
    strip_mask_suffixes,
)
from saccade.data.segments.object_masks import MaskMatcher, ObjectMasks, group_masks
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, parent_folder, relative_to
from saccade.errors import DataError, shorten_list

NUMBERED = re.compile(r"^(.+?)[-_. ]?\(?\d+\)?$")  # a_mask_1

DRAWN_COLOURS = 64


@dataclass
class Pairs:
    """mask_of: picture -> mask, in natural order, "" for none. masks: those without a picture. kind: the word in the
    names of mask folders ("mask", "annot"), "" if masks and pictures are in the same folders. certain: whether names
    show unambiguously that these are masks. objects: of pictures with several masks,
    of which `mask_of` has the first. notes: on folders that were left out. conflict: why pictures and masks cannot be
    told apart, "" for none."""

    mask_of: dict[str, str]
    masks: list[str]
    kind: str
    certain: bool
    objects: ObjectMasks | None = None
    notes: list[str] = field(default_factory=list)
    conflict: str = ""


def pair(store: FileStore) -> Pairs | None:
    """Match pictures and masks of a store; None if there are no masks."""
    found = sorted((name for name in store.files if is_picture(name)), key=natural_key)
    left = [name for name in found if file_names.is_companion(name)]
    pictures, masks = list[NamedFile](), list[NamedFile]()
    for name in found:
        if not file_names.is_companion(name):
            file = parse_file_name(name)
            (masks if file.kind else pictures).append(file)
    if not masks:
        pictures, masks = _beside_pictures(pictures)
    masks = [each for each in masks if not file_names.COMPANION_MARK.fullmatch(each.stem)]
    best = _best(pictures, masks)
    for other in ("colou?r|rgb", "instance") if best is None else ():  # where there are no other masks
        of_kind = [name for name in left if re.search(other, parent_folder(name), re.IGNORECASE)]
        best = _best(pictures, [replace(parse_file_name(name), kind="mask") for name in of_kind])
        if best is not None:
            left = [name for name in left if name not in of_kind]
            break
    if best is None:
        return None
    left += _drop_companions(store, best, pictures)
    if left:
        folders = Counter(parent_folder(name) for name in left)
        some = shorten_list([f"{escape(folder) or 'the folder'} ({n})" for folder, n in folders.items()])
        best.notes.append(f"picture files that belong to other pictures were left out: {some}")
    return best


def _best(pictures: list[NamedFile], masks: list[NamedFile]) -> Pairs | None:
    """The pairs of the mask folders that match most pictures."""
    best: Pairs | None = None
    others: list[str] = []
    for kind, _ in Counter(each.kind for each in masks).most_common():
        of_kind = [each for each in masks if each.kind == kind]
        objects = group_masks(pictures, of_kind)
        found = _matched(pictures, of_kind, kind) if objects is None else _united(pictures, of_kind, kind, objects)
        if any(found.mask_of.values()):
            others += [parent_folder(mask) for mask in found.mask_of.values() if mask]
            best = found if best is None or _count(found) > _count(best) else best
    if best is None:
        return None
    used = {parent_folder(mask) for mask in best.mask_of.values()}
    unused = [escape(folder) for folder in dict.fromkeys(others) if folder not in used]
    if unused:
        best.notes.append(f"other masks of the same pictures were left out: {shorten_list(unused)}")
    worded = {each.name for each in pictures if each.worded}
    best.certain = best.kind in ("", "annot", "segmentationclass") or any(
        mask and (name in worded or file_names.names_split_and_mask(mask)) for name, mask in best.mask_of.items()
    )
    return best


def _count(found: Pairs) -> int:
    return sum(map(bool, found.mask_of.values()))


def _beside_pictures(pictures: list[NamedFile]) -> tuple[list[NamedFile], list[NamedFile]]:
    """Masks in the folders of their pictures, marked by the end of their names: a.jpg and a_mask.png, a_mask_1.png."""
    own = _in_own_folders(pictures)
    if own:
        return [each for each in own if not each.kind], [each for each in own if each.kind]
    there = {(*each.folder, stem) for each in pictures for stem in picture_stems(each)}
    masks = []
    for each in pictures:
        ends = [each.stem, *NUMBERED.findall(each.stem)]
        if any((*each.folder, stem) in there for end in ends for stem in strip_mask_suffixes(end, MARKS[:5])):
            masks.append(each)
    taken = {each.name for each in masks}
    pictures = [each for each in pictures if each.name not in taken]
    drawn = file_names.COMPANION_MARK
    return [e for e in pictures if not ((m := drawn.fullmatch(e.stem)) and (*e.folder, m[1]) in there)], masks


def _in_own_folders(files: list[NamedFile]) -> list[NamedFile]:
    """a/image.png and a/mask.png as files of one key and their roles, where each folder has such a pair."""
    pictures = {each.folder: each for each in files if file_names.is_word(file_names.PICTURE_FOLDER, each.stem)}
    masks = {each.folder: each for each in files if file_names.is_word(file_names.MASK_FOLDER, each.stem)}
    both = [folder for folder in pictures if folder in masks]
    if 2 * len(both) < len({each.folder for each in files}):
        return []
    return [replace(pictures[f], key=(*f, ""), worded=True) for f in both] + [
        replace(masks[f], key=(*f, ""), kind="mask") for f in both
    ]


def _united(pictures: list[NamedFile], masks: list[NamedFile], kind: str, objects: ObjectMasks) -> Pairs:
    """Pairs of pictures with several masks, of which the first stands for all."""
    mask_of = {e.name: objects.parts[e.name][0].file if e.name in objects.parts else "" for e in pictures}
    used = {part.file for parts in objects.parts.values() for part in parts}
    return Pairs(mask_of, [each.name for each in masks if each.name not in used], kind, False, objects=objects)


def _matched(pictures: list[NamedFile], masks: list[NamedFile], kind: str) -> Pairs:
    by_key, by_stem = _index(masks)
    claims: dict[str, list[str]] = {}
    index = MaskMatcher(pictures)
    for mask in masks:
        claim = index.match_mask(mask)
        if claim is not None:
            claims.setdefault(claim.picture, []).append(mask.name)
    mask_of: dict[str, str] = {}
    for each in pictures:
        found = next((by_key[k] for stem in picture_stems(each) if (k := (*each.folder, stem)) in by_key), None)
        if found is None:  # all masks in one folder, pictures in one for each split
            near = [by_stem[stem] for stem in picture_stems(each) if len(by_stem.get(stem, ())) == 1]
            found = next(iter(near[0])) if near else None
        if found is None and len(claims.get(each.name, ())) == 1:  # masks with a suffix of their own
            found = claims[each.name][0]
        mask_of[each.name] = found or ""
    used = set(mask_of.values())
    # other masks with a used key are alternatives, such as the trainIds of Cityscapes
    known = {key for key, name in by_key.items() if name in used}
    return Pairs(mask_of, [e.name for e in masks if e.name not in used and not _keys(e) & known], kind, False)


def _keys(each: NamedFile) -> set[Key]:
    return {(*each.folder, stem) for stem in mask_stems(each)}


def _index(masks: list[NamedFile]) -> tuple[dict[Key, str], dict[str, set[str]]]:
    """Masks by key and by name only; names without a suffix first."""
    by_key: dict[Key, str] = {each.key: each.name for each in reversed(masks)}
    for form in MARKS:
        for each in masks:
            match = form.fullmatch(each.stem)
            if match is not None:
                by_key.setdefault((*each.folder, match[1]), each.name)
    for each in masks:
        by_key.setdefault((*each.folder, each.stem.lower()), each.name)
    by_stem: dict[str, set[str]] = {}
    for key, name in by_key.items():
        by_stem.setdefault(key[-1], set()).add(name)
    return by_key, by_stem


def _drop_companions(store: FileStore, best: Pairs, pictures: list[NamedFile]) -> list[str]:
    """Remove all but one of the pictures that have the same mask, and the folders that they are in.

    Where neither names nor colours say which of them is the picture, that is the conflict of the pairs."""
    of_mask: dict[str, list[NamedFile]] = {}
    for each in pictures:
        if best.mask_of[each.name]:
            of_mask.setdefault(best.mask_of[each.name], []).append(each)
    folders, left = set[str](), list[str]()
    for mask, rivals in of_mask.items():
        key = parse_file_name(mask).folder
        rivals = [each for each in rivals if parent_folder(each.name) not in folders]
        first = min(rivals, key=lambda each: (not each.worded, each.folder != key), default=None)
        if first is None:
            continue
        near = [e for e in rivals if (e.worded, e.folder == key) == (first.worded, first.folder == key)]
        if len({parent_folder(each.name) for each in near}) > 1:
            near = [each for each in near if not few_colours(store, each.name)] or near
            if len({parent_folder(each.name) for each in near}) > 1:
                best.conflict = (
                    f"{escape(near[0].name)} and {escape(near[1].name)} have the same mask, {escape(mask)}; one "
                    "picture a mask expected: keep the folder of the pictures, or name it images"
                )
                return []
        here = parent_folder(near[0].name)
        folders |= {parent_folder(each.name) for each in rivals} - {here}
        left += [each.name for each in near[1:]]  # of one name, with other suffixes
    left += [name for name in best.mask_of if parent_folder(name) in folders]
    for name in left:
        best.mask_of.pop(name, None)
    return left


def describe_unmatched_folders(store: FileStore) -> str:
    """What is found where no picture has a mask, and the names of folders say that there are both; "" elsewhere."""
    files = [parse_file_name(name) for name in sorted(filter(is_picture, store.files), key=natural_key)]
    picture = next((each.name for each in files if each.worded), "")
    mask = next((each.name for each in files if each.kind), "")
    if not picture or not mask:
        return ""
    return (
        f"{store.title} has pictures (such as {escape(picture)}) and masks (such as {escape(mask)}) without common "
        "names; name each mask as its picture"
    )


def few_colours(store: FileStore, name: str) -> bool:
    """Whether a picture file has as few colours as a drawing of a mask."""
    try:
        image = read_image(store.read(name), name=name).image
    except DataError:
        return False
    return image.getcolors(DRAWN_COLOURS) is not None


def root_of(paired: Pairs) -> str:
    """The common folder of all pictures and masks, above folders named like a split, pictures or masks."""
    files = [name for name, mask in paired.mask_of.items() if mask] + [mask for mask in paired.mask_of.values() if mask]
    shared: list[str] = list(PurePosixPath(parent_folder(files[0])).parts)
    for name in files[1:]:
        parts = PurePosixPath(parent_folder(name)).parts
        same = next((i for i, (a, b) in enumerate(zip(shared, parts, strict=False)) if a != b), len(parts))
        shared = shared[:same]
    while shared and file_names.is_role_folder(shared[-1]):
        shared.pop()
    return "/".join(shared)


def split_of(root: str, name: str) -> str:
    """The split in the names of a picture's folders below `root`, "" for none."""
    return next((word for word in parse_file_name(relative_to(root, name)).folder if split_role(word)), "")
