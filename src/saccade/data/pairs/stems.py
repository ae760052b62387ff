"""Names that the same content has in several folders: paths without suffix."""

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from saccade.data.files import count_suffixes, escape, natural_key
from saccade.data.store import Store, join, pictures_in, relative_to
from saccade.errors import DataError, some_of


def pictures_by_stem(store: Store, folder: str = "") -> dict[str, str]:
    """Stem -> picture, for all pictures of a folder of the store and its subfolders, in natural order. A stem is the
    path below the folder without the suffix, in Unicode normal form C.

    Raises DataError for a folder without pictures, and for two pictures with one stem."""
    found: dict[str, str] = {}
    for name in pictures_in(store, folder):
        stem = stem_of(relative_to(folder, name))
        if stem in found:
            raise DataError(
                f"{escape(store.full_name(found[stem]))} and {escape(store.full_name(name))} have the same name "
                "without suffix; which of them is meant is unknown: remove one"
            )
        found[stem] = name
    if not found:
        files = [name for name in store.files if not folder or name.startswith(f"{folder}/")]
        label = escape(store.full_name(folder)) if folder else store.label
        raise DataError(f"{label} holds no pictures (found: {count_suffixes(files)})")
    return dict(sorted(found.items(), key=lambda each: natural_key(each[0])))


def stem_of(name: str) -> str:
    """A file name without its suffix, in Unicode normal form C."""
    path = PurePosixPath(unicodedata.normalize("NFC", name))
    parent = "" if str(path.parent) == "." else str(path.parent)
    return join(parent, path.stem)


def read_stems(file: Path, known: Iterable[str], label: str) -> set[str]:
    """The stems that a UTF-8 text file lists, one a line.

    Raises DataError for a file that cannot be read or lists none, and for stems that the set `label` does not have."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{escape(file)} is not UTF-8 text (byte {error.start}); convert it") from error
    except OSError as error:
        raise DataError(f"{escape(file)} cannot be opened ({error.strerror})") from error
    stems = {unicodedata.normalize("NFC", line.strip()) for line in lines if line.strip()}
    if not stems:
        raise DataError(f"{escape(file)} is empty; a name without suffix on each line expected")
    unknown = sorted(stems.difference(known))
    if unknown:
        raise DataError(
            f"{escape(file)} lists {len(unknown)} of {len(stems)} names that {label} does not have: "
            f"{some_of(map(escape, unknown))}; one name without suffix on each line expected"
        )
    return stems


def unmatched(parts: Mapping[str, Iterable[str]]) -> list[str]:
    """For each of two labels a phrase with the number of its stems that the other lacks, and the first of them; none
    where all match. parts: label -> stems."""
    (a, first), (b, second) = ((label, dict.fromkeys(stems)) for label, stems in parts.items())
    phrases = []
    for label, stems, other, others in ((a, first, b, second), (b, second, a, first)):
        alone = [stem for stem in stems if stem not in others]
        if alone:
            names = some_of(map(escape, alone))
            phrases.append(f"{len(alone)} of {len(stems)} pictures of {label} have no partner in {other}: {names}")
    return phrases
