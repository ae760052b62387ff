"""Which files of a folder or tar hold captions, and in which format."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from saccade.data.captions import coco, sidecar_files, tables
from saccade.data.captions.annotations import Captions, Document, collect, split_rows, uncaptioned_files
from saccade.data.files import count_suffixes, escape, natural_key
from saccade.data.recognise_formats import describe_formats, recognise_formats
from saccade.data.split_names import split_role
from saccade.data.store import FileStore, open_store, parent_folder, read_bytes
from saccade.errors import DataError

EXPECTED = (
    "a table with a header (metadata.csv, .tsv, metadata.jsonl), COCO captions JSON, or a .txt with words beside each "
    "picture expected"
)


@dataclass
class CaptionLayout:
    """A set with captions. parts: split -> its pictures; "" for a set without splits."""

    store: FileStore
    root: str
    format: str
    parts: dict[str, Captions]

    @property
    def splits(self) -> list[str]:
        return [name for name in self.parts if name]

    def read(self, split: str | None = None) -> Captions:
        """A split, or the only one."""
        return self.parts[split or next(iter(self.parts))]


def find_captions(
    source: str | os.PathLike[str], open_files: Callable[[str | os.PathLike[str]], FileStore] = open_store
) -> CaptionLayout | None:
    """Detect and parse the captions in a folder or tar, or of one .csv, .tsv, .jsonl or .json; None if there are none.
    open_files: opens the files, which need not be pictures.

    Raises DataError for files that cannot be opened or parsed, and for several tables that are not splits."""
    path = Path(source)
    if path.is_file() and (tables.is_table(path.name) or path.suffix.lower() == ".json"):
        folder = path.parent.parent if path.parent.name == "annotations" else path.parent
        name = path.relative_to(folder).as_posix()
        store = open_files(folder)
        return _from_documents(store, [name], []) if tables.is_table(name) else _from_coco(store, [name])
    store = open_files(source)
    found, notes = tables.choose_tables(store, sorted(filter(tables.is_table, store.files), key=natural_key))
    if found:
        return _from_documents(store, found, notes)
    json_files = [name for name in store.files if name.endswith(".json")]
    captions = [name for name in sorted(json_files, key=natural_key) if coco.is_coco_captions(read_bytes(store, name))]
    if captions:
        return _from_coco(store, captions)
    files = sidecar_files.find_texts(store)
    return _from_texts(store, files) if files else None


def no_captions_error(source: str | os.PathLike[str] | FileStore) -> DataError:
    """The error for a source without captions, which names the columns of its tables."""
    store = open_store(source)
    faults, found = list(table_faults(store).values()), recognise_formats(store)
    label = f"{store.title} holds no captions that can be read"
    if faults and not (found and found[0].is_known and not found[0].tasks):
        more = f" (and {len(faults) - 1} more tables)" if len(faults) > 1 else ""
        return DataError(f"{label}: {faults[0]}{more}")
    if known := describe_formats(found, "match"):
        return DataError(f"{label}; it holds {known}")
    return DataError(f"{label} (found: {count_suffixes(store.files)}); {EXPECTED}")


def table_faults(store: FileStore) -> dict[str, str]:
    """Name of each table that holds no captions -> why."""
    faults = {}
    for name in filter(tables.is_table, store.files):
        try:
            tables.caption_columns(tables.columns(store, name), escape(store.full_name(name)))
        except DataError as error:
            faults[name] = str(error)
    return faults


def _from_documents(store: FileStore, names: list[str], notes: list[str]) -> CaptionLayout:
    root = _root(names)
    format = PurePosixPath(names[0]).suffix.lower()
    format = {".tsv": "captions in TSV", ".jsonl": "captions in JSON lines"}.get(format, "captions in CSV")
    if len(names) == 1:
        document = tables.read_table(store, root, names[0])
        parts = split_rows(document, store.title)
    else:
        parts = {split: tables.read_table(store, root, name) for split, name in _titles(store, names).items()}
        if any(row.split is not None for each in parts.values() for row in each.rows):
            notes = [*notes, "the column split of the tables was not read: their names say which split they are"]
    return _layout(store, root, format, parts, notes)


def _from_coco(store: FileStore, names: list[str]) -> CaptionLayout:
    root = _root(names)
    files = {"": names[0]} if len(names) == 1 else _titles(store, names)
    return _layout(store, root, "COCO captions", {s: coco.read_coco(store, root, n) for s, n in files.items()}, [])


def _from_texts(store: FileStore, files: list[str]) -> CaptionLayout:
    root = _root(files)
    parts = split_rows(sidecar_files.read_texts(store, root, files), store.title)
    return _layout(store, root, "captions in text files", parts, [])


def _layout(
    store: FileStore, root: str, format: str, documents: dict[str, Document], notes: list[str]
) -> CaptionLayout:
    parts = {split: collect(each, store, root, format, split) for split, each in documents.items()}
    left = uncaptioned_files(store, parts.values())
    for part in parts.values():
        part.notes = notes + part.notes
        folders = {parent_folder(each.name) for each in part.pictures}
        part.unlabelled += [name for name in left if parent_folder(name) in folders]
    return CaptionLayout(store, root, format, parts)


def _titles(store: FileStore, names: list[str]) -> dict[str, str]:
    """Split -> file, by the names of the files or of their folders."""
    titles = {}
    for name in names:
        path = PurePosixPath(name)
        stem = path.name.split(".")[0].removeprefix("captions_")
        titles[name] = stem if split_role(stem) else path.parent.name
    counts = Counter(titles.values())
    if any(count > 1 for count in counts.values()) or not all(map(split_role, titles.values())):
        raise DataError(
            f"{store.title} holds several files with captions ({', '.join(map(escape, names[:5]))}) that are not named "
            "train, val or test; give one of them instead of the folder"
        )
    return {title: name for name, title in titles.items()}


def _root(names: list[str]) -> str:
    """The folder around all files, above annotations/ and folders of splits."""
    shared: list[str] = []
    for parts in zip(*(PurePosixPath(name).parts[:-1] for name in names), strict=False):
        if len(set(parts)) > 1 or parts[0] == "annotations" or split_role(parts[0]):
            break
        shared.append(parts[0])
    return "/".join(shared)
