"""Films from their first frames and a caption."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.generation.figures import Mean, Row, Table
from benchmarks.generation.filming.consistency import consistency
from benchmarks.generation.filming.examined import (
    ExaminedFilm,
    appearance_right,
    examine,
    judged,
    motions_right,
    others,
    share,
    with_motions_of,
)
from benchmarks.generation.filming.painter import COMBINATIONS, FilmPainter
from benchmarks.generation.filming.prompts import FilmPrompt
from benchmarks.generation.filming.sheet import save_sheets
from saccade.tasks.generate.fidelity import psnr
from saccade.tasks.judge.films import FilmJudgement
from saccade.tasks.judge.find import ObjectFinder


def score(painter: FilmPainter, finder: ObjectFinder) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    for combinations in COMBINATIONS:
        prompts, name = painter.prompts(combinations), f"first frame, {combinations}"
        painted = examine(finder, painter.from_first_frames(prompts, f"{name}: painting"), f"{name}: judging")
        true = examine(finder, [prompt.frames for prompt in prompts], f"{name}: judging true films")
        descriptions = [prompt.description for prompt in prompts]
        judgements, of_true = judged(painted, descriptions), judged(true, descriptions)
        still = [film.still() for film in true]
        other_motions = list(map(with_motions_of, descriptions, others(descriptions)))
        yield (
            name,
            {
                "painted": figures(prompts, painted, judgements),
                "true": figures(prompts, true, of_true),
                "first frame kept still": figures(prompts, still, judged(still, descriptions)),
                "painted, motions shuffled": figures(prompts, painted, judged(painted, other_motions)),
            },
        )
        yield f"{name}: consistency", consistency(painted, true, judgements, of_true)
        if painter.settings.sheets:
            texts = [prompt.text for prompt in prompts]
            save_sheets(painter.settings.sheets, f"first-frame-{combinations}", painted, texts, judgements)


def figures(prompts: Sequence[FilmPrompt], films: Sequence[ExaminedFilm], judgements: Sequence[FilmJudgement]) -> Row:
    """Whether the first frame is kept and the next one goes on from it, whether objects remain, and their motions."""
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
