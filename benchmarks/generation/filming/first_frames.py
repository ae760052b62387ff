"""Films from their first frames and a caption."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.generation.figures import Mean, Row, Table
from benchmarks.generation.filming.consistency import consistency
from benchmarks.generation.filming.examined import (
    ExaminedFilm,
    appearance_right,
    examine,
    motions_right,
    others,
    share,
    with_motions_of,
)
from benchmarks.generation.filming.painter import COMBINATIONS, FilmPainter
from benchmarks.generation.filming.prompts import FilmPrompt
from benchmarks.generation.filming.sheet import save_sheets
from saccade.tasks.generate.fidelity import psnr
from saccade.tasks.judge.films import FilmDescription
from saccade.tasks.judge.find import ObjectFinder


def score(painter: FilmPainter, finder: ObjectFinder) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    for combinations in COMBINATIONS:
        prompts, name = painter.prompts(combinations), f"first frame, {combinations}"
        painted = examine(finder, painter.from_first_frames(prompts, f"{name}: painting"), f"{name}: judging")
        true = examine(finder, [prompt.frames for prompt in prompts], f"{name}: judging true films")
        descriptions = [prompt.description for prompt in prompts]
        pairs = zip(descriptions, others(descriptions), strict=True)
        other_motions = [with_motions_of(one, other) for one, other in pairs]
        yield (
            name,
            {
                "painted": figures(prompts, painted, descriptions),
                "true": figures(prompts, true, descriptions),
                "first frame kept still": figures(prompts, [film.still() for film in true], descriptions),
                "painted, motions shuffled": figures(prompts, painted, other_motions),
            },
        )
        judgements = [film.judge(each) for film, each in zip(painted, descriptions, strict=True)]
        of_true = [film.judge(each) for film, each in zip(true, descriptions, strict=True)]
        yield f"{name}: consistency", consistency(painted, true, judgements, of_true)
        if painter.settings.sheets:
            texts = [prompt.text for prompt in prompts]
            save_sheets(painter.settings.sheets, f"first-frame-{combinations}", painted, texts, judgements)


def figures(
    prompts: Sequence[FilmPrompt], films: Sequence[ExaminedFilm], descriptions: Sequence[FilmDescription]
) -> Row:
    """Whether the first frame is kept and the next one goes on from it, whether objects remain, and their motions."""
    judgements = [film.judge(each) for film, each in zip(films, descriptions, strict=True)]
    pixels = [[np.asarray(frame) for frame in film.frames[:2]] for film in films]
    given = [prompt.film.frames[0] for prompt in prompts]
    return {
        "first frame equal": share(np.array_equal(each[0], first) for each, first in zip(pixels, given, strict=True)),
        "PSNR of frame 1": Mean([psnr(each[0], first) for each, first in zip(pixels, given, strict=True)]),
        "PSNR of frame 2 to 1": Mean([psnr(each[1], each[0]) for each in pixels]),
        "motions": share(right for each in judgements for right in motions_right(each)),
        "all motions": share(all(motions_right(each)) for each in judgements),
        "objects, all frames": share(appearance_right(each) for each in judgements),
        "all right": share(each.all_right for each in judgements),
    }
