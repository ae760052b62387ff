"""Recognise the annotation files of a set by their contents, also those that no reader is for.

A format is recognised from marks at the start and the end of a few files of each folder; no file is parsed. Training
and the doctor name what a set holds, which task reads it, and how to convert it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import basename, splitext

from saccade.data.files import escape, is_picture, natural_key
from saccade.data.formats import BINARY, CSV, FILES, FORMATS, JSON, PLAIN, TEXT, XML
from saccade.data.store import FileStore, parent_folder, read_bytes_or_empty
from saccade.errors import DataError

SAMPLE = 4  # files of a folder and suffix that are looked at
HEAD, TAIL = 1 << 18, 1 << 14  # bytes of a file that are looked at
NAMES = 64  # of pictures that are looked for in files of an unknown kind
STARTS = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"RIFF", ".webp"))
UNKNOWN = {".json": "JSON of an unknown kind", ".jsonl": "JSON of an unknown kind", ".xml": "XML of an unknown kind"}
MARKS = dict.fromkeys((".json", ".jsonl", ".ndjson", ".manifest", ".geojson"), JSON)
MARKS |= {".csv": CSV, ".tsv": CSV, ".xml": XML, ".txt": TEXT, "": PLAIN}


KNOWN = re.compile("(?:.*/)?(?:" + "|".join(FILES) + ")", re.IGNORECASE)


@dataclass(frozen=True)
class AnnotationFiles:
    """The annotation files of one format in a set.

    Attributes:
        format: its name, a key of `FORMATS`.
        files: their names in the store, in natural order.
        tasks: the tasks that read it ("detect", "segment", "match", "classify"); empty if none does.
        advice: how to convert it, for tasks that do not read it.
    """

    format: str
    files: list[str]
    tasks: tuple[str, ...]
    advice: str

    @property
    def is_known(self) -> bool:
        return self.format not in UNKNOWN.values()

    def describe(self, task: str | None = None) -> str:
        """What was found, which task reads it, and what to do for `task`, or for any task."""
        first = escape(self.files[0])
        what = f"{self.format} ({first if len(self.files) == 1 else f'{len(self.files)} files such as {first}'})"
        if not self.tasks:
            return f"{what}, which is not read; {self.advice}"
        if task in self.tasks:
            return what
        return f"{what}, which {' and '.join(f'`saccade train {each}`' for each in self.tasks)} can read"


def recognise_formats(store: FileStore) -> list[AnnotationFiles]:
    """The annotation files of a set by format, those known by their names and those of most files first; empty if there
    are none.

    Files that cannot be opened are left out: readers report them."""
    pictures = sorted({basename(name) for name in store.files if is_picture(name)})
    stems = {splitext(name)[0] for name in pictures}
    few = pictures[:: max(1, len(pictures) // NAMES)]
    found = _by_name(store)
    known = {name for names in found.values() for name in names}
    groups: dict[tuple[str, str], list[str]] = {}
    for name in store.files:
        suffix, base = splitext(name)[1].lower(), basename(name).lower()
        if base.startswith(".") or "submission" in base or name in known:
            continue
        if suffix in MARKS or suffix in BINARY:
            groups.setdefault((parent_folder(name), suffix), []).append(name)
    for (_, suffix), names in groups.items():
        for format, members in _formats(store, suffix, sorted(names, key=natural_key), stems, few).items():
            found.setdefault(format, []).extend(members)
    kinds = [AnnotationFiles(each, sorted(names, key=natural_key), *FORMATS[each]) for each, names in found.items()]
    named = tuple(FILES.values())
    return sorted(kinds, key=lambda e: (e.format not in named, not e.is_known, -len(e.files), e.format))


def describe_formats(found: Sequence[AnnotationFiles], task: str | None = None) -> str:
    """What was recognised, in one line, for messages; "" if nothing was. Of the formats that no task reads, the first
    is named."""
    unread = [each for each in found if not each.tasks]
    shown = [*(each for each in found if each.tasks), *unread[:1]][:3]
    more = f" (and {len(unread) - 1} more)" if len(unread) > 1 else ""
    return "; ".join(each.describe(task) for each in shown) + more


def _by_name(store: FileStore) -> dict[str, list[str]]:
    """Format -> files, of `FILES`."""
    found: dict[str, list[str]] = {}
    for name in (*store.files, *(f"{folder}/" for folder in store.folders)):
        if is_picture(name) and not name.lower().endswith("_seg.png"):
            continue
        if KNOWN.fullmatch(name):
            end = next(end for end in FILES if re.fullmatch(rf"(?:.*/)?(?:{end})", name, re.IGNORECASE))
            found.setdefault(FILES[end], []).append(name)
    return found


def describe_missing_suffixes(store: FileStore) -> str:
    """A text on pictures whose names have no suffix, by the first bytes of a few; "" if there are none."""
    names = [name for name in store.files if "." not in basename(name)]
    kinds = [
        next((end for start, end in STARTS if read_bytes_or_empty(store, n).startswith(start)), "")
        for n in names[:SAMPLE]
    ]
    if not names or not all(kinds):
        return ""
    return f"{len(names)} files without a suffix, such as {escape(names[0])}, are pictures: name them *{kinds[0]}"


def _formats(
    store: FileStore, suffix: str, names: list[str], stems: set[str], pictures: Sequence[str]
) -> dict[str, list[str]]:
    """Format -> files, of the files of one folder and suffix. A few are looked at and stand for the rest."""
    if suffix in BINARY:
        return {BINARY[suffix]: names}
    own = [name for name in names if PurePosixPath(name).stem in stems]  # one for each picture
    result: dict[str, list[str]] = {}
    for members in (own, [name for name in names if PurePosixPath(name).stem not in stems]):
        if len(members) > 3 * SAMPLE:  # of many files, those at the ends and in the middle
            middle = len(members) // 2
            sample = [*members[: SAMPLE // 2], *members[middle : middle + SAMPLE // 2], *members[-SAMPLE // 2 :]]
        else:
            sample = members
        kinds = {name: _format(store, name, suffix, pictures, members is own) for name in sample}
        common = Counter(kind for kind in kinds.values() if kind).most_common(1)
        for name in members:
            kind = kinds.get(name, common[0][0] if common else "")
            if kind:
                result.setdefault(kind, []).append(name)
    return result


def _format(store: FileStore, name: str, suffix: str, pictures: Sequence[str], beside: bool) -> str:
    """The format of one file, "" if it is no annotation file. pictures: some names, of which a file of an unknown kind
    has one. beside: whether it is named like a picture."""
    text = _ends(store, name)
    if text is None:
        return ""
    if suffix == ".xml":  # comments may hold anything
        text = re.sub(r"<!--.*?(-->|$)", "", text, flags=re.DOTALL)
    for format, *patterns in MARKS[suffix]:
        if all(re.search(pattern, text, re.MULTILINE) for pattern in patterns):
            return format
    unknown = UNKNOWN.get(suffix, "")
    return unknown if unknown and (beside or any(each in text for each in pictures)) else ""


def _ends(store: FileStore, name: str) -> str | None:
    """The text at the start and the end of a file; None if it cannot be opened."""
    try:
        source = store.read(name)
        if isinstance(source, Path):
            with source.open("rb") as file:
                data = file.read(HEAD)
                size = source.stat().st_size
                file.seek(max(len(data), size - TAIL))
                data += file.read(TAIL)
        else:
            data = source[:HEAD] + source[max(HEAD, len(source) - TAIL) :]
    except (OSError, DataError):
        return None
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, errors="replace")
