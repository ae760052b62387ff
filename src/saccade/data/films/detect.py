"""Whether a folder holds films or pictures."""

import os
from contextlib import suppress
from pathlib import Path

from saccade.data.captions.layout import find_captions
from saccade.data.files import escape, is_picture, is_video
from saccade.data.films.store import FilmStore, is_animated
from saccade.errors import DataError

LOOKED_AT = 20  # GIF, WebP and PNG files that are opened to see whether they are animated


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
