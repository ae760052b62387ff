"""What the page of a generated picture holds: for each text the words, then the source pictures, and their maps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.studio.page.page import data_url
from saccade.studio.page.queries import rounded
from saccade.studio.page.targets import Targets
from saccade.studio.views.word_scores import WordScores


@dataclass(frozen=True)
class ShownSource:
    """A picture that another is painted from. name: of the source ("picture", "masked", "style"). grid: (rows, columns)
    of its places."""

    name: str
    picture: Image.Image
    grid: tuple[int, int]

    def content(self) -> dict[str, Any]:
        """For the viewer."""
        width, height = self.picture.size
        return {
            "name": self.name,
            "src": data_url(self.picture),
            "width": width,
            "height": height,
            "grid": list(self.grid),
        }


@dataclass(frozen=True)
class TextMaps:
    """A prompt or negative prompt with the maps of its words.

    words: of the text, then `other` names of what is no word of it. bias: logs of their weights. layers: scores at
    `steps`, which are positions among the steps of the page. given: of the sources that the page shows, which of the
    words each is.
    """

    words: list[str]
    bias: Float[Tensor, "m"]
    layers: list[WordScores]
    steps: list[int]
    other: int = 0
    given: Mapping[str, int] = field(default_factory=dict)

    def select_steps(self, steps: list[int]) -> "TextMaps":
        """At some of the page's steps alone."""
        kept = [i for i, step in enumerate(self.steps) if step in steps]
        layers = [replace(layer, **_at(layer, kept)) for layer in self.layers]
        return replace(self, steps=[steps.index(self.steps[i]) for i in kept], layers=layers)

    @property
    def most_local(self) -> tuple[int, int]:
        """The word with the least uniform map, of the mean over steps, layers and heads; and the layer, of its maps,
        or, with source pictures, the one that attends most to these."""
        maps = torch.stack([layer.weights.mean(dim=(0, 1)) for layer in self.layers])  # (layers m n)
        words = maps[:, : len(self.words) - self.other]
        mean = words.mean(dim=0)
        word = int((mean.std(dim=1, correction=0) / mean.mean(dim=1)).argmax())
        if self.given:
            return word, int(maps[:, list(self.given.values())].sum(dim=(1, 2)).argmax())
        return word, int(words[:, word].std(dim=1, correction=0).argmax())

    def packed(self, prefix: str = "", keys: bool = True) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
        """What is needed to read each layer, and its bytes by name. keys: with the keys of the places, which are the
        same for every text."""
        read, data = [], {}
        for i, layer in enumerate(self.layers):
            data[f"{prefix}{i}"], meta = layer.packed()
            if layer.places is not None:
                data[f"{prefix}queries-{i}"], query = layer.places.packed_queries()
                packed, key = layer.places.packed_keys()
                data |= {f"keys-{i}": packed} if keys else {}
                meta["places"] = {"width": layer.places.keys.shape[-1], "query": query, "key": key}
            read.append(meta)
        return read, data

    def content(self, prefix: str = "", keys: bool = True) -> tuple[dict[str, Any], dict[str, bytes]]:
        """For the viewer: JSON, and bytes by name."""
        read, data = self.packed(prefix, keys)
        layers = [
            {
                "name": layer.name,
                "heads": layer.scores.shape[1],
                "tokens": layer.tokens,
                "scale": layer.scale,
                **meta,
                "entropies": rounded(layer.entropy()),
            }
            for layer, meta in zip(self.layers, read, strict=True)
        ]
        return {
            "names": self.words,
            "start": self.most_local,  # the word and layer that are selected first
            "bias": rounded(self.bias.clamp(min=-1e9), 6),
            "at": self.steps,
            "given": dict(self.given),
            "other": self.other,
            "layers": layers,
        }, data


@dataclass(frozen=True, kw_only=True)
class GenerationPageData(Targets):
    """The words of a prompt and the patches of the picture that was painted, at several sampling steps.

    A page that would be too large leaves steps out, so that `len` counts steps; every step has maps of all words.

    prompt: as written. words: its words. bias: log of their weights in the prompt. steps: numbers of the steps, from 0.
    times: of the steps. predictions: of the picture, by step; None where they are not known. of: number of all steps.
    self_step: the step of `others`. other, given: as in `TextMaps`. sources: pictures that it was painted from, and
    whose places a page shows. negative: the negative prompt, where there is one.
    """

    kind = "painting"

    layers: list[WordScores]
    prompt: str
    words: list[str]
    bias: Float[Tensor, "m"]
    steps: list[int]
    times: list[float]
    predictions: list[Image.Image | None]
    of: int
    self_step: int
    other: int = 0
    given: Mapping[str, int] = field(default_factory=dict)
    sources: list[ShownSource] = field(default_factory=list)
    negative: TextMaps | None = None

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def names(self) -> list[str]:
        return self.words

    @property
    def prompt_maps(self) -> TextMaps:
        """The prompt."""
        return TextMaps(self.words, self.bias, self.layers, list(range(len(self))), self.other, self.given)

    def first_targets(self, n: int) -> "GenerationPageData":
        """n steps, evenly spread, the last one included."""
        kept = [round((i + 1) * len(self) / n) - 1 for i in range(n)]
        negative = None if self.negative is None else self.negative.select_steps(kept)
        return replace(
            self,
            steps=[self.steps[i] for i in kept],
            times=[self.times[i] for i in kept],
            predictions=[self.predictions[i] for i in kept],
            layers=self.prompt_maps.select_steps(kept).layers,
            negative=negative if negative is not None and negative.steps else None,
        )

    def truncation_note(self, n: int) -> str:
        return f"the page shows {n} of {self.of} steps, to stay small"

    def packed_size(self) -> int:
        negative = {} if self.negative is None else self.negative.packed("negative-", keys=False)[1]
        return sum(map(len, (self.prompt_maps.packed()[1] | negative).values()))

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        prompt, data = self.prompt_maps.content()
        negative = None
        if self.negative is not None:
            negative, more = self.negative.content("negative-", keys=False)
            data |= more
        grid = self.layers[0].grid
        return {
            **prompt,
            "kind": self.kind,
            "prompt": self.prompt,
            "steps": [
                {"step": step, "time": round(t, 4), "src": None if picture is None else data_url(picture)}
                for step, t, picture in zip(self.steps, self.times, self.predictions, strict=True)
            ],
            "of": self.of,
            "self_step": self.self_step,
            "groups": grid.groups,
            "sources": [source.content() for source in self.sources],
            "negative": negative,
        }, data


@dataclass(frozen=True, kw_only=True)
class SourcedGenerationPageData(GenerationPageData):
    """The same with sources beside the words."""

    kind = "sources"


def _at(layer: WordScores, steps: list[int]) -> dict[str, Any]:
    """What of a layer depends on the steps."""
    places = layer.places
    return {
        "scores": layer.scores[steps],
        "places": None if places is None else replace(places, queries=places.queries[steps]),
    }
