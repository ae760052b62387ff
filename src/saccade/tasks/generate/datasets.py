"""How a generator is trained on each kind of data set."""

from typing import Protocol

from torch import Generator, Tensor

from saccade.data.captions import CaptionSet
from saccade.data.films import FilmSet
from saccade.data.pairs import PairSet, StyleSet
from saccade.data.scenes import Scenes
from saccade.errors import UsageError
from saccade.tasks.generate.batches import Samples
from saccade.tasks.generate.captioned import CaptionedPictures
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.training_films import FilmsToPaint, SceneFilms
from saccade.tasks.generate.training_pairs import PairsToPaint
from saccade.tasks.generate.training_scenes import ScenesToPaint
from saccade.tasks.generate.training_styles import StylesToPaint
from saccade.tasks.training import check_scene_size

PaintingSet = Scenes | CaptionSet | FilmSet | PairSet | StyleSet


class PaintingSource(Protocol):
    """What a generator is trained on, as samples. frames: of each, 1 of pictures."""

    title: str
    frames: int

    def __len__(self) -> int: ...

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        """Of about that many indices, each in several views, as many samples."""


def source_names(data: PaintingSet, recipe: GenerateRecipe) -> tuple[str, ...]:
    """Names of the sources, beside the caption, that a generator of this data has.

    Raises UsageError for shares of sources of scenes with other data."""
    if isinstance(data, Scenes):
        return recipe.sources
    if recipe.sources:
        raise UsageError(
            "--picture-share, --mask-share and --style-share are of drawn scenes: use --data scenes:N or leave them out"
        )
    if isinstance(data, PairSet):
        return PairsToPaint.sources
    return StylesToPaint.sources if isinstance(data, StyleSet) else ()


def open_source(data: PaintingSet, recipe: GenerateRecipe, size: tuple[int, int], views: int) -> PaintingSource:
    """The samples of a data set, each picture in `views` of them.

    Raises DataError where nothing can be read."""
    if isinstance(data, Scenes):
        check_scene_size(data.size, recipe)
        return ScenesToPaint(data, recipe, views)
    if isinstance(data, PairSet):
        return PairsToPaint(data, recipe, size, views)
    if isinstance(data, StyleSet):
        return StylesToPaint(data, recipe, size, views)
    if isinstance(data, FilmSet):
        return FilmsToPaint(data, recipe, size)
    return CaptionedPictures(data, size, views)


def open_films(data: PaintingSet, recipe: GenerateRecipe) -> PaintingSource | None:
    """The films among the samples of drawn scenes; None where there are none.

    Raises UsageError for a share of films of other data."""
    if not recipe.film_share:
        return None
    if not isinstance(data, Scenes):
        raise UsageError("--film-share is of drawn scenes: use --data scenes:N or leave it out")
    return SceneFilms(data, recipe)


def has_films(data: PaintingSet, recipe: GenerateRecipe) -> bool:
    """Whether some of the samples are films."""
    return isinstance(data, FilmSet) or recipe.film_share > 0


def check_captions(data: PaintingSet) -> None:
    """Raises UsageError for pictures without captions, by which no guidance can be contained."""
    if isinstance(data, PairSet | StyleSet) and not all(data.captions(i) for i in range(len(data))):
        raise UsageError(
            f"--objective mean-flow contains the guidance by captions, and pictures of {data.title} have none: add "
            "captions or use --objective flow"
        )
