"""Open a data set for checking: splits with boxes, with masks, with captions, or with a folder for each class.

A new kind of data gets a function that detects it, and an entry in FINDERS.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from saccade.data import folders
from saccade.data.captions import coco as coco_captions
from saccade.data.captions.annotations import Captions
from saccade.data.captions.layout import CaptionLayout, find_captions, no_captions_error, table_faults
from saccade.data.captions.sets import CaptionSet
from saccade.data.captions.tables import is_for_captions, is_table
from saccade.data.dataset import PictureSet
from saccade.data.doctor.findings import Findings
from saccade.data.files import count_suffixes, is_picture, is_video
from saccade.data.films.sets import FilmSet, find_films
from saccade.data.films.store import FilmStore, holds_films
from saccade.data.objects import coco, voc
from saccade.data.objects.annotations import Annotations
from saccade.data.objects.files import ObjectFiles
from saccade.data.objects.sets import Layout, find_layout, read_annotations
from saccade.data.recognise_formats import describe_formats, describe_missing_suffixes, recognise_formats
from saccade.data.segments import layout as segment_layout
from saccade.data.segments.files import MaskedSet, SegmentFiles
from saccade.data.segments.layout import MaskLayout
from saccade.data.split_names import split_role
from saccade.data.splitting import splits_to_read
from saccade.data.store import FileStore, join_path, open_store, parent_folder, read_bytes, relative_to
from saccade.data.tabular import NOT_THERE
from saccade.errors import DataError


@dataclass
class CheckedSplit:
    """A split; name "" for a set without splits. pictures: files in the store. annotations: of a set with boxes.
    labelled: a set for classification. label_of: its picture -> class. masked, captions: of a set with masks, with
    captions."""

    name: str
    classes: list[str]
    pictures: list[str]
    annotations: Annotations | None = None
    label_of: dict[str, str] = field(default_factory=dict)
    masked: MaskedSet | None = None
    captions: Captions | None = None
    labelled: folders.ImageFolder | None = None

    def open(self) -> PictureSet | folders.ImageFolder:
        """The split as training reads it. Raises DataError where nothing of it can be used."""
        if self.annotations is not None:
            return ObjectFiles(self.annotations)
        if self.masked is not None:
            return SegmentFiles(self.masked)
        if self.captions is not None:
            films = isinstance(self.captions.store, FilmStore)
            return FilmSet(self.captions) if films else CaptionSet(self.captions)
        assert self.labelled is not None
        return self.labelled


@dataclass
class CheckedDataset:
    """kind: "boxes", "masks", "captions", "films" or "classes". layout: of a set with boxes. masks: of a set with
    masks."""

    store: FileStore
    root: str
    kind: str
    format: str
    parts: list[CheckedSplit]
    layout: Layout | None = None
    masks: MaskLayout | None = None

    def display_name(self, name: str) -> str:
        """A file name for findings."""
        return relative_to(self.root, name)


def open_checked(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset:
    """Detect a set and parse its annotations. Problems are added to `findings`.

    Raises DataError for an unknown kind of set, and for a split that does not exist."""
    for find in (_of_a_table,) if is_table(Path(source).name) and Path(source).is_file() else FINDERS:
        subject = find(source, split, findings)
        if subject is not None:
            findings.extend("assumed", subject.store.notes)
            return subject
    store = open_store(source)
    held = "; ".join(filter(None, [describe_formats(recognise_formats(store)), describe_missing_suffixes(store)]))
    if table_faults(store) and not describe_missing_suffixes(store):
        raise no_captions_error(source)
    if held:
        raise DataError(f"{store.title} is not a data set that can be read; it holds {held}")
    raise DataError(
        f"{store.title} is not a data set of a known kind (found: {count_suffixes(store.files)}); one folder a "
        "class, COCO JSON, Pascal VOC, YOLO, pictures beside masks or with captions expected"
    )


def _with_captions(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset | None:
    layout = None if _has_boxes(source) else find_captions(source)
    return None if layout is None else _captioned(layout, "captions", split, findings)


def _with_films(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset | None:
    """Films with captions."""
    layout = _film_layout(source, findings)
    captioned = layout is not None and any(part.pictures for part in layout.parts.values())
    return _captioned(layout, "films", split, findings) if layout is not None and captioned else None


def _films_alone(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset | None:
    """Films without captions; pictures in folders are classes rather than frames."""
    layout = _film_layout(source, findings)
    if layout is None or any("/" in name and is_picture(name) for name in open_store(source).files):
        return None
    return _captioned(layout, "films", split, findings)


def _film_layout(source: str | os.PathLike[str], findings: Findings) -> CaptionLayout | None:
    """The films of a set; None for a set of pictures. A set of both is one of films if its captions are of videos."""
    try:
        return find_films(source) if holds_films(source) else None
    except DataError as error:
        with suppress(DataError):
            layout = find_films(source)
            named = [each.name for part in layout.parts.values() for each in part.pictures]
            if any(map(is_video, named)):
                findings.add("structure", str(error))
                return layout
    return None


def _captioned(layout: CaptionLayout, kind: str, split: str | None, findings: Findings) -> CheckedDataset:
    subject = CheckedDataset(layout.store, layout.root, kind, layout.format, [])
    for name in splits_to_read(layout, split):
        found = layout.read(name)
        pictures = [*(each.name for each in found.pictures), *found.unlabelled]
        subject.parts.append(CheckedSplit(name or "", [], pictures, captions=found))
        findings.extend("assumed", found.notes)
    return subject


def _of_a_table(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset | None:
    """The set of a table that is given by its name: of captions, or of classes."""
    try:
        return _with_captions(source, split, findings)
    except DataError as error:
        try:
            folders.find_classes(source)
        except DataError:
            raise error from None
        return _by_class(source, split, findings)


def _has_boxes(source: str | os.PathLike[str]) -> bool:
    """Whether a set has boxes of VOC or COCO, or is a single file that cannot hold captions."""
    path = Path(source)
    suffix = path.suffix.lower()
    if path.is_file() and (suffix in (".json", ".yaml", ".yml", ".xml") or is_table(path.name)):
        return not is_table(path.name) and (suffix != ".json" or not coco_captions.is_coco_captions(path.read_bytes()))
    store = open_store(source)
    json_files = [name for name in store.files if name.endswith(".json")]
    return voc.find_dataset(store) is not None or any(b'"bbox"' in read_bytes(store, name) for name in json_files)


def _with_boxes(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset | None:
    layout = find_layout(source)
    if layout is None:
        return None
    subject = CheckedDataset(layout.store, layout.root, "boxes", layout.format, [], layout)
    for name in splits_to_read(layout, split):
        try:
            found = read_annotations(layout, name)
        except DataError as error:
            findings.add("structure", str(error))
            continue
        findings.extend("assumed", found.notes)
        pictures = [each.name for each in found.pictures]
        subject.parts.append(CheckedSplit(name or "", found.classes, pictures, found))
    if isinstance(layout, coco.COCO):
        subject.root = _around(layout.root, [*layout.files.values(), *(n for p in subject.parts for n in p.pictures)])
    annotated = [part.annotations for part in subject.parts if part.annotations is not None]
    if annotated and not any(picture.objects for each in annotated for picture in each.pictures):
        findings.add("objects none", layout.store.title)
    if split is None:
        findings.extend("in no split", (subject.display_name(name) for name in layout.orphans()))
    return subject


def _with_masks(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset | None:
    layout = segment_layout.find_mask_layout(open_store(source))
    if layout is None or not segment_layout.plausible(layout):
        return None
    subject = CheckedDataset(layout.store, layout.root, "masks", "masks", [], masks=layout)
    try:
        subject.format = layout.format
        for name in splits_to_read(layout, split):
            found = layout.read(name)
            subject.parts.append(
                CheckedSplit(name or "", found.classes, [each.name for each in found.pictures], masked=found)
            )
    except DataError as error:
        if split is not None:
            raise
        findings.add("structure", str(error))
        return subject
    findings.extend("assumed", (note for part in subject.parts[:1] if part.masked for note in part.masked.notes))
    if split is None:
        findings.extend("in no split", (subject.display_name(name) for name in layout.orphans()))
    return subject


def _around(root: str, files: list[str]) -> str:
    """The folder that contains all files: `root` or one above it. COCO files of one set may be in different folders."""
    while root and not all(name.startswith(f"{root}/") for name in files):
        root = parent_folder(root)
    return root


def _by_class(source: str | os.PathLike[str], split: str | None, findings: Findings) -> CheckedDataset | None:
    store = open_store(Path(source).parent if is_table(Path(source).name) else source)
    if not any(is_picture(name) for name in store.files):
        return None
    try:
        layout = folders.find_classes(source)
    except DataError as error:
        findings.add("structure", str(error))
        return CheckedDataset(store, "", "classes", "class folders", [])
    subject = CheckedDataset(store, layout.root, "classes", layout.format, [])
    read = layout.files if isinstance(layout, folders.ClassTables) else []
    for table, fault in table_faults(store).items():
        if table not in read:
            findings.add("structure" if is_for_captions(store, table) else "assumed", f"not read as captions: {fault}")
    names = sorted(splits_to_read(layout, split), key=lambda name: split_role(name or "") != "train")
    for name in names:  # that for training first: it has the classes
        try:
            dataset = _class_split(layout, name, subject.parts[0].classes if subject.parts else None)
        except DataError as error:
            if split:
                raise
            findings.add("structure", str(error))
            continue
        for note in dataset.notes:
            findings.add("annotations unread" if note.startswith("not read for classes: ") else "assumed", note)
        for text in dataset.skipped.values():
            findings.add("picture missing" if text.endswith(NOT_THERE) else "annotation broken", text)
        files = [join_path(dataset.root, each) for each in dataset.names]
        labels = [dataset.classes[label] for label in dataset.labels.tolist()]
        label_of = dict(zip(files, labels, strict=True))
        subject.parts.append(CheckedSplit(name or "", dataset.classes, files, label_of=label_of, labelled=dataset))
    return subject


def _class_split(layout: folders.ClassLayout, split: str | None, classes: list[str] | None) -> folders.ImageFolder:
    """A split with the classes of the first, or with its own if it has others."""
    try:
        return folders.ImageFolder(layout, classes, "skip", split)
    except DataError:
        return folders.ImageFolder(layout, None, "skip", split)


Finder = Callable[[str | os.PathLike[str], str | None, Findings], CheckedDataset | None]
FINDERS: tuple[Finder, ...] = (_with_films, _with_captions, _with_boxes, _with_masks, _films_alone, _by_class)
