"""Scores of a generator on drawn scenes: which statements of a caption its pictures show, in English and in Korean, and
how its pictures are distributed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from saccade.data.output import write_png
from saccade.data.scenes import Scenes
from saccade.data.scenes.phrasing import Language
from saccade.device import Device
from saccade.errors import UsageError
from saccade.options import OnError
from saccade.tasks.accuracy_intervals import draw_accuracy_bars
from saccade.tasks.commands import Evaluation
from saccade.tasks.generate.distribution import DistributionMetrics
from saccade.tasks.generate.draw import prompt_sheet
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.scene_prompts import scene_prompts
from saccade.tasks.generate.scores import PromptJudgements, headline_scores, paint, scores_by_kind, share_to_dict
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.judge.judge import Judge
from saccade.tasks.judge.result import Judgement
from saccade.tasks.judge.scores import JudgementScores, Share
from saccade.tasks.scenes import evaluation_scenes

LANGUAGES: dict[str, Language] = {"": "en", "Korean ": "ko"}  # prefix of the scores -> language of the prompts
ON_SHEET = 24
Details = dict[str, dict[str, JudgementScores]]  # group of prompts -> row of `scores.ROWS` -> scores


def evaluate(
    task: GenerateTask | PublicGenerateTask, data: Path, split: str | None, on_error: OnError, device: Device, out: Path
) -> Evaluation:
    """The judge's shares of right atoms and of whole prompts, by the number of objects, for pictures of captions of the
    scenes; beside them those of the scenes themselves, the judge's ceiling, and those with the captions shuffled. Of
    the pictures of the English captions also how near they are to scenes as training draws them and to others, and
    their precision and recall in the features of the bundled segmenter "shapes" (`distribution.DistributionMetrics`).

    Pictures are painted with the generator's `default_sampling`; picture i has the seed i. scores.png, and sheet.png
    with the first pictures, go to `out`.

    Raises UsageError for a split, a public pipeline, and data that are not scenes of the shapes the judge knows.
    """
    if split is not None:
        raise UsageError(f"--split {split}: scenes have no splits; leave it out")
    if not isinstance(task, GenerateTask):
        raise UsageError(f"{data}: the scores are those of drawn scenes, which {task.name} was not trained to paint")
    world = _world(task, data)
    task.model.to(device.device).eval()
    judge, sampling = Judge(), task.default_sampling
    details: Details = {}
    real: list[Judgement] = []
    for prefix, language in LANGUAGES.items():
        prompts = scene_prompts(world, language)
        with device.autocast_context():
            pictures = list(paint(task, prompts, sampling))
        judged = PromptJudgements.judge(judge, prompts, pictures, real)
        real = judged.real
        details |= {
            f"{prefix}{name}": scores for name, scores in _groups(judged, [p.held_out for p in prompts]).items()
        }
        if not prefix:  # the fonts of a system often lack Korean
            images, scenes = [each.image for each in pictures], [each.image for each in prompts]
            distribution = DistributionMetrics.of(images, scenes, world, judge.finder.segmenter)
            write_png(out / "sheet.png", prompt_sheet(pictures[:ON_SHEET], judged.painted[:ON_SHEET]))
    write_png(out / "scores.png", draw_accuracy_bars(_chart(details)))
    return Evaluation(
        _scores(details)
        | distribution.scores
        | _about(world, sampling)
        | {"details": _json(details), "distribution": distribution.to_dict()},
        _bars(details),
    )


def _world(task: GenerateTask, data: Path) -> Scenes:
    """The scenes that `data` specifies, with those of training as defaults."""
    defaults = {name: task.card[name] for name in ("objects", "apart") if task.card.get(name) is not None}
    world = evaluation_scenes(data, task.preprocess.size, **defaults)
    if world is None:
        raise UsageError(f"{data}: a generator is scored on scenes; give scenes or scenes:N")
    if world.sprites:
        raise UsageError(f"{data}: the judge does not know sprites; leave them out")
    return world


def _about(world: Scenes, sampling: Sampling) -> dict[str, Any]:
    """What was painted and how."""
    fewest, most = world.composition.objects
    about = {"objects": f"{fewest} to {most}", "apart": world.composition.apart, "sampling": asdict(sampling)}
    return {"pictures": len(world), "skipped": {}, **about}


def _groups(judged: PromptJudgements, held_out: list[bool]) -> Details:
    """Of all prompts, and of those with and without a held-out combination where there are both."""
    groups = {"": judged}
    if any(held_out) and not all(held_out):
        groups |= {"held-out ": judged.part(held_out), "seen ": judged.part([not each for each in held_out])}
    return {name: each.scores for name, each in groups.items()}


def _scores(details: Details) -> dict[str, float | None]:
    """What is printed: of the pictures all headlines, and of the scenes and the control, in English, those of all
    prompts; of the groups of combinations whole prompts."""
    found: dict[str, Share] = {}
    for group, rows in details.items():
        shares = headline_scores(rows["painted"])
        kept = shares if group in LANGUAGES else {"whole prompts": shares["whole prompts"]}
        found |= {f"{group}{name}": share for name, share in kept.items()}
    for row, label in (("real", "real scenes"), ("painted, shuffled", "shuffled captions")):
        if row in details[""]:
            shares = headline_scores(details[""][row])
            found |= {f"{name}, {label}": shares[name] for name in ("atoms", "whole prompts")}
    return {name: share.value if share.n else None for name, share in found.items()}


def _bars(details: Details) -> dict[str, float | None]:
    """Shares of right atoms by kind."""
    kinds = {prefix: scores_by_kind(details[prefix]["painted"]) for prefix in LANGUAGES}
    return {f"{prefix}{kind}": share.value for prefix, shares in kinds.items() for kind, share in shares.items()}


def _chart(details: Details) -> dict[str, dict[str, Any]]:
    """A bar for each headline of the pictures, and of the scenes in English, with chance from shuffled captions."""
    bars = {}
    for group, rows in details.items():
        for row, label in (("painted", ""), ("real", ", real scenes"))[: 1 if group else 2]:
            chance = rows.get(f"{row}, shuffled")
            known = {} if chance is None else headline_scores(chance)
            for name, share in headline_scores(rows[row]).items():
                mark = {"chance": known[name].value} if name in known else {}
                bars[f"{group}{name}{label}"] = share_to_dict(share) | mark
    return bars


def _json(details: Details) -> dict[str, Any]:
    """Value, interval and n of every share."""
    return {f"{group}{row}": scores.to_dict() for group, rows in details.items() for row, scores in rows.items()}
