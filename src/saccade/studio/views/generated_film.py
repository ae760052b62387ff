"""The page of a generated film: which words act in which frame, and where each place looks in every frame."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from saccade.lens import Call, Trace
from saccade.studio.film.attention import FilmAttentionCall
from saccade.studio.film.generated_film import GeneratedFilmLayout, GeneratedFilmPageData
from saccade.studio.page.page import PageInput, PageReport, write_page
from saccade.studio.views.generated_picture import GenerationPageData
from saccade.studio.views.generated_picture_trace import painting_notes, text_maps
from saccade.studio.views.public_film import FilmWords, film_words
from saccade.tasks.generate.film import KnownFrames
from saccade.tasks.generate.film_look import GeneratedFilmTrace, trace_generated_film
from saccade.tasks.generate.image_to_image import SourceImages, to_images
from saccade.tasks.generate.public_film import PublicFilmTask
from saccade.tasks.generate.public_film_look import trace_film
from saccade.tasks.generate.result import GeneratedFilm
from saccade.tasks.generate.sample import Callback
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask

BUDGET = 11_000_000


def write_film_page(
    task: GenerateTask | PublicFilmTask,
    settings: Settings,
    path: Path,
    known: KnownFrames | None = None,
    callback: Callback | None = None,
    budget: int = BUDGET,
    originals: SourceImages | None = None,
    window: int = -1,
) -> tuple[GeneratedFilm, PageReport]:
    """Paint a film, the same as `task.generate_films`, and write a page that shows, at its first, middle and last step,
    where each word acts in each frame and where each place looks in all frames.

    Of a pipeline of another library the page shows the words alone.

    window: of a film that is painted in several, the one to show, by default the last.

    Raises DataError if the page cannot be written, and SaccadeError as `trace_generated_film` and `trace_film` do.
    """
    film, page = film_page(task, settings, known, callback, originals, window)
    return film, write_page(path, page, budget)


def film_page(
    task: GenerateTask | PublicFilmTask,
    settings: Settings,
    known: KnownFrames | None = None,
    callback: Callback | None = None,
    originals: SourceImages | None = None,
    window: int = -1,
) -> tuple[GeneratedFilm, PageInput]:
    """The film, and the page that `write_film_page` writes of it."""
    targets: GeneratedFilmPageData | FilmWords
    if isinstance(task, GenerateTask):
        generation = trace_generated_film(task, settings, known, window, None, callback, originals)
        film, targets = generation.film, generated_film_page_data(generation)
        first = targets.layout.frames[0]
    else:
        traced = trace_film(task, settings, known=known, callback=callback)
        film, targets = traced.film, film_words(traced)
        first = targets.frames[0]
    page = PageInput(
        picture=first,
        grid=targets.grid,
        trace=targets.others,
        title=settings.prompt.strip() or "A film",
        model=_facts(task, film),
        targets=targets,
    )
    return film, page


def generated_film_page_data(generation: GeneratedFilmTrace) -> GeneratedFilmPageData:
    """What a page shows of a generation."""
    layout, steps = film_layout(generation), generation.steps
    prompt = text_maps(generation, "prompt")
    shown = [[to_images(frame[None])[0] for frame in each.prediction] for each in steps]
    words = GenerationPageData(
        layers=[replace(layer, places=None) for layer in prompt.layers],
        others=Trace([]),
        grid=layout.grid,
        notes=[],
        prompt=generation.settings.prompt,
        words=prompt.words,
        bias=prompt.bias,
        steps=[each.step for each in steps],
        times=[each.t for each in steps],
        predictions=[None] * len(steps),
        of=generation.settings.sampling.steps,
        self_step=steps[len(steps) // 2].step,
        other=prompt.other,
    )
    calls = [generation.call(step, layer, "self") for step in range(len(steps)) for layer in range(generation.depth)]
    order, window = _order(generation, layout), generation.window
    return GeneratedFilmPageData(
        layers=[prompt_attention_call(call, i % generation.depth + 1, layout, order) for i, call in enumerate(calls)],
        others=Trace([]),
        grid=layout.grid,
        notes=_notes(generation, len(steps), painting_notes(generation, prompt, None)),
        layout=layout,
        start=layout.token(len(window.history) // 2 if window.history else 0, layout.grid[0] // 2, layout.grid[1] // 2),
        words=words,
        predictions=[_around(frames, layout, generation) for frames in shown],
        window=window.index,
        windows=window.of,
    )


def film_layout(generation: GeneratedFilmTrace) -> GeneratedFilmLayout:
    """The frames of the window, in the order of time."""
    window, film = generation.window, generation.film
    after = [] if window.last is None else [window.last]
    numbers = [*window.history, *window.painted[: window.kept], *after]
    pictures = [film.frames[number] for number in numbers]
    groups, at = list[range](), 0
    for group in [
        *window.known_groups[: len(window.known_groups) - len(after)],
        *window.painted_groups,
        *([after] if after else []),
    ]:
        groups.append(range(at, at + len(group)))
        at += len(group)
    past = len(window.known_groups) - len(after)
    known = [*range(past), *([len(groups) - 1] if after else [])]
    times = [number / film.fps for number in numbers]
    return GeneratedFilmLayout(pictures, times, groups, generation.grid[1:], (), numbers, known)


def prompt_attention_call(
    call: Call, layer: int, layout: GeneratedFilmLayout, order: Int[Tensor, "n"]
) -> FilmAttentionCall:
    """The self-attention of a prompt with queries of all tokens, 0 for those of known frames, in the order of the
    layout. order: index of each token among the sources: known frames, then those that are painted."""
    k, q = call.k[:1].cpu().float(), call.q[:1].cpu().float()
    absent: Float[Tensor, "1 h n k"] = q.new_zeros(1, q.shape[1], k.shape[2] - q.shape[2], q.shape[3])
    q = torch.cat([absent, q], dim=2)
    return FilmAttentionCall(call.name, layer, layout, q[:, :, order], k[:, :, order], call.scale)


def _order(generation: GeneratedFilmTrace, layout: GeneratedFilmLayout) -> Int[Tensor, "n"]:
    known, painted = len(layout.known), len(layout.groups) - len(layout.known)
    past = known - (generation.window.last is not None)
    groups = [*range(past), *range(known, known + painted), *range(past, known)]
    every = torch.arange(len(groups) * layout.patches).view(len(groups), layout.patches)
    return every[groups].flatten()


def _around(
    frames: Sequence[Image.Image], layout: GeneratedFilmLayout, generation: GeneratedFilmTrace
) -> list[Image.Image]:
    """The frames of the film as predicted, between those that are known."""
    first, kept = len(generation.window.history), generation.window.kept
    return [*layout.frames[:first], *frames[:kept], *layout.frames[first + kept :]]


def _notes(generation: GeneratedFilmTrace, steps: int, notes: list[str]) -> list[str]:
    window, of = generation.window, generation.settings.sampling.steps
    found = list(notes)
    if steps < of:
        found.append(f"The page shows {steps} of {of} steps, to stay small.")
    if window.of > 1:
        first, last = window.painted[0] + 1, window.painted[window.kept - 1] + 1
        found.append(
            f"The film was painted in {window.of} windows; the page shows window {window.index + 1}, in which frames "
            f"{first} to {last} were painted, and no attention of the others."
        )
    if window.kept < len(window.painted):
        found.append("Frames are painted two at a time: the last tube holds one more, which is not part of the film.")
    return found


def _facts(task: GenerateTask | PublicFilmTask, film: GeneratedFilm) -> dict[str, str]:
    settings, own = film.settings, dict[str, str]()
    height, width = settings.size
    if isinstance(task, GenerateTask):
        patch = task.model.config.patch
        own = {"parameters": f"{task.parameters / 1e6:.1f} million", "patch": f"{patch} x {patch} pixels"}
    return {
        "name": task.name,
        **own,
        "frames": f"{len(film.frames)}, {film.fps:g} a second",
        "picture": f"{width} x {height} pixels",
        "sampler": f"{settings.sampler}, {settings.sampling.steps} steps",
        "guidance": f"{settings.sampling.guidance:g}",
        "seed": str(settings.seed),
        **({"negative": settings.negative} if settings.negative.strip() else {}),
    }
