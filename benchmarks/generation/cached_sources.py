"""Seconds a picture that is painted from a caption, a picture and a style: sources encoded once and at every step.

    python -m benchmarks.generation.cached_sources --json-file cached.json
    python -m benchmarks.generation.cached_sources --quick          # shows that it works

A generator of the size of the bundled one, with random weights, on one core of a CPU, in processor seconds, in fp32,
eager, 25 guided steps of two evaluations each in one batch. All ways take turns in one run. Once: keys and values of
the sources are computed before the first step, which is timed. Each step: by the same functions at every step; the
pictures must be equal to 1e-5. In the sequence: both pictures go through all blocks at every step as tokens that see
only one another, which is how generators read their sources that have no cross-attention to them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import cyclopts
import torch
from torch import Tensor

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import measure
from benchmarks.generation.generate import GUIDANCE, PROMPT, report, report_difference
from saccade.models.generator import FilmClip, Generator, GeneratorConfig, SourceKeysValues
from saccade.models.source_encoders import PictureInput
from saccade.tasks.generate.sample import Sampling, sample

ONCE, EACH_STEP, SEQUENCE = "once", "each step", "in the sequence, each step"
FLOOR = 2.2


class EncodesEachStep:
    """A generator that computes its sources anew at every evaluation. encode: computes them."""

    def __init__(self, model: Generator, encode: Callable[[], SourceKeysValues]):
        self.model, self.encode, self.config = model, encode, model.config

    def predict(self, z: Tensor, t: Tensor, sources: SourceKeysValues) -> Tensor:
        """`Generator.predict`."""
        return self.model.predict(z, t, self.encode())


def new_generator(depth: int) -> Generator:
    """With random values for the weights that start at 0."""
    config = {"depth": depth, "late": 1, "pictures": ("picture", "style"), "films": True, "refine": 32}
    model = Generator(GeneratorConfig.model_validate(config)).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return model


@torch.no_grad()
def main(*, repeats: int = 7, quick: bool = False, side: int = 64, json_file: Path | None = None) -> None:
    """Time and compare.

    Parameters
    ----------
    repeats
        Turns that each way gets, after one that is not counted.
    quick
        A small model, two steps and three turns, to show that it works. Its figures mean nothing.
    side
        Of the pictures in pixels.
    json_file
        Write all figures there.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print_machine()
    model, steps = new_generator(2 if quick else 8), 2 if quick else 25
    noise, picture, style = torch.randn(1, 1, 3, side, side), torch.rand(2, 3, side, side), torch.rand(2, 3, side, side)
    words, present, there = model.tokenize([PROMPT, "-"]), torch.tensor([True, False]), torch.ones(2, dtype=torch.bool)
    pictures = {"picture": PictureInput(picture, there), "style": PictureInput(style, there)}

    def encode() -> SourceKeysValues:
        return model.encode(words, present, pictures)

    def in_sequence() -> SourceKeysValues:
        return model.with_past(
            model.encode(words, present), [FilmClip(picture[:, None]), FilmClip(style[:, None], 2)], 1
        )

    sampling = Sampling(steps, GUIDANCE)
    ways: dict[str, Callable[[], Tensor]] = {
        ONCE: lambda: sample(model, noise, encode(), sampling),
        EACH_STEP: lambda: sample(cast(Generator, EncodesEachStep(model, encode)), noise, encode(), sampling),
        SEQUENCE: lambda: sample(cast(Generator, EncodesEachStep(model, in_sequence)), noise, encode(), sampling),
    }
    apart = float((ways[ONCE]() - ways[EACH_STEP]()).abs().max())
    times = measure(ways, 3 if quick else repeats, clock=time.process_time)
    ratios = [(f"once / {way}", ONCE, way) for way in (EACH_STEP, SEQUENCE)]
    found = report(times, ratios, dict.fromkeys((title for title, _, _ in ratios), FLOOR), 1, "picture")
    found |= report_difference("once and at each step", apart)
    write_json(json_file, found)


if __name__ == "__main__":
    cyclopts.run(main)
