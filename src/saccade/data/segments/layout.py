"""A set of picture files and mask files: its pairs, classes, and splits, which folders say or text files that list the
pictures of each: on each line a name, a path, a picture and its mask, or the name of a folder (a video of DAVIS)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from saccade.data.dataset import Problem
from saccade.data.files import escape, is_picture, natural_key
from saccade.data.segments.class_lists import ClassList, find_class_lists
from saccade.data.segments.decode_mask import DecodedMask, read_mask, read_mask_for_picture
from saccade.data.segments.files import Mask, MaskedPicture, MaskedSet
from saccade.data.segments.find_label_map import LabelMapChoice, MaskFiles, find_label_map, object_label_map
from saccade.data.segments.label_map import LabelMap
from saccade.data.segments.object_masks import merge_masks, read_object_mask
from saccade.data.segments.pairs import Pairs, pair, root_of, split_of
from saccade.data.segments.public_class_lists import check_vistas_versions, find_public_class_lists, refuse_full_ade20k
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, parent_folder, read_text, relative_to
from saccade.errors import DataError

VOC_LISTS = "imagesets/segmentation"
TRIED = 50  # lines parsed to detect a list


@dataclass
class MaskLayout:
    """lists: split -> text files that list its pictures. folders: split -> its pictures, by the names of folders."""

    store: FileStore
    root: str
    paired: Pairs
    lists: dict[str, list[str]]
    folders: dict[str, list[str]]
    _listed: dict[str, tuple[list[MaskedPicture], list[Problem]]] = field(default_factory=dict)

    @property
    def voc(self) -> bool:
        return self.paired.kind == "segmentationclass"

    @property
    def format(self) -> str:
        if self.paired.objects is not None:
            return "masks of objects" if self.paired.objects.per_object else "masks of classes"
        kind = "coloured masks" if self.decision.coloured else "index masks"
        return f"VOC's {kind}" if self.voc else kind

    @property
    def splits(self) -> list[str]:
        """Splits with at least one mask."""
        names = sorted(self.lists, key=_order) or [name for name in self.folders if name]
        return [name for name in names if any(each.mask for each in self.members(name)[0])]

    @cached_property
    def class_lists(self) -> list[ClassList]:
        """The files that list its classes, best match first."""
        masks = [mask for mask in self.paired.mask_of.values() if mask]
        folders = {above for mask in masks for above in _above(mask, self.root)}
        return find_class_lists(self.store, self.root, folders) or find_public_class_lists(
            self.store, self.root, folders
        )

    @cached_property
    def decision(self) -> LabelMapChoice:
        """How masks are read, the same for all splits. Raises DataError where that is not certain."""
        refuse_full_ade20k(self.store)
        if self.paired.conflict:
            raise DataError(f"{self.store.title}: {self.paired.conflict}")
        if self.paired.objects is not None:
            return object_label_map(self.store, self.paired.objects, self.class_lists)
        pairs = [(name, mask) for name, mask in self.paired.mask_of.items() if mask]
        return find_label_map(self.store, MaskFiles(pairs, self.paired.kind), self.class_lists)

    def read(
        self, split: str | None = None, classes: list[str] | None = None, label_map: LabelMap | None = None
    ) -> MaskedSet:
        """Parse a split, or the only one. label_map: of another set, for a set that lists no classes."""
        label = self.store.title + (f", {split}" if split else "")
        decision = self.decision.for_classes(classes, label_map, label)
        label_map = decision.label_map
        read = partial(self._read, label_map=label_map)
        result = MaskedSet(label, self.format, self.store, self.root, label_map.classes, read=read)
        result.label_map, result.listed = label_map, decision.where
        result.notes += [*decision.notes, *self.paired.notes]
        members, problems = self.members(split)
        result.problems += problems
        if decision.doubt:
            result.problems.append(Problem("mask of objects", label, f"{label}: {decision.doubt}", lost=False))

        def problem(kind: str, name: str, text: str) -> None:
            display = escape(relative_to(self.root, name))
            result.problems.append(Problem(kind, display, f"{display} {text}"))

        for each in members:
            if each.mask:
                result.pictures.append(each)
            elif each.line:
                problem("mask missing", each.name, "is listed and has no mask; add one or take it off the list")
            else:
                result.unlabelled.append(each.name)
                problem("picture unlabelled", each.name, "has no mask; add one or remove it")
        for name in self.paired.masks if split is None or not self.lists else ():
            if split is None or any(_of_split(part, split) for part in PurePosixPath(name).parts):
                problem("mask without picture", name, "is a mask without a picture; add the picture or remove it")
        return result

    def orphans(self) -> list[str]:
        """Pictures and masks that belong to no split."""
        if not self.splits:
            return []
        taken = {each.name for name in self.splits for each in self.members(name)[0]}
        free = [name for name, mask in self.paired.mask_of.items() if name not in taken and (mask or not self.voc)]
        return free + (self.paired.masks if self.lists else [])

    def members(self, split: str | None) -> tuple[list[MaskedPicture], list[Problem]]:
        """The pictures of a split, or all, and problems in its lists."""
        pictures, problems = self._members(split)
        objects = self.paired.objects
        if objects is not None:
            pictures = [replace(each, parts=objects.parts.get(each.name, ())) for each in pictures]
        return pictures, problems

    def _members(self, split: str | None) -> tuple[list[MaskedPicture], list[Problem]]:
        if split not in self.lists:
            names = list(self.paired.mask_of) if split is None else self.folders[split]
            if self.voc:  # most pictures of VOC have no mask
                names = [name for name in names if self.paired.mask_of[name]]
            return [MaskedPicture(name, self.paired.mask_of[name]) for name in names], []
        if split not in self._listed:
            masks = FileFinder(mask for mask in [*self.paired.mask_of.values(), *self.paired.masks] if mask)
            pictures = FileFinder(self.paired.mask_of)
            found, problems = read_split_lists(self.store, self.root, split, self.lists[split], pictures, masks)
            found = [replace(each, mask=each.mask or self.paired.mask_of[each.name]) for each in found]
            self._listed[split] = found, problems
        return self._listed[split]

    def _read(self, picture: MaskedPicture, size: tuple[int, int], label_map: LabelMap) -> Mask:
        display = escape(relative_to(self.root, picture.mask))
        if picture.parts:
            masks = [
                (p.label, read_object_mask(self.store, p.file, (picture.name, size, self.root))) for p in picture.parts
            ]
            return Mask(label_map.indices(DecodedMask(merge_masks(masks)), display)[0])
        pixels = read_mask_for_picture(
            self.store, picture.mask, picture.name, size, self.root, two_levels=label_map.lossy
        )
        indices, note = label_map.indices(pixels, display)
        return Mask(indices, pixels.orientation, note)


def find_mask_layout(store: FileStore) -> MaskLayout | None:
    """Detect the set in a store; None if no picture has a mask. Raises DataError for masks of several versions."""
    check_vistas_versions(store)
    paired = pair(store)
    if paired is None:
        return None
    root = root_of(paired)
    lists = find_split_lists(store, root, FileFinder(paired.mask_of))
    folders: dict[str, list[str]] = {}
    for name in paired.mask_of:
        folders.setdefault(split_of(root, name), []).append(name)
    return MaskLayout(store, root, paired, lists, {name: folders[name] for name in sorted(folders, key=_order)})


def plausible(layout: MaskLayout) -> bool:
    """Whether it is a set of masks, and not one for classification with a class named "mask"."""
    if layout.paired.certain:
        return True
    if layout.paired.conflict:
        return False
    for mask in [mask for mask in layout.paired.mask_of.values() if mask][:3]:
        source = layout.store.read(mask)
        if Path(mask).suffix.lower() not in (".png", ".gif", ".bmp", ".tif", ".tiff"):
            return False
        try:
            pixels = read_mask(source, mask)
        except DataError:  # reported by the reader of either kind
            continue
        if pixels.colours is not None and len(set(pixels.colours.ravel().tolist())) > 256:
            return False
    return True


def _of_split(folder: str, split: str) -> bool:
    return folder == split or (split_role(folder) is not None and split_role(folder) == split_role(split))


def _order(split: str) -> int:
    return ("train", "val", "test", None).index(split_role(split))


def _above(name: str, root: str) -> list[str]:
    """The folders between `root` and a file."""
    folder = parent_folder(name)
    found = []
    while folder != root and folder:
        found.append(folder)
        folder = parent_folder(folder)
    return found


class FileFinder:
    """Look up files by names in a list: with or without folders and suffix, or by paths on another machine."""

    def __init__(self, files: Iterable[str]):
        self._by_tail: dict[str, list[str]] = {}
        self._by_folder: dict[str, list[str]] = {}
        for name in files:
            parts = PurePosixPath(name).with_suffix("").parts
            self._by_folder.setdefault("".join(parts[-2:-1]), []).append(name)
            for i in range(len(parts)):
                self._by_tail.setdefault("/".join(parts[i:]), []).append(name)

    def __call__(self, display: str, near: str = "") -> str | None:
        """The file with the longest common path suffix; of several, one with a folder named `near`."""
        path = PurePosixPath(display.replace("\\", "/"))
        parts = [part for part in path.parts if part not in ("/", ".", "..")]
        for stem in (str(path.with_suffix("").name), path.name) if is_picture(path.name) else (path.name,):
            for i in range(len(parts)):
                found = self._by_tail.get("/".join([*parts[i:-1], stem]), [])
                named = [name for name in found if PurePosixPath(name).name == path.name] or found
                close = [name for name in named if near and near in PurePosixPath(name).parts] or named
                if len(close) == 1:
                    return close[0]
        return None

    def inside(self, folder: str) -> list[str]:
        """The files in the folders of that name."""
        return self._by_folder.get(folder, [])


def find_split_lists(store: FileStore, root: str, find: FileFinder) -> dict[str, list[str]]:
    """Split -> the files that list it: those in VOC's ImageSets/Segmentation, else those named like a split that list
    pictures."""
    inside = [n for n in store.files if not root or n.startswith(f"{root}/")]
    texts = sorted((n for n in inside if n.endswith(".txt")), key=natural_key)
    voc = [n for n in texts if parent_folder(n).lower().endswith(VOC_LISTS)]
    found: dict[str, list[str]] = {}
    for name in voc or [n for n in texts if split_role(n)]:
        lines = [each for each in lines_of(store, name)[:TRIED] if each]
        if any(resolve_line(line, find, find, "") for line in lines) or (voc and not lines):
            found.setdefault(PurePosixPath(name).stem, []).append(name)
    return {split: _without_parts(store, names, find) for split, names in found.items()}


def _without_parts(store: FileStore, names: list[str], find: FileFinder) -> list[str]:
    """Lists of one split without those whose pictures are all in another: ImageSets/2016 beside 2017."""
    if len(names) < 2:
        return names
    listed = {
        n: {both for line in lines_of(store, n) if line for both in resolve_line(line, find, find, "")} for n in names
    }
    kept = sorted(names, key=lambda name: -len(listed[name]))
    kept = [name for i, name in enumerate(kept) if not any(listed[name] <= listed[other] for other in kept[:i])]
    return [name for name in names if name in kept]


def lines_of(store: FileStore, name: str) -> list[str]:
    return [line.strip() for line in read_text(store, name).splitlines()]


def resolve_line(line: str, pictures: FileFinder, masks: FileFinder, near: str) -> list[tuple[str, str]]:
    """The picture of a line and its mask, "" if not given, or those in the folder of its name; empty if there are none.

    near: the split."""
    whole = pictures(line, near)
    if whole is not None:
        return [(whole, "")]
    parts = [part for part in re.split(r"[\t,; ]+", line) if part]
    for i in range(1, len(parts)):  # names may contain spaces
        first = pictures(" ".join(parts[:i]), near)
        if first is not None:
            return [(first, masks(" ".join(parts[i:]), near) or "")]
    return [(name, "") for name in pictures.inside(line)]


def read_split_lists(
    store: FileStore, root: str, split: str, files: list[str], pictures: FileFinder, masks: FileFinder
) -> tuple[list[MaskedPicture], list[Problem]]:
    """The pictures in the lists of a split, without repeats, and problems in the lists."""
    found: dict[str, MaskedPicture] = {}
    problems = []
    for name in files:
        display = escape(relative_to(root, name))
        for i, line in enumerate(lines_of(store, name), start=1):
            if not line:
                continue
            where = f"{display}, line {i}"
            pairs = resolve_line(line, pictures, masks, split)
            if not pairs:
                text = f"{where} names {escape(line)}, which is not a picture of the set; add or remove it"
                problems.append(Problem("picture missing", where, text))
            elif pairs[0][0] in found:
                text = f"{where}: {escape(line)} is listed again"
                problems.append(Problem("picture listed twice", where, text))
            else:
                found |= {picture: MaskedPicture(picture, mask, line=line) for picture, mask in pairs}
    return list(found.values()), problems
