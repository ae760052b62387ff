"""What all annotated data sets have in common: named pictures, and a policy for those that cannot be read."""

import copy
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from saccade.data.files import escape
from saccade.data.images import Picture, read_image
from saccade.data.pixels import PARTLY_USED
from saccade.data.store import FileStore, parent_folder
from saccade.errors import DataError

Item = TypeVar("Item")


class PictureSet(Protocol):
    """Named pictures.

    Attributes:
        title: name of the set in messages.
        classes: class names.
        on_error: "skip" leaves out unreadable pictures and invalid annotations, "fail" raises.
        skipped: what has been left out so far, name -> reason.
        notes: assumptions made while reading, one sentence each.
    """

    title: str
    classes: list[str]
    on_error: str
    skipped: dict[str, str]
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """A unique name for each picture."""

    def __len__(self) -> int: ...

    def picture(self, index: int) -> Picture:
        """The picture, upright. Raises DataError if it cannot be read."""


def check_on_error(on_error: str) -> None:
    """Raises DataError for other values than "skip" and "fail"."""
    if on_error not in ("skip", "fail"):
        raise DataError(f'on_error={on_error!r} was given; "skip" or "fail" expected')


def alike_classes(classes: Sequence[str]) -> list[str]:
    """Names of classes that differ only in case, spaces, `_`, `-` or the form of their characters: "cat = Cat"."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip(), []).append(
            name
        )
    return [" = ".join(map(escape, group)) for group in groups.values() if len(group) > 1]


def partial_read_notes(picture: Picture) -> list[str]:
    """Notes of a set on a picture of whose file a part is not used: bits, of which other pictures may use more, and
    frames or pages."""
    parts = (PARTLY_USED.partition("{")[0], "its first frame was taken")
    return [f"{note}, in some pictures" for note in picture.notes if any(part in note for part in parts)]


@dataclass(frozen=True)
class Problem:
    """A problem with an annotation file, other than an invalid object.

    kind: key of the doctor's checks. where: file, and the place in it. text: what is wrong and what to do. fatal: the
    set cannot be used, also with on_error="skip". lost: something is left out for it; else it is a warning.
    """

    kind: str
    where: str
    text: str
    fatal: bool = False
    lost: bool = True


@dataclass
class ParsedSet(Generic[Item]):
    """A set or one of its splits, parsed and not yet compared with its pictures.

    Attributes:
        title: name in messages.
        root: its folder in the store, omitted from names in messages.
        pictures: each with its annotation.
        problems: what is wrong with its files.
        unlabelled: pictures in its folders without an annotation that can be used.
        notes: assumptions made while reading, one sentence each.
    """

    title: str
    format: str
    store: FileStore
    root: str
    classes: list[str] = field(default_factory=list)
    pictures: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def unlisted_pictures(store: FileStore, names: Collection[str], taken: Collection[str] = ()) -> list[str]:
    """Pictures in the folders of `names` that are neither one of these nor of `taken`."""
    folders, known = {parent_folder(name) for name in names}, {*names, *taken}
    return [n for n in store.files if parent_folder(n) in folders and n not in known and store.is_picture(n)]


class DerivedSet:
    """A data set made of another, `_whole`; what it does not define is that set's."""

    _whole: Any

    def __len__(self) -> int:
        return len(self._whole)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also before `_whole` is there, as in a copy
            raise AttributeError(name)
        return getattr(self._whole, name)


class AnnotatedFiles:
    """Base of data sets of picture files with annotations.

    Attributes:
        names: files of the pictures, relative to the folder of the set.
    """

    def __init__(self, annotations: ParsedSet, on_error: str):
        """Raises DataError for a problem that is fatal, and for any under on_error="fail"."""
        check_on_error(on_error)
        self.title, self.on_error = annotations.title, on_error
        self.classes: list[str] = list(annotations.classes)
        self.notes, self.skipped = [*annotations.notes, *annotations.store.notes], dict[str, str]()
        self.names: list[str] = []
        self._store: FileStore = annotations.store
        self._root: str = annotations.root
        self._pictures: list[Any] = []
        self._owners: dict[str, str] = {}  # key of `skipped` -> name of the picture, for annotations of a picture
        for problem in annotations.problems:
            if problem.fatal or (problem.lost and on_error == "fail"):
                raise DataError(f"{annotations.title}: {problem.text}")
            if problem.lost:
                self.skipped[problem.where] = problem.text
            else:
                self._note(problem.text)

    def __len__(self) -> int:
        return len(self.names)

    def picture(self, index: int, at_least: tuple[int, int] | None = None) -> Picture:
        """The picture, upright. `at_least`: see `read_image`. Raises DataError if it cannot be read."""
        name = self._pictures[index].name
        picture = read_image(self._store.read(name), name=self._store.full_name(name), at_least=at_least)
        for note in partial_read_notes(picture):
            self._note(note)
        return picture

    def subset(self, indices: Sequence[int]) -> Self:
        """The pictures at `indices`, with the same classes, and the entries of `skipped` that concern no other
        picture."""
        part = copy.copy(self)
        part._pictures = [self._pictures[i] for i in indices]
        part.names = [self.names[i] for i in indices]
        others = set(self.names).difference(part.names)
        part.notes = list(self.notes)
        part.skipped = {key: why for key, why in self.skipped.items() if self._owners.get(key, key) not in others}
        return part

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
