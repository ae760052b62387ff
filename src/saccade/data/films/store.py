"""The films in a folder: videos, animated pictures, and folders of frames, each of which counts as one file."""

import os
import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path, PurePosixPath

from PIL import Image

from saccade.data.captions.layout import find_captions
from saccade.data.captions.tables import is_table
from saccade.data.decoders import FORMATS
from saccade.data.files import escape, is_picture, is_video, natural_key
from saccade.data.images import pillow_warnings
from saccade.data.store import FolderStore, parent_folder
from saccade.errors import DataError

ANIMATIONS = (".gif", ".webp", ".apng")  # a PNG beside films is a still one, unless a table names it
_NUMBERED = re.compile(r"\d\.[^.]+$")
LOOKED_AT = 20  # GIF, WebP and PNG files that are opened to see whether they are animated


class FilmStore(FolderStore):
    """A folder of films.

    A folder in it is a film if it holds pictures only whose names end in numbers (`0001.png`, `frame_7.jpg`), and the
    first is not animated; such a folder is in `files`, and its pictures are not.

    Attributes:
        frame_folders: the folders that are films.
    """

    def __init__(self, root: Path):
        super().__init__(root)
        contents = defaultdict[str, list[str]](list)
        for name in self.files:
            contents[parent_folder(name)].append(name)
        parents = {parent_folder(folder) for folder in self.folders}
        candidates = (folder for folder in contents if folder and folder not in parents)
        self.frame_folders = {folder for folder in candidates if self._holds_frames(contents[folder])}
        self.files = [name for name in self.files if parent_folder(name) not in self.frame_folders]
        self.files += sorted(self.frame_folders, key=natural_key)

    def is_picture(self, name: str) -> bool:
        base = PurePosixPath(name).name
        film = is_video(base) or base.lower().endswith(ANIMATIONS)
        return name in self.frame_folders or (film and not base.startswith("."))

    @property
    def films(self) -> list[str]:
        """All films, in natural order."""
        return sorted(filter(self.is_picture, self.files), key=natural_key)

    def _holds_frames(self, names: list[str]) -> bool:
        pictures = [name for name in names if is_picture(name)]
        described = any(is_table(name) or name.endswith((".txt", ".json")) or is_video(name) for name in names)
        if not pictures or described or not all(map(_NUMBERED.search, pictures)):
            return False
        first = min(pictures, key=natural_key)
        return not (first.lower().endswith((*ANIMATIONS, ".png", ".avif")) and is_animated(self.root / first))


def is_animated(file: Path) -> bool:
    """False for a file that cannot be read, which is reported when it is decoded."""
    try:
        with pillow_warnings([]), Image.open(file, formats=FORMATS) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:
        return False


def holds_films(source: str | os.PathLike[str]) -> bool:
    """Whether the files of a folder, or those beside a table of captions, are films: videos or animated pictures, or
    folders of frames that have captions.

    Raises DataError for a folder of both films and pictures."""
    path = Path(source)
    if not path.is_dir():
        path = path.parent if path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".json") else path
    if not path.is_dir():
        return False
    store = FilmStore(path)
    moving = [name for name in store.films if name not in store.frame_folders]
    videos = [name for name in moving if is_video(name)]
    animated = [name for name in moving if not is_video(name)][:LOOKED_AT]
    films = videos or [name for name in animated if is_animated(path / name)]
    if not films:
        return bool(store.frame_folders) and not moving and _have_captions(store)
    still = [name for name in store.files if is_picture(name) and name not in store.frame_folders]
    still = [name for name in still if name not in moving or (name in animated and not is_animated(path / name))]
    if still:
        raise DataError(
            f"{escape(path)} holds films ({escape(films[0])}) and pictures ({escape(still[0])}): keep them in folders "
            "of their own"
        )
    return True


def _have_captions(store: FilmStore) -> bool:
    """Whether captions name the folders of frames."""
    with suppress(DataError):
        found = find_captions(store.root, lambda _: store)
        return found is not None and any(
            picture.name in store.frame_folders for part in found.parts.values() for picture in part.pictures
        )
    return False
