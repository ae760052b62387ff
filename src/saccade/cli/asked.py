"""What `predict` is asked for beside the answer: how much of it, and which pictures of it."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from PIL import Image

from saccade.cli import say
from saccade.data import output
from saccade.data.video import is_film
from saccade.errors import DataError


@dataclass(frozen=True)
class Asked:
    """Options of `predict`; which of them mean something depends on the model's task.

    draw: folder for the pictures with what was found in them. masks: folder for the class of every pixel, as PNGs.
    coco: COCO JSON for the areas of all pictures. size: shorter side in pixels to which pictures are brought.
    batch: pictures that a detector sees at once.
    """

    top: int
    threshold: float
    draw: Path | None = None
    masks: Path | None = None
    coco: Path | None = None
    size: int | None = None
    batch: int = 16
    _places: dict[str, dict[Path, Path]] = field(default_factory=dict)

    def claim(self, files: Sequence[Path], takes: Iterable[str], model: str) -> None:
        """Find a place for everything that is to be written, before any work.

        takes: the options that a model of this kind knows. Raises UsageError for others, DataError where something is
        in the way."""
        for option, whose in WHOSE.items():
            given = getattr(self, option)
            if given is not None and option not in takes:
                raise say.UsageError(f"--{option} is for {whose}; {model} is none")
            if given is not None and option in FRAMES:
                self._places[option] = _targets(given, files, option)
        if self.draw is not None and self.masks is not None and self.draw.absolute() == self.masks.absolute():
            raise say.UsageError("--draw and --masks name the same folder: choose another for one of them")
        if self.coco is not None:
            output.check(self.coco, files)

    def place(self, option: str, file: Path) -> Path:
        """Where what belongs to a picture file, or to a film, goes; there is a folder for it."""
        place = self._places[option][file]
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def save(self, picture: Image.Image, option: str, file: Path, frame: int | None = None) -> None:
        """Write what belongs to a picture file, or to a frame of a film, into the folder of an option."""
        place = self.place(option, file)
        if frame is not None:
            place.mkdir(exist_ok=True)
            place = place / f"{frame:06}.png"
        picture.save(place)


# Options that not every model knows -> whose they are.
WHOSE = {
    "draw": "detectors and segmenters",
    "masks": "segmenters",
    "coco": "segmenters",
    "size": "segmenters",
}
# Options that name a folder -> what a film becomes in it: a film, or a folder of its frames. A picture stays one.
FRAMES = {"draw": ".mp4", "masks": ""}


def _targets(folder: Path, files: Iterable[Path], option: str) -> dict[Path, Path]:
    found: dict[Path, Path] = {}
    taken: set[Path] = set()
    for file in files:
        stems = (file.stem if i == 1 else f"{file.stem}-{i}" for i in count(1))
        suffix = FRAMES[option] if is_film(file) else ".png"
        found[file] = next(place for stem in stems if (place := folder / f"{stem}{suffix}") not in taken)
        taken.add(found[file])
    there = next((place for place in found.values() if os.path.lexists(place)), None)  # a link that leads nowhere too
    if there is not None:
        raise DataError(f"{there} is there already: give another folder to --{option}")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is no folder: give one to --{option}")
    return found
