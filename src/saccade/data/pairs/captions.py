"""Captions beside pictures of pairs and of style sets, in any form that captioned pictures have; none are needed.

The folder of the pictures is read, and if it holds none a table named captions or metadata in the folder around it, as
of a set whose folders hold the same names. Which file was read is noted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from saccade.data.captions.annotations import Captions
from saccade.data.captions.layout import CaptionLayout, find_captions, table_faults
from saccade.data.captions.tables import CAPTION_TABLES, is_for_captions, is_table
from saccade.data.files import escape
from saccade.data.store import join_path, open_store, relative_to
from saccade.errors import DataError

Read = Callable[[str], object]


@dataclass
class FoundCaptions:
    """texts: file of a picture -> its captions. skipped: place of a caption that cannot be used -> why."""

    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, name: str) -> tuple[str, ...]:
        """Of a picture; empty where it has none."""
        return self.texts.get(name, ())

    def in_subfolder(self, folder: str) -> "FoundCaptions":
        """Those of the pictures of a folder, named as in it."""
        texts = {relative_to(folder, name): texts for name, texts in self.texts.items()}
        return FoundCaptions(texts, self.skipped, self.notes)

    def add(self, other: "FoundCaptions", folder: str) -> None:
        """Those of a folder below this one."""
        self.texts |= {join_path(folder, name): texts for name, texts in other.texts.items()}
        self.skipped |= {join_path(folder, where): why for where, why in other.skipped.items()}
        self.notes += other.notes


def captions_in(source: Path, read: Read, on_error: str) -> FoundCaptions:
    """The captions of the pictures of a folder or tar.

    read: raises a DataError for a caption that cannot be used. Such captions are recorded in `skipped`, or raise,
    depending on `on_error`, as `CaptionSet` does it. Raises DataError as `find_captions` does."""
    layout = find_captions(source)
    if layout is not None:
        return _read_layout(layout, read, on_error)
    store, found = open_store(source), FoundCaptions()
    faults = (why for name, why in table_faults(store).items() if is_for_captions(store, name))
    found.notes += [f"captions were not read: {why}" for why in faults]
    return found


def captions_in_or_around(folder: Path, read: Read, on_error: str) -> FoundCaptions:
    """`captions_in`, and where a folder has none those that a table in the folder around it has for its pictures.

    Raises DataError as `captions_in`, and if several tables around it have some."""
    own = captions_in(folder, read, on_error)
    if own.texts or not folder.is_dir():
        return own
    inside = folder.resolve() if folder.name in ("", "..") else folder
    around = {}
    for file in sorted(file for file in inside.parent.iterdir() if is_table(file.name) and file.stem in CAPTION_TABLES):
        try:
            layout = find_captions(file)
        except DataError as error:
            own.notes.append(f"captions were not read: {error}")
            continue
        found = None if layout is None else _read_layout(_of_folder(layout, inside.name), read, on_error)
        if found is not None and found.texts:
            around[file] = found
    if len(around) > 1:
        names = " and ".join(map(escape, around))
        raise DataError(f"{names} all hold captions of the pictures of {escape(folder)}; keep one of them")
    for found in around.values():
        own.add(found.in_subfolder(inside.name), "")
    return own


def _of_folder(layout: CaptionLayout, folder: str) -> CaptionLayout:
    """Only the pictures and problems of one folder of a set."""
    start, parts = f"{folder}/", {}
    for split, part in layout.parts.items():
        pictures = [each for each in part.pictures if each.name.startswith(start)]
        problems = [each for each in part.problems if part.owners.get(each.where, "").startswith(start)]
        parts[split] = replace(part, pictures=pictures, problems=problems)
    return replace(layout, parts=parts)


def _read_layout(layout: CaptionLayout, read: Read, on_error: str) -> FoundCaptions:
    found = FoundCaptions()
    for part in layout.parts.values():
        for problem in part.problems:
            if problem.fatal or on_error == "fail":
                raise DataError(f"{part.title}: {problem.text}")
            found.skipped[problem.where] = problem.text
        before = len(found.texts)
        _add(found, part, read, on_error)
        if len(found.texts) > before:
            found.notes.append(f"captions were read from {escape(part.store.full_name(part.file))}")
    return found


def _add(found: FoundCaptions, part: Captions, read: Read, on_error: str) -> None:
    for picture in part.pictures:
        texts = list(found.of(picture.name))
        for number, text in enumerate(picture.captions, start=1):
            try:
                read(text)
                texts.append(text)
            except DataError as error:
                where = f"{picture.name}, caption {number}"
                if on_error == "fail":
                    raise DataError(f"{part.title}, {escape(where)}: {error}") from error
                found.skipped[where] = f"{escape(where)}: {error}"
        if texts:
            found.texts[picture.name] = tuple(texts)
