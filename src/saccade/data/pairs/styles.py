"""The same content in several styles: a folder for each style, with equal names.

An emoji set by three designers is `set/first/1f600.png`, `set/second/1f600.png`, `set/third/1f600.png` and so on. Not
every style needs every content. Captions are read where there are any: in the folders of the styles, else in the set's
own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saccade.data.dataset import check_on_error
from saccade.data.files import count_suffixes, escape, is_picture, natural_key
from saccade.data.images import Picture, read_image
from saccade.data.pairs.captions import FoundCaptions, Read, captions_in
from saccade.data.pairs.splits import HoldOut, StemSet, pictures_by_stem, split_by_file, split_held_out
from saccade.data.split_names import split_role
from saccade.data.splitting import held_out_names
from saccade.data.store import FileStore, open_store
from saccade.errors import DataError

LEAST = 4  # stems in several styles: two to train on and two to validate on, each with another one for its style


@dataclass(frozen=True)
class StyledPicture:
    """file: in the store. stem: equal for the same content in other styles. captions: may be empty."""

    file: str
    style: str
    stem: str
    captions: tuple[str, ...]


class StyleSet(StemSet):
    """Pictures, each with its style and its content.

    Attributes:
        styles: name of the style of each picture.

    Raises DataError for fewer than two styles, for styles that share no stem, and for folders train, val or test in the
    place of styles."""

    def __init__(self, source: Path, read: Read, on_error: str = "skip"):
        check_on_error(on_error)
        self._store: FileStore = open_store(source)
        styles = _style_folders(self._store)
        found = _captions(source, styles, read, on_error)
        pictures = [
            StyledPicture(file, style, stem, found.of(file))
            for style in styles
            for stem, file in pictures_by_stem(self._store, style).items()
        ]
        super().__init__(self._store.title, pictures, found, on_error)
        several = len(self.drawn_by_several())
        if not several:
            raise DataError(f"{self.title}: no picture of {' or '.join(map(escape, styles))} has a name in common")
        self.notes.insert(0, f"{self.title}: {self._summary(styles, several)}")
        loose = [name for name in self._store.files if "/" not in name and is_picture(name)]
        if loose:
            self.notes.append(f"{len(loose)} pictures of {self.title} are in no folder of a style and are left out")

    @property
    def names(self) -> list[str]:
        """Files of the pictures."""
        return [picture.file for picture in self._items]

    @property
    def styles(self) -> list[str]:
        return [picture.style for picture in self._items]

    def picture(self, index: int) -> Picture:
        """A picture, upright. Raises DataError if it cannot be read."""
        name = self._items[index].file
        return read_image(self._store.read(name), name=self._store.full_name(name))

    def drawn_by_several(self) -> list[str]:
        """The stems that several styles have, in natural order."""
        seen: dict[str, int] = {}
        for stem in self.stems:
            seen[stem] = seen.get(stem, 0) + 1
        return sorted((stem for stem, count in seen.items() if count > 1), key=natural_key)

    def _summary(self, styles: Sequence[str], several: int) -> str:
        contents, captioned = len(set(self.stems)), sum(bool(picture.captions) for picture in self._items)
        return (
            f"{len(styles)} styles ({', '.join(map(escape, styles[:10]))}), {contents} names, {several} of them in "
            f"several styles; {len(self)} pictures, {captioned} with captions"
        )


def style_splits(source: Path, hold_out: HoldOut, read: Read, on_error: str = "skip") -> tuple[StyleSet, StyleSet]:
    """Training and validation pictures of a style set, without a stem in common: those that a file lists are held out,
    else about a fraction of the stems (`held_out_names`), of those that several styles have at least two.

    Raises DataError as `StyleSet` and `read_stems` do, and for fewer than `LEAST` stems in several styles."""
    dataset = StyleSet(source, read, on_error)
    if hold_out.file is not None:
        return split_by_file(dataset, hold_out.file)
    stems = dataset.drawn_by_several()
    if len(stems) < LEAST:
        raise DataError(
            f"{dataset.title} has {len(stems)} names in several styles; at least {LEAST} are needed, two of them to "
            "hold out for validation"
        )
    several = held_out_names(stems, hold_out.fraction, hold_out.seed, least=2)
    single = held_out_names(set(dataset.stems).difference(stems), hold_out.fraction, hold_out.seed, least=0)
    train, val = split_held_out(dataset, several | single)
    val.notes.append(
        f"validation: {len(several)} names in several styles ({hold_out.fraction:.0%}, seed {hold_out.seed}) held out"
    )
    return train, val


def _style_folders(store: FileStore) -> list[str]:
    found = sorted({name.split("/")[0] for name in store.files if "/" in name and is_picture(name)}, key=natural_key)
    if not found:
        raise DataError(
            f"{store.title} holds no folders with pictures (found: {count_suffixes(store.files)}); one for each style "
            "expected"
        )
    if all(split_role(name) for name in found):
        raise DataError(
            f"{store.title} holds splits ({', '.join(map(escape, found))}), not styles: give the folder of one"
        )
    if len(found) < 2:
        raise DataError(
            f"{store.title} holds one style, {escape(found[0])}; the same content in at least two is needed to learn "
            "what belongs to a style"
        )
    return found


def _captions(source: Path, styles: Sequence[str], read: Read, on_error: str) -> FoundCaptions:
    """Those of the folders of the styles, if any has some, else those of the set."""
    found = FoundCaptions()
    for style in styles if source.is_dir() else ():
        found.add(captions_in(source / style, read, on_error), style)
    return found if found.texts else captions_in(source, read, on_error)
