"""Scores of a generator by the judge of drawn scenes, beside real scenes and a control with captions shuffled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tqdm.auto import tqdm

from saccade.data.scenes import Description
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.scene_prompts import ScenePrompt
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.judge.judge import Judge, judge_found
from saccade.tasks.judge.result import Judgement
from saccade.tasks.judge.scores import JudgementScores, Share

ROWS = ("painted", "real", "painted, shuffled", "real, shuffled")


def paint(
    task: GenerateTask, prompts: Sequence[ScenePrompt], sampling: Sampling, batch: int = 16
) -> Iterator[GeneratedPicture]:
    """A picture of each prompt, of the size of its scene; that of prompt i has the seed i."""
    sizes = [prompt.pixels.shape[:2] for prompt in prompts]
    settings = [
        task.settings(prompt.text, seed=i, sampling=sampling, height=height, width=width)
        for i, (prompt, (height, width)) in enumerate(zip(prompts, sizes, strict=True))
    ]
    painted = task.generate_all(settings, batch=batch)
    yield from tqdm(painted, "painting", len(settings), unit="pictures", delay=1, disable=None, leave=False)


@dataclass(frozen=True)
class PromptJudgements:
    """Judgements of pictures of the same prompts.

    Attributes:
        painted: of the generated pictures.
        real: of the scenes that the prompts are captions of: whatever is wrong there is a mistake of the judge.
    """

    painted: list[Judgement]
    real: list[Judgement]

    @classmethod
    def judge(
        cls,
        judge: Judge,
        prompts: Sequence[ScenePrompt],
        pictures: Sequence[GeneratedPicture],
        real: Sequence[Judgement] = (),
    ) -> Self:
        """The judgements of the generated pictures, and of the scenes. real: earlier ones of the same scenes, by any
        prompts, so that they are not examined again."""
        descriptions = [prompt.description for prompt in prompts]
        painted = list(judge.judge_all(zip([each.image for each in pictures], descriptions, strict=True)))
        if not real:
            real = list(judge.judge_all(zip([prompt.image for prompt in prompts], descriptions, strict=True)))
        return cls(painted, judge_again(real, descriptions))

    @property
    def scores(self) -> dict[str, JudgementScores]:
        """For each of `ROWS`; the shuffled ones, which show what chance is, only of two prompts or more."""
        sets = {"painted": self.painted, "real": self.real}
        if len(self.painted) > 1:
            sets |= {f"{name}, shuffled": shuffle_descriptions(judgements) for name, judgements in sets.items()}
        return {name: JudgementScores.of(judgements) for name, judgements in sets.items()}

    def part(self, chosen: Sequence[bool]) -> "PromptJudgements":
        """Those of some prompts."""
        painted, real = (
            [each for each, is_chosen in zip(judgements, chosen, strict=True) if is_chosen]
            for judgements in (self.painted, self.real)
        )
        return PromptJudgements(painted, real)


def judge_again(judgements: Sequence[Judgement], descriptions: Sequence[Description]) -> list[Judgement]:
    """The same pictures, judged by other descriptions."""
    pairs = zip(judgements, descriptions, strict=True)
    return [judge_found(each.found, description, each.name) for each, description in pairs]


def shuffle_descriptions(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Each picture judged by the description of another one, of as many objects where there is one."""
    order = sorted(range(len(judgements)), key=lambda i: len(judgements[i].description.objects))
    pictures = [judgements[i] for i in order]
    return judge_again(pictures, [each.description for each in [*pictures[1:], *pictures[:1]]])


def headline_scores(scores: JudgementScores) -> dict[str, Share]:
    """Of atoms, of whole prompts, and of whole prompts by the number of objects."""
    found = {"atoms": scores.total["atoms"], "whole prompts": scores.total["pictures"]}
    for k, shares in scores.by_objects.items():
        found[f"{k} object{'s' * (k != 1)}"] = shares["pictures"]
    return found


def scores_by_kind(scores: JudgementScores) -> dict[str, Share]:
    """Of the atoms of each kind that occurs."""
    return {name: share for name, share in scores.total.items() if share.n and name not in ("pictures", "atoms")}


def share_to_dict(share: Share) -> dict[str, Any]:
    """For charts."""
    low, high = share.interval
    return {"value": share.value, "low": low, "high": high, "n": share.n}
