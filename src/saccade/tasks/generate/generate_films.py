"""Films of a generator, for their settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.models.generator import Generator, SourceKeysValues
from saccade.tasks.generate.base import chunk_settings
from saccade.tasks.generate.film import WINDOW, FilmNoise, KnownFrames, count_windows, paint_film
from saccade.tasks.generate.image_to_image import SourceImages, to_images
from saccade.tasks.generate.result import GeneratedFilm
from saccade.tasks.generate.sample import Callback, Observer, check_finite, offset_callback
from saccade.tasks.generate.settings import Settings, require_film_settings

BATCH = 2  # films that are painted at once


class PaintsFilms(Protocol):
    """What is used of a `GenerateTask`."""

    model: Generator
    name: str
    card: dict[str, Any]

    def pictures(self, settings: Settings, originals: SourceImages | None) -> dict[str, Float[Tensor, "1 c y x"]]: ...

    def encode(
        self, settings: Sequence[Settings], pictures: Mapping[str, Float[Tensor, "1 c y x"]] | None = None
    ) -> SourceKeysValues: ...


def check_film(task: PaintsFilms, settings: Settings) -> None:
    """Raises SaccadeError for a generator that paints no films, and for settings that films do not have."""
    if not task.model.config.films:
        raise SaccadeError(f"{task.name} paints pictures, not films: use a generator that was trained on films")
    if settings.style is not None and settings.style.use == "borrow":
        raise SaccadeError(f"{task.name} was not trained to take a style, and films borrow none: leave the style out")
    if settings.image is not None or settings.layout is not None:
        raise SaccadeError("a film takes no picture to start from and no layout: leave them out")


def frames_per_window(task: PaintsFilms) -> int:
    """Frames that are painted or known at once: as many as in training."""
    frames = (task.card.get("recipe") or {}).get("frames", WINDOW)
    return frames if isinstance(frames, int) and frames > 2 and frames % 2 else WINDOW


@torch.no_grad()
def generate_films(
    task: PaintsFilms,
    settings: Sequence[Settings],
    known: KnownFrames | None = None,
    originals: SourceImages | None = None,
    callback: Callback | None = None,
    observe: Observer | None = None,
    sources: SourceKeysValues | None = None,
) -> Iterator[GeneratedFilm]:
    """A film for each of the settings, in order; the same whatever the others are, but for the last digits. known:
    frames that are given. originals: with the style. observe: as in `sample.sample`. sources: what `task.encode` gave
    for the settings, if it was called before.

    Raises SaccadeError where the settings are of other frames or another style."""
    known, model, most = known or KnownFrames(), task.model.eval(), frames_per_window(task)
    runs = list(chunk_settings(settings, lambda each: replace(each, seed=0, prompt="", negative=""), lambda _: BATCH))
    tensors = cache(partial(known.tensors, device=model.device))  # of one size, as a rule
    counts = [
        run[0].sampling.steps * count_windows(require_film_settings(run[0]), len(known.before), most) for run in runs
    ]
    for i, run in enumerate(runs):
        first, device = run[0], model.device
        film = require_film_settings(first)
        known.check(film)
        pictures = task.pictures(first, (originals or SourceImages()).select_for(first))
        noise = FilmNoise([each.seed for each in run], (model.config.channels, *first.size), device)
        report = offset_callback(callback, sum(counts[:i]), sum(counts))
        frames = paint_film(
            model,
            noise,
            sources or task.encode(run, pictures),
            first.sampling,
            film,
            tensors(first.size),
            first.sampling.guidance_terms(tuple(pictures)),
            report,
            observe,
            most,
        )
        yield from _films(run, frames)


def _films(run: Sequence[Settings], frames: Float[Tensor, "b f c y x"]) -> Iterator[GeneratedFilm]:
    check_finite(frames)
    for each, pixels in zip(run, frames, strict=True):
        yield GeneratedFilm(to_images(pixels), each)
