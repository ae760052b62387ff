"""A picture or film with its captions for the sheet of a data set, alone, beside the picture it is painted from, or
with the name of its style."""

from fractions import Fraction
from itertools import islice
from typing import Any

from PIL import Image

from saccade.data.captions import CaptionSet
from saccade.data.film_frames import resample_frames
from saccade.data.films import FilmSet
from saccade.data.pairs import PairSet, StyleSet
from saccade.data.scenes import Scenes
from saccade.tasks.drawing import PAPER
from saccade.tasks.sample_sheet import Example, thumbnail

_FRAMES = 3  # of a film


def draw_example(dataset: Scenes | CaptionSet | FilmSet | PairSet | StyleSet, index: int) -> Example:
    """A picture with its captions. Raises DataError if it cannot be read."""
    lines = [*_captions(dataset, index)] or ["no caption"]
    if isinstance(dataset, PairSet):
        source, target = dataset.pair(index)
        return Example(_side_by_side([source.image, target.image]), [*lines, dataset.names[index]])
    if isinstance(dataset, FilmSet):
        return Example(_side_by_side(_frames(dataset, index)), [*lines, dataset.names[index]])
    if isinstance(dataset, StyleSet):
        lines = [dataset.styles[index], *lines]
    return Example(thumbnail(dataset.picture(index).image)[0], [*lines, dataset.names[index]])


def _captions(dataset: Any, index: int) -> tuple[str, ...]:
    return tuple(dataset.scene(index).captions.values()) if isinstance(dataset, Scenes) else dataset.captions(index)


def _frames(films: FilmSet, index: int) -> list[Image.Image]:
    """The first frame, and one after each further second."""
    with films.film(index, Fraction(1)) as film:
        return [picture.image for picture in islice(resample_frames(film, Fraction(1)), _FRAMES)]


def _side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Of one height, in one row."""
    small = [thumbnail(picture)[0] for picture in pictures]
    height = min(picture.height for picture in small)
    small = [each.resize((max(1, round(each.width * height / each.height)), height)) for each in small]
    row = Image.new("RGB", (sum(picture.width + 2 for picture in small) - 2, height), PAPER)
    left = 0
    for picture in small:
        row.paste(picture, (left, 0))
        left += picture.width + 2
    return row
