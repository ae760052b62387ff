"""Whether folders are those of classes, by a few of their pictures: masks of pictures are no class."""

import io
from pathlib import Path
from posixpath import basename, splitext

from saccade.data.class_folders import ClassPart
from saccade.data.decoders import open_image
from saccade.data.files import escape
from saccade.data.images import pillow_warnings
from saccade.data.split_names import folder_kind
from saccade.data.store import Store, join
from saccade.errors import DataError

SAMPLE = 4  # pictures of two folders that are compared
FEW, MANY = 16, 64  # colours: of a mask at most, of a photograph at least
MOST_CLASSES, MOST_FILES = 64, 1000
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".heic", ".heif")


def check_classes(store: Store, part: ClassPart) -> None:
    """Raises DataError if folders hold masks of pictures: side by side in each (`rural/images`, `rural/masks`), or one
    those of another, with the same names (without that of the folder) and sizes, in a few colours."""
    stems: dict[str, dict[str, str]] = {}
    for name, files in list(part.by_class.items())[:MOST_CLASSES]:
        inner = {each for file in files[:MOST_FILES] for each in file.split("/")[1:-1]}
        kinds = {folder_kind(each): each for each in sorted(inner)}
        if {"masks", "pictures"} <= kinds.keys():
            raise DataError(
                f"{part.label}: the folder {escape(name)}/ holds {escape(kinds['pictures'])}/ and "
                f"{escape(kinds['masks'])}/: masks of pictures, not a class; `saccade train segment` reads masks where "
                "images/ and masks/ hold all of a split"
            )
        stems[name] = {splitext(basename(file))[0].removeprefix(name): file for file in files[:MOST_FILES]}
    for name, own in stems.items():
        same = list(own)[:SAMPLE]
        if len(same) < SAMPLE or any(own[stem].lower().endswith(LOSSY) for stem in same):
            continue
        masks = [_look(store, join(part.root, own[stem])) for stem in same]
        if any(mask is None or mask[1] > FEW for mask in masks):
            continue
        for other, pictures in stems.items():
            if other != name and own.keys() <= pictures.keys():
                looks = [_look(store, join(part.root, pictures[stem])) for stem in same]
                if all(look is not None and mask is not None and look[0] == mask[0] and look[1] >= MANY
                       for look, mask in zip(looks, masks, strict=True)):  # fmt: skip
                    raise DataError(
                        f"{part.label}: the folder {escape(name)}/ holds masks of the pictures in {escape(other)}/, "
                        "not a class; `saccade train segment` reads masks in folders named images/ and masks/"
                    )


def _look(store: Store, name: str) -> tuple[tuple[int, int], int] | None:
    """Size and number of colours of a picture, counted up to `MANY`; None if it cannot be read."""
    source = store.read(name)
    try:
        with pillow_warnings([]), open_image(source if isinstance(source, Path) else io.BytesIO(source), name) as image:
            if image.size[0] * image.size[1] > 1 << 24:
                return None
            plain = image if image.mode in ("L", "P", "1") else image.convert("RGB")
            found = plain.getcolors(MANY)
            return image.size, MANY if found is None else len(found)
    except Exception:  # damaged files are reported when they are read
        return None
