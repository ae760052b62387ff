"""Find the label map of a set: from a list of its classes, from well-known sets, or from the values in its masks."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from saccade.data.files import escape
from saccade.data.formats import OBJECT_NUMBERS
from saccade.data.images import read_size
from saccade.data.objects.annotations import resolve_classes
from saccade.data.recognise_formats import recognise_formats
from saccade.data.segments import IGNORE_INDEX, MAX_CLASSES
from saccade.data.segments.class_lists import ClassEntry, ClassList, is_void, voc_palette
from saccade.data.segments.decode_mask import DecodedMask, grey_values, pack_colours, read_mask_for_picture
from saccade.data.segments.known_sets import (
    CAMVID,
    CAMVID_NAME,
    CAMVID_SIZE,
    CITYSCAPES,
    CITYSCAPES_NUMBERS,
    VOC,
    VOC_BORDER,
    Colour,
)  # fmt: skip
from saccade.data.segments.label_map import BACKGROUND, IGNORE_16_BIT, LabelMap
from saccade.data.segments.mask_statistics import count_mask_values
from saccade.data.segments.object_masks import OBJECT, ObjectMasks, check_overlap
from saccade.data.segments.values import fit_class_list, interpret_values
from saccade.data.store import FileStore
from saccade.errors import DataError, shorten_list

PEEKED = 5  # masks decoded to detect their type
PHOTO = 1024  # colours of a mask at most
SCANNED = 64  # masks decoded to detect two classes with the values 0 and 255


@dataclass(frozen=True)
class MaskFiles:
    """File names of a set. pairs: (picture, mask). kind: the word in the names of the mask folders, as in `Pairs`."""

    pairs: list[tuple[str, str]]
    kind: str

    @property
    def pictures(self) -> list[str]:
        return [picture for picture, _ in self.pairs]

    @property
    def masks(self) -> list[str]:
        return [mask for _, mask in self.pairs]


@dataclass(frozen=True)
class LabelMapChoice:
    """label_map: of all masks. coloured: whether masks are coloured. listed: whether a file of the set lists its
    classes. void: entries of the list that are not a class. where: the list. objects: whether values number objects.
    doubt: why the values are likely no classes, "" for no reason."""

    label_map: LabelMap
    notes: tuple[str, ...] = ()
    coloured: bool = False
    listed: bool = True
    void: tuple[ClassEntry, ...] = ()
    where: str = ""
    objects: bool = False
    doubt: str = ""

    @property
    def top_is_class(self) -> bool:
        """Whether the highest value that masks can have, 255 or 65535, is a class."""
        return any(self.label_map.values.get(top, IGNORE_INDEX) != IGNORE_INDEX for top in (255, IGNORE_16_BIT))

    def for_classes(self, expected: Sequence[str] | None, other: LabelMap | None, label: str) -> "LabelMapChoice":
        """The same with the class indices of `expected`, of which the set may use a subset. other: the label map of the
        set that defines them, used for a set that lists no classes.

        Raises DataError for classes that are not expected."""
        if expected is None:
            return self
        kept = [each for each in self.void if each.name in expected]
        if kept:  # a model may have been trained with "void" as a class
            return replace(self, label_map=_coded(kept, self.label_map), void=()).for_classes(expected, other, label)
        if self.listed or set(self.label_map.classes) <= set(expected):
            names = resolve_classes(self.label_map.classes, expected, label)
            return replace(self, label_map=self.label_map.reorder_classes(names))
        if len(self.label_map.classes) == len(expected) and (
            set(self.label_map.values) - set(range(len(expected))) - {IGNORE_INDEX, IGNORE_16_BIT} or self.top_is_class
        ):
            note = f"{label} names no classes: its {len(expected)} were taken in the order of their values"
            return replace(self, label_map=replace(self.label_map, classes=list(expected)), notes=(*self.notes, note))
        if self.top_is_class and other is None:
            raise DataError(
                f"{label} names no classes, and its masks hold {len(self.label_map.classes)} values up to the highest "
                f"possible one; {len(expected)} classes expected: list them in a classes.txt"
            )
        past = {v: i for v, i in self.label_map.values.items() if i == IGNORE_INDEX and v >= len(expected)}
        label_map = other or LabelMap(list(expected), {i: i for i in range(len(expected))} | past)
        note = f"{label} names no classes: its values were taken for the numbers of the {len(expected)} expected ones"
        return replace(self, label_map=label_map, notes=(note,))


@dataclass
class _Peek:
    """A sample of masks. coloured: in RGB, and not greyscale. voc_palette: all palettes are VOC's."""

    some: list[DecodedMask] = field(default_factory=list)

    @property
    def coloured(self) -> bool:
        return any(each.colours is not None and grey_values(each.colours) is None for each in self.some)

    @property
    def values(self) -> set[int]:
        """The values of masks of numbers or greys."""
        greys = [each.values if each.colours is None else grey_values(each.colours) for each in self.some]
        return {int(value) for each in greys if each is not None for value in np.unique(each)}

    @property
    def voc_palette(self) -> bool:
        known = pack_colours(np.array(voc_palette(), np.uint8))
        palettes = [each.palette for each in self.some if each.palette is not None]
        return bool(palettes) and all((p[:21] == known[: len(p[:21])]).all() for p in palettes)


