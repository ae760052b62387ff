"""What the page of a film shows that a pipeline of another library painted: where each word acts in each frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from saccade.lens import Trace
from saccade.studio.film.film import frame_range_label
from saccade.studio.page.page import data_url
from saccade.studio.page.targets import Targets
from saccade.studio.views.generated_picture import GenerationPageData
from saccade.studio.views.pipeline_picture import OTHER, each_token_once
from saccade.studio.views.word_scores import PatchGrid, WordScores
from saccade.tasks.generate.public_film_look import FilmTrace

MOST_NUMBERS = 8_000_000  # weights on a page
MOST_PIXELS = 320  # along each side of a frame on a page


@dataclass(frozen=True, kw_only=True)
class FilmWords(Targets):
    """The frames of a film and the words that act in them, at some evaluations of the network.

    frames: pictures. groups: of the frames, those whose patches are the same. fps: frames a second.
    """

    kind = "film-words"

    words: GenerationPageData
    frames: Sequence[Image.Image]
    groups: Sequence[Sequence[int]]
    fps: float

    def __len__(self) -> int:
        return len(self.words)

    @property
    def names(self) -> list[str]:
        return [frame_range_label(group) for group in self.groups]

    def first_targets(self, n: int) -> "FilmWords":
        words = self.words.first_targets(n)
        return replace(self, words=words, layers=words.layers)

    def truncation_note(self, n: int) -> str:
        return self.words.truncation_note(n)

    def packed_size(self) -> int:
        return self.words.packed_size()

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        words, data = self.words.content()
        layers = [
            {"name": layer.name, "layer": i + 1, "reach": "film", "heads": layer.scores.shape[1]}
            for i, layer in enumerate(self.words.layers)
        ]
        return {
            "kind": self.kind,
            "names": self.names,
            "layers": layers * len(self.words),
            "prefix": [],
            "frames": [{"src": data_url(frame), "time": round(i / self.fps, 4)} for i, frame in enumerate(self.frames)],
            "groups": [list(group) for group in self.groups],
            "start": 0,
            "speaker": "",
            "steps": [{"step": step, "frames": None} for step in self.words.steps],
            "words": words,
            "numbers": list(range(len(self.frames))),
            "known": [],
            "window": 0,
            "windows": 1,
        }, {f"words-{name}": packed for name, packed in data.items()}


def film_words(traced: FilmTrace) -> FilmWords:
    """What a page shows of a film of a pipeline: the weights of words, and what is left for all other tokens.

    With two networks, those of the one that finishes the film; of a large film, some layers."""
    traced = replace(traced, tokens=each_token_once(traced.tokens))
    names, notes = traced.layers(len(traced.calls) - 1), list[str]()
    there = [i for i in range(len(traced.calls)) if traced.layers(i) == names]
    if len(there) < len(traced.calls):
        notes.append("Two networks paint the film, one after the other; the page shows the second one.")
    shown = sorted({there[0], there[len(there) // 2], there[-1]})
    heads, places = traced.calls[-1][0].shape[1], math.prod(traced.grid)
    most = max(1, MOST_NUMBERS // (len(shown) * heads * (len(traced.words) + 1) * places))
    layers = sorted({round(i * (len(names) - 1) / max(1, most - 1)) for i in range(most)} & set(range(len(names))))
    layers = list(range(len(names))) if most >= len(names) else layers
    if len(shown) < len(traced.calls):
        notes.append(f"The page shows {len(shown)} of {len(traced.calls)} evaluations, to stay small.")
    if len(layers) < len(names):
        notes.append(f"The page shows {len(layers)} of {len(names)} layers, to stay small.")
    bias, grid = torch.zeros(len(traced.words) + 1), PatchGrid(*traced.grid)
    scores = [
        WordScores(names[layer], _scores(traced, layer, shown), bias, None, grid, traced.calls[-1][layer].shape[3])
        for layer in layers
    ]
    words = GenerationPageData(
        layers=scores,
        others=Trace([]),
        grid=grid.group_shape,
        notes=notes,
        prompt=traced.film.settings.prompt,
        words=[*traced.words, OTHER],
        bias=bias,
        steps=shown,
        times=[step / len(traced.calls) for step in shown],
        predictions=[None] * len(shown),
        of=len(traced.calls),
        self_step=shown[len(shown) // 2],
        other=1,
    )
    frames = [_small(frame) for frame in traced.film.frames]
    return FilmWords(
        layers=scores,
        others=Trace([]),
        grid=grid.group_shape,
        notes=notes,
        words=words,
        frames=frames,
        groups=traced.spans,
        fps=traced.film.fps,
    )


def _scores(traced: FilmTrace, layer: int, evaluations: Sequence[int]) -> torch.Tensor:
    """Logs of the weights of the words, then of all other tokens, (s h m n)."""
    words = torch.stack([traced.word_maps(each, layer).float().flatten(2) for each in evaluations])
    return torch.cat([words, 1 - words.sum(dim=2, keepdim=True)], dim=2).clamp(min=1e-9).log()


def _small(frame: Image.Image) -> Image.Image:
    frame = frame.copy()
    frame.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return frame
