"""Whether folders are those of classes, by a few of their pictures: masks of pictures are no class."""

import io
from pathlib import Path, PurePosixPath

from saccade.data.class_folders import ClassPart
from saccade.data.decoders import open_image
from saccade.data.files import escape
from saccade.data.images import pillow_warnings
from saccade.data.store import Store, join
from saccade.errors import DataError

SAMPLE = 4  # pictures of two folders that are compared
FEW, MANY = 16, 64  # colours: of a mask at most, of a photograph at least


def check_classes(store: Store, part: ClassPart) -> None:
    """Raises DataError if one folder holds masks of the pictures in another: of the same names and sizes, in a few
    colours."""
    stems = {
        name: {str(PurePosixPath(file).relative_to(name).with_suffix("")): file for file in files}
        for name, files in part.by_class.items()
    }
    names = sorted(stems, key=lambda name: -len(stems[name]))[:MANY]
    for other in names:
        for name in names:
            same = [stem for stem in stems[name] if stem in stems[other]][:SAMPLE] if name != other else []
            # numbers are names of pictures in many sets: all of them have to be there
            if len(same) == SAMPLE and stems[name].keys() <= stems[other].keys():
                pairs = [(stems[name][stem], stems[other][stem]) for stem in same]
                if all(_is_mask_of(store, part, mask, picture) for mask, picture in pairs):
                    raise DataError(
                        f"{part.label}: the folder {escape(name)}/ holds masks of the pictures in {escape(other)}/, "
                        "not a class; `saccade train segment` reads masks in folders named images/ and masks/"
                    )


def _is_mask_of(store: Store, part: ClassPart, mask: str, picture: str) -> bool:
    few, many = (_look(store, join(part.root, name)) for name in (mask, picture))
    return few is not None and many is not None and few[0] == many[0] and few[1] <= FEW and many[1] >= MANY


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
