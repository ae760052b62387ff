"""Drawn films and their captions."""

from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from saccade.data.scenes import Combinations, Scenes
from saccade.data.scenes.films import Film
from saccade.data.scenes.phrasing import Language, sample_film_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.tasks.judge.films import FilmDescription

FILM_SEED = 6_000_023  # of films that neither training nor validation draws
OBJECTS = (1, 2)  # in turn
_CAPTION = 10  # stream of random numbers; scenes, prompts, guides and edits use 0 to 9


@dataclass(frozen=True, eq=False)
class FilmPrompt:
    """A drawn film and a caption that mentions every object, its colour and its motion."""

    text: str
    film: Film

    @property
    def description(self) -> FilmDescription:
        """What the film shows."""
        return FilmDescription.of(self.film)

    @cached_property
    def frames(self) -> list[Image.Image]:
        """The film as pictures."""
        return [Image.fromarray(frame) for frame in self.film.frames]


def film_prompts(
    n: int, size: tuple[int, int], frames: int, combinations: Combinations, language: Language
) -> list[FilmPrompt]:
    """Captions of `n` films, in turn of one object and of two, which do not touch. Film i shows the same objects with
    the same motions whatever the number of frames and the language."""
    worlds = [Scenes(n, size, FILM_SEED, objects=(k, k), apart=True, combinations=combinations) for k in OBJECTS]
    return [_prompt(worlds[i % len(OBJECTS)], i, frames, language) for i in range(n)]


def _prompt(world: Scenes, i: int, frames: int, language: Language) -> FilmPrompt:
    film = world.film(i, frames)
    caption = sample_film_caption(
        film.names, film.colours, film.motions, RandomStream(world.seed, _CAPTION, i), language
    )
    return FilmPrompt(caption.text, film)
