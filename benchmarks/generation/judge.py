"""How often the judge of drawn scenes is right: real scenes with their own descriptions, and with those of others.

    python -m benchmarks.generation.judge --real 1000 --objects 1-3
    python -m benchmarks.generation.judge --real 1000 --objects 3-8 --overlap      # objects may hide each other
    python -m benchmarks.generation.judge --real 1000 --objects 1-3 --size 64      # enlarged to 128 pixels
    python -m benchmarks.generation.judge --real 20 --quick                        # shows that it works

The first table is the judge's ceiling: all that it calls wrong there is a mistake of its own, so no generator can
reach more. The second is a control: each scene with the description of the next one. Shares have 95 % intervals
(Wilson); atoms of one picture are not independent, so those of "pictures" are the safest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cyclopts
import torch
from tqdm.auto import tqdm

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from saccade.data.scenes import Scenes
from saccade.errors import UsageError
from saccade.tasks.judge.draw import draw_judgement
from saccade.tasks.judge.judge import CEILING_SEED, Judge, judge_found
from saccade.tasks.judge.result import Judgement
from saccade.tasks.judge.scores import JudgementScores

app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class JudgeSettings:
    """What is judged.

    Parameters
    ----------
    real
        Number of real scenes.
    objects
        The fewest and the most objects of a scene, such as 1-3.
    overlap
        Objects may hide each other and lie inside rings and frames.
    size
        Pixels of a side.
    seed
        Of the scenes.
    mistakes
        A folder for drawings of the scenes in which an atom is judged wrong.
    quick
        Judge 20 scenes; the figures mean nothing.
    """

    real: int = 1000
    objects: str = "1-3"
    overlap: bool = False
    size: int = 128
    seed: int = CEILING_SEED
    mistakes: Path | None = None
    quick: bool = False

    def scenes(self) -> Scenes:
        first, _, last = self.objects.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            raise UsageError(f"--objects is {self.objects!r}; two numbers such as 1-3 expected")
        n = 20 if self.quick else self.real
        return Scenes(n, self.size, self.seed, objects=(int(first), int(last or first)), apart=not self.overlap)


@app.default
def main(settings: Annotated[JudgeSettings, FLAT] | None = None, out: Annotated[Outputs, FLAT] | None = None) -> None:
    settings, out = settings or JudgeSettings(), out or Outputs()
    torch.set_num_threads(1)  # the networks are small
    print_machine()
    judge, scenes = Judge(), settings.scenes()
    descriptions = [scenes.scene(i).description for i in range(len(scenes))]
    pairs = ((scenes.picture(i), description) for i, description in enumerate(descriptions))
    real = list(tqdm(judge.judge_all(pairs), total=len(scenes), unit="scenes", delay=1, disable=None))
    others = [*descriptions[1:], *descriptions[:1]]
    shuffled = [judge_found(each.found, other) for each, other in zip(real, others, strict=True)]
    tables = {"own descriptions": JudgementScores.of(real), "descriptions of others": JudgementScores.of(shuffled)}
    for name, scores in tables.items():
        print(f"\n{len(scenes)} real scenes with {name}\n{scores.table()}")
    if settings.mistakes:
        draw_mistakes(scenes, real, settings.mistakes)
    out.write({name: scores.to_dict() for name, scores in tables.items()}, settings)


def draw_mistakes(scenes: Scenes, judgements: list[Judgement], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, judgement in enumerate(judgements):
        if not judgement.all_right:
            draw_judgement(scenes.picture(i).image, judgement).save(folder / f"{judgement.name}.png")


if __name__ == "__main__":
    app()
