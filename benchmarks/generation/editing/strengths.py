"""Scenes painted anew from noised versions of themselves, by their own captions, at several strengths."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from benchmarks.generation.figures import Mean, Row, Table
from benchmarks.generation.metrics import absolute_difference
from benchmarks.generation.painter import Painter, Request, draw_sheet
from saccade.tasks.generate.scene_prompts import scene_prompts
from saccade.tasks.judge.judge import Judge
from saccade.tasks.judge.scores import Share

STRENGTHS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)
PICTURES = 25  # at most


def score(painter: Painter, _: Judge) -> Iterator[tuple[str, Table]]:
    """Tables with their titles: mean absolute differences to the picture, 0 to 1."""
    prompts = scene_prompts(painter.scenes(min(painter.settings.n, PICTURES)), "en")
    painted = {
        strength: painter.paint(
            [Request(each.text, each.image, strength=strength) for each in prompts], f"strength {strength:g}"
        )
        for strength in STRENGTHS
    }
    differences = {
        strength: [
            absolute_difference(np.asarray(picture), each.pixels) / 255
            for picture, each in zip(pictures, prompts, strict=True)
        ]
        for strength, pictures in painted.items()
    }
    means = {strength: Mean([float(each.mean()) for each in found]) for strength, found in differences.items()}
    if painter.settings.sheets:
        titles = ["real", *(f"{strength:g}" for strength in STRENGTHS)]
        examples = list(zip([each.image for each in prompts], *painted.values(), strict=True))
        sheet = draw_sheet(titles, examples, [each.text for each in prompts])
        sheet.save(painter.settings.sheets / "strengths.png")
    largest = [float(each.max()) for each in differences[0.0]]
    yield "strength: distance to the picture", {f"{each:g}": {"distance": mean} for each, mean in means.items()}
    yield "strength: properties", {"painted": properties(means, largest)}


def properties(means: Mapping[float, Mean], largest: Sequence[float]) -> Row:
    """largest: differences at strength 0."""
    rises = [low.value <= high.value for low, high in pairwise(means.values())]
    columns = zip(*(mean.values for mean in means.values()), strict=True)
    monotone = [all(low <= high for low, high in pairwise(values)) for values in columns]
    return {
        "0 gives the picture": Share(sum(each <= 1 / 255 for each in largest), len(largest)),
        "mean rises": Share(sum(rises), len(rises)),
        "rises always": Share(sum(monotone), len(monotone)),
    }
