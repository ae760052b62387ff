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

    draw: folder for the pictures with what was found in them. masks: folder for the class of every pixel, as PNGs.
    size: shorter side in pixels to which pictures are brought.
    """

    top: int
    threshold: float
    draw: Path | None = None
    masks: Path | None = None
    size: int | None = None
    _places: dict[str, dict[Path, Path]] = field(default_factory=dict)

    def claim(self, files: Iterable[Path], takes: Iterable[str], model: str) -> None:
        """Find a place for everything that is to be written, before any work.

        takes: the options that a model of this kind knows. Raises UsageError for others, DataError where something is
        in the way."""
        for option, whose in WHOSE.items():
            given = getattr(self, option)
            if given is not None and option not in takes:
                raise say.UsageError(f"--{option} is for {whose}; {model} is none")
            if isinstance(given, Path):
                self._places[option] = _targets(given, files, f"--{option}")

    def save(self, picture: Image.Image, option: str, file: Path) -> None:
        """Write what belongs to a picture file into the folder of an option."""
        place = self._places[option][file]
        place.parent.mkdir(parents=True, exist_ok=True)
        picture.save(place)


# Options that not every model knows -> whose they are.
WHOSE = {"draw": "detectors and segmenters", "masks": "segmenters", "size": "segmenters"}


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
