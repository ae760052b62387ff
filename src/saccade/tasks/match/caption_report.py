"""Scores of a matcher on pictures with captions: recall among candidates in both directions, beside chance."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from saccade.data import Picture
from saccade.data.cache import read_or_skip
from saccade.data.captions import CaptionSet
from saccade.data.output import write_png
from saccade.device import Device
from saccade.tasks.accuracy_intervals import draw_accuracy_bars
from saccade.tasks.commands import Evaluation
from saccade.tasks.match.captioned import CaptionCandidates, caption_candidates
from saccade.tasks.match.nearest_caption import NearestCaptionBaseline
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.match.scores import chance, recalls, shuffled, summarize_accuracy
from saccade.tasks.match.task import MatchTask
from saccade.tasks.saved import no_pictures_error

BATCH = 50  # pictures encoded at once


def evaluate_captions(
    task: MatchTask | PublicMatchTask, dataset: CaptionSet, device: Device, out: Path, known: CaptionSet | None = None
) -> Evaluation:
    """Recall@1, 5 and 10 of texts for a picture and of pictures for a text over the whole set, in sets of at most 100
    candidates: pictures with one of their captions each, in random order. scores.png goes to `out`.

    Equal captions of several pictures are right for all of them, and chance is what a random order of the same
    candidates reaches. known: pictures with captions, of which the nearest ones are a baseline, too
    (`nearest_caption.NearestCaptionBaseline`). Captions that the model cannot read, and unreadable pictures, are in
    "skipped", or raise.
    """
    readable = dataset.readable_captions(lambda text: _check(task, text))
    task.model.to(device.device).eval()
    nearest = None if known is None else NearestCaptionBaseline(known)
    found = list(_decisions(task, readable, device, nearest))
    if not found:
        raise no_pictures_error(dataset.title, readable.skipped)
    hits, by_chance = (_joined(parts) for parts in zip(*found, strict=True))
    sizes = [len(each["recall@1"]) for each, _ in found]
    expected = {name: float(values.mean()) for name, values in by_chance.items()}
    details = {
        name: summarize_accuracy([values]) | {"chance": expected[name[name.index("recall") :]]}
        for name, values in hits.items()
    }
    write_png(out / "scores.png", draw_accuracy_bars(details))
    bars = {name: one["value"] for name, one in details.items()}
    scores: dict[str, Any] = bars | {f"chance {name}": value for name, value in expected.items()}
    about = {"pictures": sum(sizes), "skipped": readable.skipped, "candidates": [min(sizes), max(sizes)]}
    return Evaluation({**scores, **about, "details": details}, bars)


def _decisions(
    task: MatchTask | PublicMatchTask, dataset: CaptionSet, device: Device, nearest: NearestCaptionBaseline | None
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Of each set of candidates whether each decision is right, and how probable that is by chance."""
    for i, planned in enumerate(caption_candidates([dataset.captions(i) for i in range(len(dataset))])):
        pictures, candidates = _read(dataset, planned)
        if not pictures:
            continue
        with device.autocast_context():
            scores = _score(task, pictures, candidates, seed=i)
        if nearest is not None:
            alone = recalls(nearest.scores(pictures, candidates.texts), matches=candidates.matches)
            scores |= {f"nearest caption {name}": hits for name, hits in alone.items()}
        yield scores, chance(candidates.matches)


def _joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _check(task: MatchTask | PublicMatchTask, text: str) -> None:
    """Raises DataError for a text that the model cannot read."""
    if isinstance(task, MatchTask):
        task.model.tokenize([text])
    else:
        task.matcher.read(text)


def _read(dataset: CaptionSet, candidates: CaptionCandidates) -> tuple[list[Picture], CaptionCandidates]:
    """The pictures that can be read, and the candidates without the others."""
    read = [read_or_skip(dataset, i, dataset.picture) for i in candidates.places]
    return [each for each in read if each is not None], candidates.part([i for i, each in enumerate(read) if each])


@torch.no_grad()
def _score(
    task: Any, pictures: Sequence[Picture], candidates: CaptionCandidates, seed: int
) -> dict[str, Bool[Tensor, "n"]]:
    """`recalls`, those of the towers alone where there is a head too, and those of shuffled captions."""
    parts = [task.encode_pictures(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    features = type(parts[0])(*(torch.cat(same) for same in zip(*parts, strict=True)))
    texts, matches = task.encode_texts(candidates.texts), candidates.matches
    towers = task.similarity(features, texts).float().cpu()
    if isinstance(task, MatchTask):
        scores, by_text = task.rank_texts(features, texts).float().cpu(), task.rank_pictures(features, texts)
        found = recalls(scores, by_text.float().cpu(), matches)
        alone = recalls(towers, matches=matches)
        found |= {f"towers {name}": alone[name] for name in ("recall@1", "recall@1 of pictures")}
    else:
        scores, found = towers, recalls(towers, matches=matches)
    return found | {"shuffled recall@1": recalls(shuffled(scores, seed), matches=matches)["recall@1"]}
