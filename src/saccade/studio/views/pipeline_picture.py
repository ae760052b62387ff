"""What the page of a picture shows that a pipeline of another library painted."""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saccade.lens import Trace
from saccade.studio.views.generated_picture import GenerationPageData
from saccade.studio.views.generated_picture_trace import MOST_STEPS
from saccade.studio.views.word_scores import PatchGrid, WordScores
from saccade.tasks.generate.public_look import PipelineTrace

MOST_NUMBERS = 40_000_000  # weights of a pipeline that are made for a page
OTHER = "(other)"  # tokens that are no words


@dataclass(frozen=True, kw_only=True)
class PipelinePageData(GenerationPageData):
    """The same of another library's pipeline, evaluation by evaluation."""

    kind = "pipeline"


def pipeline_page_data(traced: PipelineTrace) -> PipelinePageData:
    """What a page shows of a pipeline: the weights of words, and what is left for all other tokens. Layers of coarser
    grids are shown on the finest."""
    every = len(traced.calls)
    numbers = sum(call.shape[1] for call in traced.calls[0]) * (len(traced.words) + 1) * math.prod(traced.grid)
    count = max(1, min(every, MOST_STEPS, MOST_NUMBERS // numbers))
    shown = [round((i + 1) * every / count) - 1 for i in range(count)]
    traced = replace(traced, tokens=each_token_once(traced.tokens))
    bias = torch.zeros(len(traced.words) + 1)
    grid = PatchGrid(1, *traced.grid)
    layers = []
    for layer, name in enumerate(traced.layers):
        scores = _pipeline_weights(traced, layer, shown).clamp(min=1e-9).log()
        layers.append(WordScores(name, scores, bias, None, grid, traced.calls[0][layer].shape[3]))
    notes = [f"the page shows {count} of {every} evaluations, to stay small"] if count < every else []
    return PipelinePageData(
        layers=layers,
        others=Trace([]),
        grid=traced.grid,
        notes=notes,
        prompt=traced.picture.settings.prompt,
        words=[*traced.words, OTHER],
        bias=bias,
        steps=shown,
        times=[step / every for step in shown],
        predictions=[None] * count,
        of=every,
        self_step=every // 2,
        other=1,
    )


def _pipeline_weights(traced: PipelineTrace, layer: int, evaluations: list[int]) -> Float[Tensor, "s h m n"]:
    """Of the words, then of all other tokens, on the finest grid."""
    maps = (traced.word_maps(each, layer).float() for each in evaluations)
    words = torch.stack([F.interpolate(each, traced.grid, mode="nearest") for each in maps]).flatten(3).cpu()
    return torch.cat([words, 1 - words.sum(dim=2, keepdim=True)], dim=2)


def each_token_once(tokens: list[list[int]]) -> list[list[int]]:
    """Tokens of each word, those of several words with the first of them alone."""
    seen = set[int]()
    found = []
    for each in tokens:
        found.append([token for token in each if token not in seen])
        seen.update(each)
    return found
