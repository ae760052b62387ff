"""Scores of a matcher: on scenes recall among candidates, minimal edits, languages, held-out combinations, control; on
pictures with captions recall."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.captions import caption_splits, open_captions
from saccade.data.output import write_png
from saccade.data.scenes import Caption, Combinations, Description, Scenes
from saccade.data.scenes.edits import Kind
from saccade.data.scenes.phrasing import Language
from saccade.data.scenes.random_stream import RandomStream
from saccade.device import Device
from saccade.errors import UsageError
from saccade.models.matcher import PictureFeatures
from saccade.options import OnError
from saccade.tasks.accuracy_intervals import draw_accuracy_bars
from saccade.tasks.commands import Evaluation
from saccade.tasks.match.batches import extra_object_caption, hard_negative_caption
from saccade.tasks.match.candidates import SceneCandidates, candidate_sets
from saccade.tasks.match.caption_report import evaluate_captions
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.match.scores import recalls, shuffled, summarize_accuracy
from saccade.tasks.match.task import MatchTask
from saccade.tasks.scenes import evaluation_scenes

BATCH = 50  # pictures, or texts, encoded at once
EDITS: tuple[Kind | Literal["count"], ...] = (*get_args(Kind), "count")  # count: one object more than there is
Hits = dict[str, list[Tensor]]
_EDITS = 5  # stream of random numbers; candidates use 4


def evaluate(
    task: MatchTask | PublicMatchTask, data: Path, split: str | None, on_error: OnError, device: Device, out: Path
) -> Evaluation:
    """`evaluate_scenes` of a specification of scenes, `evaluate_captions` of other data.

    Raises UsageError for a split of scenes, and for scenes with a public matcher; DataError for data without captions.
    """
    world = scenes_to_evaluate(task, data)
    if world is None:
        return evaluate_captions(task, open_captions(data, split, on_error), device, out)
    if not isinstance(task, MatchTask):
        raise UsageError(f"{data}: scenes score the head of a matcher, which {task.name} does not have; give a folder")
    if split is not None:
        raise UsageError(f"--split {split}: scenes have no splits; leave it out, or give a folder of pictures")
    return evaluate_scenes(task, world, device, out)


def evaluate_held_out(
    task: MatchTask | PublicMatchTask, data: Path, fraction: float, on_error: OnError, device: Device, out: Path
) -> Evaluation:
    """`evaluate_captions` of the pictures that `saccade train match` holds out of data with --val-fraction `fraction`
    and the default seed; beside the captions of the nearest of the other pictures.

    Raises UsageError for scenes; DataError as `caption_splits`."""
    if scenes_to_evaluate(task, data) is not None:
        raise UsageError(
            f"{data}: --held-out is of pictures with captions; scenes that are scored are never trained on"
        )
    known, held_out = caption_splits(data, None, fraction, on_error=on_error)
    return evaluate_captions(task, held_out, device, out, known)


def evaluate_scenes(task: MatchTask, world: Scenes, device: Device, out: Path) -> Evaluation:
    """Recall of texts and pictures among 100 candidates, 20 of them minimal edits of others, and accuracy on minimal
    edits by kind; in English and in Korean; on held-out combinations; and the control, with captions shuffled.
    scores.png goes to `out`."""
    task.model.to(device.device).eval()
    fixed = world.composition.combinations
    combinations: Combinations = "seen" if fixed == "all" else fixed
    plans: dict[str, tuple[Combinations, Language | None]] = {
        "": (combinations, None),
        "English ": (combinations, "en"),
        "Korean ": (combinations, "ko"),
    }
    if fixed == "all":
        plans["held-out "] = ("held-out", None)
    details: dict[str, dict[str, Any]] = {}
    for prefix, (which, language) in plans.items():
        with device.autocast_context():
            hits = _score(task, world.with_constraints(combinations=which), language)
        details |= {prefix + name: summarize_accuracy(parts) for name, parts in hits.items()}
    scores: dict[str, Any] = {name: details[name]["value"] for name in details if _is_headline(name)}
    bars = dict(scores)
    write_png(out / "scores.png", draw_accuracy_bars({name: details[name] for name in bars}))
    fewest, most = world.composition.objects
    scores |= {"pictures": len(world), "skipped": {}, "objects": f"{fewest} to {most}", "details": details}
    return Evaluation(scores, bars)


def scenes_to_evaluate(task: MatchTask | PublicMatchTask, data: Path) -> Scenes | None:
    """The scenes that `data` specifies, with as many objects as the model was trained on unless it says otherwise; None
    if it is no such specification."""
    trained = task.card.get("objects")
    default = {} if trained is None else {"objects": tuple(trained)}
    return evaluation_scenes(data, task.preprocess.size, **default)


def _score(task: MatchTask, world: Scenes, language: Language | None) -> Hits:
    """Of each score, whether each of its cases is right."""
    hits: Hits = {}
    for i, candidates in enumerate(candidate_sets(world, len(world), language)):
        pictures = encode_pixels(task, candidates)
        texts = task.encode_texts(candidates.texts)
        towers = task.similarity(pictures, texts).float().cpu()
        scores = task.rank_texts(pictures, texts).float().cpu()
        head = recalls(scores, task.rank_pictures(pictures, texts).float().cpu())
        _add(hits, head.items())
        _add(hits, ((f"towers {name}", found) for name, found in recalls(towers).items()))
        _add(hits, [("shuffled recall@1", recalls(shuffled(scores, i))["recall@1"])])
        _add(hits, _edits(task, candidates, pictures, RandomStream(world.seed, _EDITS, i)))
    return hits


def _edits(
    task: MatchTask, candidates: SceneCandidates, pictures: PictureFeatures, stream: RandomStream
) -> Iterator[tuple[str, Bool[Tensor, "n"]]]:
    """For each kind of edit, whether each caption has a higher score for its picture than the same with one change, by
    the head and by the towers."""
    for kind in EDITS:
        pairs = [
            (i, caption.text, edited.text)
            for i, (scene, caption) in enumerate(zip(candidates.scenes, candidates.captions, strict=True))
            if (edited := _edited(caption, scene.description, kind, stream)) is not None
        ]
        if not pairs:
            continue
        places, true, false = zip(*pairs, strict=True)
        chosen = PictureFeatures(*(part[list(places)] for part in pictures))
        margins = [_scores(task, chosen, list(texts)) for texts in (true, false)]
        for name, right, wrong in zip(("", "towers "), *margins, strict=True):
            yield f"{name}{kind} edits", right > wrong


def _edited(
    caption: Caption, scene: Description, kind: Kind | Literal["count"], stream: RandomStream
) -> Caption | None:
    if kind == "count":
        return extra_object_caption(caption, scene, stream)
    return hard_negative_caption(caption, scene, kind, stream, "all")


def _scores(
    task: MatchTask, pictures: PictureFeatures, texts: list[str]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Of each picture with its own text, by the head and by the towers."""
    encoded = task.encode_texts(texts)
    own = torch.arange(len(texts), device=encoded.vector.device)[:, None].expand(-1, 2)
    head = task.match(pictures, encoded, own)
    return head.float().cpu(), task.similarity(pictures, encoded).diagonal().float().cpu()


@torch.no_grad()
def encode_pixels(task: MatchTask, candidates: SceneCandidates) -> PictureFeatures:
    """Features of the scenes, which are drawn at the size of the model's input."""
    pixels = task.preprocess.normalize(candidates.pixels).split(BATCH)
    parts = [task.model.encode_pictures(part.to(task.model.bias.device)) for part in pixels]
    return PictureFeatures(*(torch.cat(same) for same in zip(*parts, strict=True)))


def _add(hits: Hits, found: Iterable[tuple[str, Tensor]]) -> None:
    for name, values in found:
        hits.setdefault(name, []).append(values)


def _is_headline(name: str) -> bool:
    """Whether a score is printed; all are in `details`."""
    whole = {"recall@5", "recall@10", "recall@5 of pictures", "recall@10 of pictures", "shuffled recall@1"}
    kinds = {f"{kind} edits" for kind in EDITS}
    return name in whole | kinds or (name.endswith(("recall@1", "recall@1 of pictures")) and "shuffled" not in name)