def find_label_map(store: FileStore, known: MaskFiles, lists: list[ClassList]) -> LabelMapChoice:
    """Find the label map of a set. lists: of its classes, best match first; a list takes precedence over other
    evidence.

    Raises DataError for coloured masks without a list of classes, and if no mask can be read."""
    peek = _Peek()
    for pair in known.pairs[:: max(1, len(known.pairs) // PEEKED)]:
        with suppress(DataError):  # reported when the data set is read
            peek.some.append(_read(store, *pair))
    if not lists:
        return _without_list(store, known, peek)
    chosen = next((each for each in lists if each.coloured), lists[0]) if peek.coloured else lists[0]
    return _by_list(store, known, peek, chosen)


def object_label_map(store: FileStore, objects: ObjectMasks, lists: list[ClassList]) -> LabelMapChoice:
    """The label map of pictures with several masks: background, then the classes of the objects.

    Raises DataError if masks of a picture cover each other."""
    check_overlap(store, objects, store.title)
    names = [BACKGROUND, *objects.classes]
    what = "an object" if objects.per_object else "a class"
    of = "" if objects.classes == [OBJECT] else f" ({shorten_list(map(escape, objects.classes))})"
    notes = [f"each mask file is of {what}{of}; what none covers is background"]
    if len(names) > 2:
        notes.append("where masks of a picture overlap, the smaller one is on top")
    listed = next((each for each in lists if len(each.entries) == 2 == len(names)), None)
    if listed is not None and objects.classes == [OBJECT]:
        names = [each.name for each in listed.entries]
    if len(names) > MAX_CLASSES:
        raise DataError(f"{store.title} has masks of {len(names) - 1} classes; {MAX_CLASSES - 1} at most expected")
    label_map = LabelMap(names, {i: i for i in range(len(names))})
    return LabelMapChoice(label_map, tuple(notes), where=listed.where if listed else "")


def _by_list(store: FileStore, known: MaskFiles, peek: _Peek, chosen: ClassList) -> LabelMapChoice:
    entries, notes = list(chosen.entries), []
    if peek.coloured and not chosen.coloured:
        if known.kind != "segmentationclass" or max(each.value for each in entries) > 255:
            raise DataError(
                f"{store.title} has coloured masks and {chosen.where} lists no colours; a line name,r,g,b for each "
                "class expected"
            )
        entries = [ClassEntry(each.name, each.value, voc_palette()[each.value]) for each in entries]
        notes.append("the colours of the masks were taken to be those of VOC's palette")
    elif chosen.coloured and not peek.coloured and _only_grey(peek, entries):
        entries = [ClassEntry(each.name, each.value) for each in entries]
    void = [each for each in entries if is_void(each.name)]
    if len({each.name for each in entries}) - len({each.name for each in void}) < 2:
        void = []
    label_map = _coded(entries, LabelMap([], {}), void)
    if void:
        display = ", ".join(escape(name) for name in dict.fromkeys(each.name for each in void))
        notes.append(f"{chosen.where}: {display} is taken for no class; its pixels are ignored")
    last = max(label_map.values)
    plain = not label_map.colours and not void and last + 1 == len(label_map.classes)
    if plain and (known.kind == "annot" or (last + 1 == len(CAMVID) and _is_camvid(store, known))):
        label_map = replace(label_map, values={**label_map.values, last + 1: IGNORE_INDEX})
        notes.append(f"{last + 1}, one past the listed classes, is ignored, as in SegNet's copies of sets")
    if known.kind == "segmentationclass" and label_map.colours and VOC_BORDER not in label_map.colours:
        label_map = replace(label_map, colours={**label_map.colours, VOC_BORDER: IGNORE_INDEX})
    names, objects = label_map.classes, False
    if not void and not peek.coloured and (len(label_map.classes) < 3 or peek.values - set(label_map.values)):
        greys = {c[0]: names.index(e.name) for e in chosen.entries if (c := e.colour) and c[0] == c[1] == c[2]}
        found = count_mask_values(store, known.pairs[:: max(1, len(known.pairs) // SCANNED)])
        fitted = fit_class_list(found, label_map, greys if len(greys) == len(chosen.entries) else {})
        label_map, objects = fitted.label_map, fitted.objects
        notes += [fitted.note] * bool(fitted.note)
    return LabelMapChoice(label_map, tuple(notes), peek.coloured, True, tuple(void), chosen.where, objects)


def _only_grey(peek: _Peek, entries: list[ClassEntry]) -> bool:
    """Whether RGB masks are greyscale with class indices, instead of colours of the list."""
    listed = pack_colours(np.array([each.colour for each in entries], np.uint8))
    rgb = [each.colours for each in peek.some if each.colours is not None]
    return bool(rgb) and not all(np.isin(each, listed).all() for each in rgb)


def _coded(entries: Iterable[ClassEntry], before: LabelMap, void: Sequence[ClassEntry] = ()) -> LabelMap:
    """`before` with more classes, numbered in order, without void ones."""
    names = list(before.classes)
    values, colours = dict(before.values), dict[Colour, int](before.colours)
    none = {each.name for each in void}
    for each in entries:
        if each.name not in none and each.name not in names:
            names.append(each.name)
        index = IGNORE_INDEX if each.name in none else names.index(each.name)
        values[each.value] = index
        if each.colour is not None:
            colours[each.colour] = index
    return LabelMap(names, values, colours)


def _without_list(store: FileStore, known: MaskFiles, peek: _Peek) -> LabelMapChoice:
    if known.kind == "gtfine":
        return _cityscapes(known)
    if known.kind == "segmentationclass" and (peek.coloured or peek.voc_palette):
        entries = [ClassEntry(name, i, voc_palette()[i]) for i, name in enumerate(VOC)]
        label_map = _coded(entries, LabelMap([], {}, {VOC_BORDER: IGNORE_INDEX}))
        if not peek.coloured:
            label_map = LabelMap(label_map.classes, label_map.values)
        return _unlisted(label_map, "VOC's 21 were taken", peek.coloured)
    if peek.coloured:
        name = next(n for n in known.masks if PurePosixPath(n).suffix)
        most = max(len(np.unique(each.colours)) for each in peek.some if each.colours is not None)
        if most > PHOTO:
            raise DataError(
                f"{store.title} has masks of up to {most} colours (such as {escape(name)}): these are pictures, "
                "and not masks of classes"
            )
        raise DataError(
            f"{store.title} has coloured masks (such as {escape(name)}) and no file that says which colour is which "
            "class; a class_dict.csv with a line name,r,g,b for each class expected"
        )
    found = count_mask_values(store, known.pairs)
    if not found.files:
        raise DataError(f"no mask of {store.title} can be read: {_why(store, known.pairs)}")
    numbers = sorted(set(found.values) - {255, IGNORE_16_BIT})
    if numbers and numbers[-1] <= len(CAMVID) and _is_camvid(store, known):
        return _camvid(CAMVID)
    if known.kind == "annot" and numbers and numbers[-1] == len(CAMVID):
        return _camvid([f"class {i}" for i in range(len(CAMVID))])
    reading = interpret_values(
        found, store.title, any(each.format in OBJECT_NUMBERS for each in recognise_formats(store))
    )
    return LabelMapChoice(
        reading.label_map, (reading.note,), listed=False, objects=reading.objects, doubt=reading.doubt
    )


def _cityscapes(known: MaskFiles) -> LabelMapChoice:
    names = list(CITYSCAPES.values())
    if "trainids" in known.masks[0].lower():
        values = {i: i for i in range(len(names))}
    else:
        values = dict.fromkeys(range(CITYSCAPES_NUMBERS), IGNORE_INDEX) | {v: i for i, v in enumerate(CITYSCAPES)}
    return _unlisted(LabelMap(names, values), "Cityscapes' 19 were taken, its other numbers are ignored")


def _is_camvid(store: FileStore, known: MaskFiles) -> bool:
    """By CamVid's names of frames, or SegNet's folders and size."""
    named = sum(CAMVID_NAME.match(PurePosixPath(name).stem) is not None for name in known.pictures)
    if 2 * named >= len(known.pictures):
        return True
    try:
        size, _ = read_size(store.read(known.pictures[0]), known.pictures[0])
    except DataError:
        return False
    return known.kind == "annot" and size == CAMVID_SIZE


def _camvid(names: Sequence[str]) -> LabelMapChoice:
    count = len(names)
    label_map = LabelMap(list(names), {i: i for i in range(count)} | {count: IGNORE_INDEX})
    display = "CamVid's 11 classes in SegNet's order were taken" if names is CAMVID else f"0 to {count - 1} are classes"
    return _unlisted(label_map, f"{display}, and {count} as unlabelled, which is ignored (a classes.txt would win)")


def _unlisted(label_map: LabelMap, how: str, coloured: bool = False) -> LabelMapChoice:
    """Of a well-known set."""
    return LabelMapChoice(label_map, (f"no file names the classes; {how}",), coloured, listed=False)


def _read(store: FileStore, picture: str, mask: str) -> DecodedMask:
    size, _ = read_size(store.read(picture), picture)
    return read_mask_for_picture(store, mask, picture, size, two_levels=True)


def _why(store: FileStore, pairs: Sequence[tuple[str, str]]) -> str:
    for pair in pairs:
        try:
            _read(store, *pair)
        except DataError as error:
            return str(error)
    return "there is none"
