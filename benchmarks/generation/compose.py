"""What a generator's pictures show of their captions: held-out combinations beside seen ones, in English and Korean.

    python -m benchmarks.generation.compose --model runs/painter --steps 25
    python -m benchmarks.generation.compose --model runs/painter --steps-list 4:mean-flow,25 --guidance 2,3
    python -m benchmarks.generation.compose --model runs/painter --quick      # shows that it works

Captions of drawn scenes mention every object with its colour: in turn one object, two with a relation, three with two
relations. Of the held-out ones each has a combination of shape and colour, or of shape, relation and shape, that
training never draws (`saccade.data.scenes.constraints`); the seen ones have none. English and Korean captions are of
the same scenes. Picture i has the seed i.

A judge that shares no weights with the generator says which statements the pictures show. In the same table stand the
judge's ceiling, that is real pictures of the same descriptions, and controls with captions shuffled: pictures judged by
the description of another one, where real pictures show what chance is. Shares have 95 % intervals (Wilson); atoms of
one picture are not independent, so that the intervals of whole prompts are the safest.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import cyclopts

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from saccade.data.scenes import Combinations, Scenes
from saccade.data.scenes.phrasing import Language
from saccade.device import Device, init_device
from saccade.errors import UsageError
from saccade.tasks.generate.draw import prompt_sheet
from saccade.tasks.generate.sample import Sampler, Sampling
from saccade.tasks.generate.scene_prompts import ScenePrompt, balanced_prompts
from saccade.tasks.generate.scores import ROWS, PromptJudgements, headline_scores, paint
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.judge.judge import Judge
from saccade.tasks.judge.result import Judgement
from saccade.tasks.judge.scores import JudgementScores, Share
from saccade.tasks.loading import load

PROMPT_SEED = 6_000_011  # of scenes that neither training nor validation draws
SEARCHED = 10**6  # scenes from which those with the expected relations are taken
COMBINATIONS: tuple[Combinations, ...] = ("seen", "held-out")
LANGUAGES: tuple[Language, ...] = ("en", "ko")
ON_SHEET = 48
Number = TypeVar("Number", int, float)
Set = tuple[Combinations, Language]
Scores = Mapping[Set, Mapping[str, JudgementScores]]
Interval = tuple[float, float, float]  # value, low, high
Prompts = dict[Combinations, dict[Language, list[ScenePrompt]]]

app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class ComposeSettings:
    """What is painted.

    Parameters
    ----------
    model
        A generator: a bundled one, or a folder that `saccade train generate` wrote.
    n
        Pictures of each set of prompts: seen and held-out, English and Korean.
    steps
        Steps of the sampler.
    steps_list
        Several numbers of steps in place of --steps, each with a sampler where it is not that of --sampler, such as
        4:mean-flow,25. Each is compared with the last.
    guidance
        Scale of the guidance, or several, such as 2,3,5. Default: the generator's own.
    sampler
        euler, heun, or mean-flow for generators that were trained for few steps.
    batch
        Pictures painted at once.
    device
        Where to paint; the judge works on the CPU.
    precision
        fp32, as `saccade generate` paints, or bf16.
    sheet
        A PNG for the first pictures of held-out combinations, with their prompts and what is wrong.
    quick
        6 pictures of a set, in 2 steps; the figures mean nothing.
    """

    model: str = "painter"
    n: int = 500
    steps: int = 25
    steps_list: str = ""
    guidance: str = ""
    sampler: Sampler = "euler"
    batch: int = 50
    device: str = "auto"
    precision: str = "fp32"
    sheet: Path | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        if self.quick:
            self.n, self.steps_list = 6, "2"

    def samplings(self, usual: float = Sampling.guidance) -> list[Sampling]:
        """Every number of steps with each guidance. usual: the generator's own."""
        entries = (self.steps_list or str(self.steps)).split(",")
        steps = numbers("--steps-list", ",".join(entry.partition(":")[0] for entry in entries), int)
        samplers = [cast(Sampler, entry.partition(":")[2] or self.sampler) for entry in entries]
        return [
            Sampling(number, scale, sampler=sampler)
            for scale in numbers("--guidance", self.guidance or str(usual), float)
            for number, sampler in zip(steps, samplers, strict=True)
        ]

    def prompts(self, size: tuple[int, int]) -> Prompts:
        """Captions of each set."""
        sets = {
            name: Scenes(SEARCHED, size, PROMPT_SEED, objects=(1, 3), apart=True, combinations=name)
            for name in COMBINATIONS
        }
        return {name: balanced_prompts(world, self.n, LANGUAGES) for name, world in sets.items()}


@app.default
def main(settings: Annotated[ComposeSettings, FLAT] | None = None, out: Annotated[Outputs, FLAT] | None = None) -> None:
    settings, out = settings or ComposeSettings(), out or Outputs()
    device = init_device(settings.device, settings.precision)
    settings.samplings()  # checked before the model is loaded
    print_machine()
    task = load(settings.model)
    if not isinstance(task, GenerateTask):
        raise UsageError(f"--model {settings.model}: it does not paint pictures; give a generator")
    samplings = settings.samplings(task.default_sampling.guidance)
    task.model.to(device.device)
    painter = Painter(task, device, settings)
    print(f"{task.name} ({task.digest}), {device}")
    results, scores = [], []
    for sampling in samplings:
        found, seconds = painter.scores(sampling, settings.sheet if sampling == samplings[0] else None)
        results.append(report(sampling, found, seconds))
        scores.append(found)
    if len(samplings) > 1:
        print(f"\n## points by which each is better than {called(samplings[-1])}, held-out English prompts")
    for sampling, found in zip(samplings[:-1], scores, strict=False):
        points(called(sampling), compared(found["held-out", "en"], scores[-1]["held-out", "en"]))
    out.write({"model": task.name, "digest": task.digest, "device": str(device), "results": results}, settings)


