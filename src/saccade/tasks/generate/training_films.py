"""Films to train a generator: drawn ones, with captions of what moves how, and films on disk."""

import numpy as np
import torch
from torch import Generator, Tensor

from saccade.data.cache import MEMORY_BUDGET
from saccade.data.films import FilmSet
from saccade.data.films.arrays import prepare_films
from saccade.data.scenes import Scenes
from saccade.data.scenes.films import Film
from saccade.data.scenes.phrasing import sample_film_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.tasks.generate.batches import Samples, SourcePixels
from saccade.tasks.generate.captioned import choose_captions
from saccade.tasks.generate.film_settings import exact_frame_rate
from saccade.tasks.generate.recipe import GenerateRecipe

_CAPTIONS = 8  # stream of random numbers, beside those of scenes and what they are painted from
_SENTENCES = 0.3  # of the captions, are sentences: "The red star moves left."
_SLOW = 0.3  # of the films, are a part of one with about twice as many frames: motions begin or end outside


class SceneFilms:
    """Films that never repeat, each with one caption."""

    title = "films of scenes with captions, rendered for each batch"

    def __init__(self, scenes: Scenes, recipe: GenerateRecipe):
        self.scenes, self.frames, self.sources = scenes, recipe.frames, recipe.sources

    def __len__(self) -> int:
        return len(self.scenes)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        """As many films as indices."""
        seeds: list[int] = torch.randint(2**62, (len(indices),), generator=generator).tolist()
        clips, captions = zip(*(draw_clip(self.scenes, seed, size, self.frames) for seed in seeds), strict=True)
        films = torch.from_numpy(np.stack(clips)).permute(0, 1, 4, 2, 3)
        absent = torch.zeros(len(seeds), dtype=torch.bool)
        sources = {
            name: SourcePixels(films.new_zeros(len(seeds), 1 if name == "masked" else 3, *size), absent)
            for name in self.sources
        }
        return Samples(films, list(captions), ~absent, sources)


class FilmsToPaint:
    """Films on disk, decoded once, of which each sample is a clip with one of the film's captions. Frames are resized
    to cover the size and cropped to the centre; nothing is mirrored or played backwards, as captions may say where
    things move."""

    def __init__(self, dataset: FilmSet, recipe: GenerateRecipe, size: tuple[int, int], budget: int = MEMORY_BUDGET):
        self.title, self.frames = dataset.title, recipe.frames
        rate = exact_frame_rate(recipe.fps)
        self.films, _ = prepare_films(dataset, recipe.frames, size, rate, budget)

    def __len__(self) -> int:
        return len(self.films)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        """A clip of each film."""
        clips = self.films.clips(indices, generator)
        captions = choose_captions([self.films.captions[i] for i in indices.tolist()], generator)
        return Samples(clips, *captions, {})


def draw_clip(scenes: Scenes, seed: int, size: tuple[int, int], frames: int) -> tuple[np.ndarray, str]:
    """Frames, uint8 (t y x 3), of the film of a seed, and a caption."""
    stream = RandomStream(seed, _CAPTIONS)
    slow = stream.bernoulli(_SLOW)
    film = scenes.fresh_film(size, seed, 2 * frames - 1 if slow else frames)
    first = stream.integer(frames) if slow else 0
    return film.frames[first : first + frames], film_caption(film, stream)


def film_caption(film: Film, stream: RandomStream) -> str:
    """In a few words or as sentences."""
    if stream.bernoulli(_SENTENCES):
        return film.captions[stream.choice(("en", "ko"))]
    return sample_film_caption(film.names, film.colours, film.motions, stream).text
