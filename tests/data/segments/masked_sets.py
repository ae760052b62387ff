"""Sets of pictures and masks written to disk in the layouts people have."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ["sky", "road", "car", "void"]
COLOURS = [(128, 128, 128), (128, 64, 128), (64, 0, 128), (0, 0, 0)]
NAMES = ["a", "b", "c", "d", "e"]
SIZES = [(13, 17), (19, 11), (7, 23), (17, 29), (5, 31)]
SPLITS = {"train": "abc", "val": "d", "test": "e"}
Index = np.ndarray


def indices(i: int, classes: int = 3, ignored: bool = True) -> Index:
    """The true mask of picture i: every class, and some pixels of 255."""
    mask = np.random.default_rng(i).integers(0, classes, SIZES[i]).astype(np.uint8)
    mask[: len(range(classes)), 0] = np.arange(classes)
    mask[0, 1:3] = 255 if ignored else 0
    return mask


def picture(i: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(100 + i).integers(0, 256, (*SIZES[i], 3), dtype=np.uint8))


def grey(mask: Index) -> Image.Image:
    return Image.fromarray(mask)


def palette(mask: Index) -> Image.Image:
    image = Image.fromarray(mask)
    image.putpalette([(37 * i) % 256 for i in range(768)])
    return image


def coloured(mask: Index, colours: Sequence[tuple[int, int, int]] = COLOURS) -> Image.Image:
    """255 becomes the last colour."""
    table = np.array([*colours[:-1], *[colours[-1]] * (257 - len(colours))], np.uint8)
    return Image.fromarray(table[mask])


def write(
    root: Path,
    picture_at: str = "images/{name}.png",
    mask_at: str = "masks/{name}.png",
    splits: Mapping[str, str] | None = None,
    save: Callable[[Index], Image.Image] = grey,
    classes: str | None = "sky\nroad\ncar\n",
    masks: Callable[[int], Index] = indices,
) -> Path:
    """Pictures and masks at the given places, in which {name} and {split} are filled in."""
    for split, names in (splits or {"": "".join(NAMES)}).items():
        for name in names:
            i = NAMES.index(name)
            for place, image in ((picture_at, picture(i)), (mask_at, save(masks(i)))):
                path = root / place.format(name=name, split=split)
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path)
    if classes is not None:
        (root / "classes.txt").write_text(classes)
    return root