class Painter:
    """A generator, the prompts, and the judgements of their scenes."""

    def __init__(self, task: GenerateTask, device: Device, settings: ComposeSettings):
        self.task, self.device, self.batch, self.judge = task, device, settings.batch, Judge()
        self.prompts = settings.prompts(task.preprocess.size)
        self.real = {name: judged_real(self.judge, each["en"]) for name, each in self.prompts.items()}

    def scores(self, sampling: Sampling, sheet: Path | None) -> tuple[Scores, float]:
        """The scores of every set, and the seconds a picture. sheet: for the first pictures of held-out prompts."""
        scores, seconds = {}, 0.0
        for name, language in product(COMBINATIONS, LANGUAGES):
            prompts, start = self.prompts[name][language], time.perf_counter()
            with self.device.autocast_context():
                pictures = list(paint(self.task, prompts, sampling, self.batch))
            seconds += time.perf_counter() - start
            judged = PromptJudgements.judge(self.judge, prompts, pictures, self.real[name])
            scores[name, language] = judged.scores
            if sheet and (name, language) == ("held-out", "en"):
                prompt_sheet(pictures[:ON_SHEET], judged.painted[:ON_SHEET]).save(sheet)
        return scores, seconds / sum(len(each) for sets in self.prompts.values() for each in sets.values())


def report(sampling: Sampling, scores: Scores, seconds: float) -> dict[str, Any]:
    """Print the table of one sampling; return its figures."""
    print(f"\n## {called(sampling)}: {evaluations(sampling)} evaluations, {seconds:.3f} s a picture")
    line("", (f"{name} (n={share.n})" for name, share in headline_scores(scores["seen", "en"]["painted"]).items()))
    for (name, language), rows in scores.items():
        for row in ROWS:
            line(f"{name}, {language}, {row}", map(short, headline_scores(rows[row]).values()))
    differences = {
        "held-out - seen": compared(scores["held-out", "en"], scores["seen", "en"]),
        "Korean - English, held-out": compared(scores["held-out", "ko"], scores["held-out", "en"]),
        "Korean - English, seen": compared(scores["seen", "ko"], scores["seen", "en"]),
    }
    print("differences in points")
    for title, each in differences.items():
        points(title, each)
    return {
        "sampling": asdict(sampling),
        "evaluations": evaluations(sampling),
        "seconds a picture": seconds,
        "sets": {
            f"{name}, {language}, {row}": rows[row].to_dict()
            for (name, language), rows in scores.items()
            for row in rows
        },
        "differences": differences,
    }


def line(title: str, cells: Iterable[str]) -> None:
    print("".join([f"{title:<32}", *(f"{cell:<24}" for cell in cells)]).rstrip())


def points(title: str, differences: Mapping[str, Interval]) -> None:
    line(title, ("{:+.1f} ({:+.1f} to {:+.1f})".format(*each) for each in differences.values()))


def called(sampling: Sampling) -> str:
    return f"{sampling.steps} steps, {sampling.sampler}, guidance {sampling.guidance:g}"


def evaluations(sampling: Sampling) -> int:
    """Forward passes of the generator for one picture; a guided one counts twice."""
    if sampling.sampler == "mean-flow":
        return sampling.steps
    times = [i / sampling.steps for i in range(sampling.steps)]
    if sampling.sampler == "heun":
        times += times[1:]
    return sum(2 if sampling.guided(t) else 1 for t in times)


def compared(one: Mapping[str, JudgementScores], other: Mapping[str, JudgementScores]) -> dict[str, Interval]:
    """By how many points the pictures of one set are better, with 95 % intervals."""
    pairs = zip(headline_scores(one["painted"]).items(), headline_scores(other["painted"]).values(), strict=True)
    return {name: difference(first, second) for (name, first), second in pairs}


def difference(one: Share, other: Share) -> Interval:
    """The first share minus the second in points, and its 95 % interval (Newcombe 1998, method 10)."""
    (low, high), (other_low, other_high) = one.interval, other.interval
    value = one.value - other.value
    below = math.hypot(one.value - low, other_high - other.value)
    above = math.hypot(high - one.value, other.value - other_low)
    return 100 * value, 100 * (value - below), 100 * (value + above)


def short(share: Share) -> str:
    """Without n, which is the same in all rows of a column."""
    low, high = share.interval
    return f"{share.value:.3f} ({low:.3f} to {high:.3f})"


def judged_real(judge: Judge, prompts: list[ScenePrompt]) -> list[Judgement]:
    """The scenes of the prompts."""
    return list(judge.judge_all((prompt.image, prompt.description) for prompt in prompts))


def numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    """Numbers between commas."""
    try:
        return [kind(each) for each in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} is {text!r}; numbers with commas such as 4,25 expected") from error


if __name__ == "__main__":
    app()
