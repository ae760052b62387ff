"""What `predict` is asked for beside the answer: how much of it, and which pictures of it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from PIL import Image

from saccade.cli import say
from saccade.errors import DataError


@dataclass(frozen=True)
class Asked:
    """Options of `predict`; which of them mean something depends on the model's task.

    draw: folder for the pictures with what was found in them.
    """

    top: int
    threshold: float
    draw: Path | None = None
    _places: dict[str, dict[Path, Path]] = field(default_factory=dict)

    def claim(self, files: Iterable[Path], takes: Iterable[str], model: str) -> None:
        """Find a place for everything that is to be written, before any work.

        takes: the options that a model of this kind knows. Raises UsageError for others, DataError where something is
        in the way."""
        for option in FOLDERS:
            folder = getattr(self, option)
            if folder is None:
                continue
            if option not in takes:
                raise say.UsageError(f"--{option} {FOLDERS[option]}: {model} has nothing of the kind")
            self._places[option] = _targets(folder, files, f"--{option}")

    def save(self, picture: Image.Image, option: str, file: Path) -> None:
        """Write what belongs to a picture file into the folder of an option."""
        place = self._places[option][file]
        place.parent.mkdir(parents=True, exist_ok=True)
        picture.save(place)


# Options that name a folder -> whose they are.
FOLDERS = {"draw": "is for detectors and segmenters, which have boxes or areas to draw"}


def _targets(folder: Path, files: Iterable[Path], option: str) -> dict[Path, Path]:
    found: dict[Path, Path] = {}
    taken: set[Path] = set()
    for file in files:
        stems = (file.stem if i == 1 else f"{file.stem}-{i}" for i in count(1))
        found[file] = next(place for stem in stems if (place := folder / f"{stem}.png") not in taken)
        taken.add(found[file])
    there = next((place for place in found.values() if os.path.lexists(place)), None)  # a link that leads nowhere too
    if there is not None:
        raise DataError(f"{there} is there already: give another folder to {option}")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is no folder: give one to {option}")
    return found
