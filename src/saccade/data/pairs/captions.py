"""Captions beside pictures of pairs and of style sets, in any form that captioned pictures have; none are needed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from saccade.data.captions.annotations import Captions
from saccade.data.captions.layout import find_captions, table_faults
from saccade.data.captions.tables import is_for_captions
from saccade.data.files import escape
from saccade.data.store import join, open_store
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

    def add(self, other: "FoundCaptions", folder: str) -> None:
        """Those of a folder below this one."""
        self.texts |= {join(folder, name): texts for name, texts in other.texts.items()}
        self.skipped |= {join(folder, where): why for where, why in other.skipped.items()}
        self.notes += other.notes


def captions_in(source: Path, read: Read, on_error: str) -> FoundCaptions:
    """The captions of the pictures of a folder or tar.

    read: raises a DataError for a caption that cannot be used. Such captions are recorded in `skipped`, or raise,
    depending on `on_error`, as `CaptionSet` does it. Raises DataError as `find_captions` does."""
    layout, found = find_captions(source), FoundCaptions()
    if layout is None:
        store = open_store(source)
        faults = (why for name, why in table_faults(store).items() if is_for_captions(store, name))
        found.notes += [f"captions were not read: {why}" for why in faults]
        return found
    for part in layout.parts.values():
        for problem in part.problems:
            if problem.fatal or on_error == "fail":
                raise DataError(f"{part.label}: {problem.text}")
            found.skipped[problem.where] = problem.text
        _add(found, part, read, on_error)
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
                    raise DataError(f"{part.label}, {escape(where)}: {error}") from error
                found.skipped[where] = f"{escape(where)}: {error}"
        if texts:
            found.texts[picture.name] = tuple(texts)
