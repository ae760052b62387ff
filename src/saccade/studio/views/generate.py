"""The page of a generated picture: where each word acts on it, at every sampling step, layer and head."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.lens import Call, Trace
from saccade.studio.pack import LARGEST, deflate
from saccade.studio.page import BUDGET, PageInput, PageReport, data_url, write_page
from saccade.studio.queries import rounded
from saccade.studio.targets import Targets
from saccade.tasks.generate.image import Originals
from saccade.tasks.generate.look import GenerationTrace, trace_generation
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.public_look import PipelineTrace, trace_pipeline
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask, to_images

MOST_STEPS = 50  # on a page
MOST_NUMBERS = 40_000_000  # weights of a pipeline that are made for a page
OTHER = "(other)"  # tokens that are no words
QUANTUM = 0.002  # of a score on the page: a weight is off by at most this fraction of itself


@dataclass(frozen=True)
class WordScores:
    """Scores of every patch with every word in one layer, at several steps, from which a page computes weights.

    scores: scaled q·k, without the logs of the words' weights in the prompt, which are `bias`; or other numbers with
    the same softmax, and then scale, the factor of q·k, is None. tokens: that a patch's weights sum to 1 over.
    """

    name: str
    scores: Float[Tensor, "s h m n"]
    bias: Float[Tensor, "m"]
    scale: float | None
    grid: tuple[int, int]
    tokens: int

    @property
    def weights(self) -> Float[Tensor, "s h m n"]:
        """Of each patch over all words."""
        return (self.scores + self.bias[:, None]).softmax(dim=2)

    def entropy(self) -> Float[Tensor, "s h m"]:
        """Of each word's map, scaled to sum to 1, in nats: 0 (one patch) to log n (uniform)."""
        share = self.weights / self.weights.sum(dim=-1, keepdim=True).clamp(min=1e-30)
        return torch.special.entr(share).sum(dim=-1)

    def packed(self) -> tuple[bytes, dict[str, Any]]:
        """As whole multiples of a quantum: a plane over the patches for each step, head and word."""
        quantum = max(QUANTUM, float(self.scores.abs().max()) / LARGEST)
        planes = (self.scores / quantum).round().flatten(0, 2).to(torch.int32)
        data, kinds, _ = deflate(planes.numpy(), self.grid)
        return data, {"quantum": quantum, "planes": kinds}


@dataclass(frozen=True, kw_only=True)
class PaintedWords(Targets):
    """The words of a prompt and the patches of the picture that was painted, at several sampling steps.

    A page that would be too large leaves steps out, so that `len` counts steps; every step has maps of all words.

    prompt: as written. words: its words. bias: log of their weights in the prompt. steps: numbers of the steps, from 0.
    times: of the steps. predictions: of the picture, by step; None where they are not known. of: number of all steps.
    self_step: the step of `others`. other: how many of the last words stand for tokens that are no words.
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

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def names(self) -> list[str]:
        return self.words

    def first(self, n: int) -> "PaintedWords":
        """n steps, evenly spread, the last one included."""
        kept = [round((i + 1) * len(self) / n) - 1 for i in range(n)]
        return replace(
            self,
            steps=[self.steps[i] for i in kept],
            times=[self.times[i] for i in kept],
            predictions=[self.predictions[i] for i in kept],
            layers=[replace(layer, scores=layer.scores[kept]) for layer in self.layers],
        )

    def truncation_note(self, n: int) -> str:
        return f"the page shows {n} of {self.of} steps, to stay small"

    @property
    def most_local(self) -> tuple[int, int]:
        """The word with the least uniform map, of the mean over steps, layers and heads; and the layer, of its maps."""
        maps = torch.stack([layer.weights.mean(dim=(0, 1)) for layer in self.layers])  # (layers m n)
        maps = maps[:, : len(self.words) - self.other]
        mean = maps.mean(dim=0)
        word = int((mean.std(dim=1, correction=0) / mean.mean(dim=1)).argmax())
        return word, int(maps[:, word].std(dim=1, correction=0).argmax())

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        layers, data = [], {}
        for i, layer in enumerate(self.layers):
            data[str(i)], meta = layer.packed()
            sizes = {"name": layer.name, "heads": layer.scores.shape[1], "tokens": layer.tokens}
            layers.append({**sizes, "scale": layer.scale, **meta, "entropies": rounded(layer.entropy())})
        return {
            "kind": self.kind,
            "names": self.names,
            "start": self.most_local,  # the word and layer that are selected first
            "prompt": self.prompt,
            "bias": rounded(self.bias.clamp(min=-1e9), 6),
            "steps": [
                {"step": step, "time": round(t, 4), "src": None if picture is None else data_url(picture)}
                for step, t, picture in zip(self.steps, self.times, self.predictions, strict=True)
            ],
            "of": self.of,
            "self_step": self.self_step,
            "layers": layers,
        }, data


def painted_words(generation: GenerationTrace, self_step: int) -> PaintedWords:
    """What a page shows of a generation. self_step: the step of which it shows the self-attention."""
    pictures = [(name, span) for name, span in generation.spans.items() if name != "caption"]
    style = generation.picture.settings.style
    strengths = [style.strength if style is not None and name == "style" else 1.0 for name, _ in pictures]
    bias = torch.tensor([*generation.weights, *strengths]).log()
    tokens = len(generation.words) + sum(span.stop - span.start for _, span in pictures)
    steps = generation.steps
    grid = generation.grid[1:]
    layers = []
    for layer in range(generation.depth):
        calls = [each.call(layer) for each in steps]
        scores = torch.stack([_scores(call, len(generation.words), [span for _, span in pictures]) for call in calls])
        layers.append(WordScores(calls[0].name, scores, bias, calls[0].scale, grid, tokens))
    own = [_of_prompt(steps[self_step].call(layer, "self")) for layer in range(generation.depth)]
    notes = []
    if any(each.guided for each in steps):
        notes.append("Guidance also evaluates the negative prompt; its attention is not shown.")
    if pictures:
        notes.append("What is in brackets is no word: all patches of another source together, or that there is none.")
    words = PaintedWords(
        layers=layers,
        others=Trace(own),
        grid=grid,
        notes=notes,
        prompt=generation.picture.settings.prompt,
        words=[*generation.words, *(_named(name, name in generation.given) for name, _ in pictures)],
        other=len(pictures),
        bias=bias,
        steps=[each.step for each in steps],
        times=[each.t for each in steps],
        predictions=[to_images(each.prediction)[0] for each in steps],
        of=len(steps),
        self_step=self_step,
    )
    if len(steps) <= MOST_STEPS:
        return words
    return replace(words.first(MOST_STEPS), notes=[*notes, words.truncation_note(MOST_STEPS)])


@dataclass(frozen=True, kw_only=True)
class PipelineWords(PaintedWords):
    """The same of another library's pipeline, evaluation by evaluation."""

    kind = "pipeline"


def pipeline_words(traced: PipelineTrace) -> PipelineWords:
    """What a page shows of a pipeline: the weights of words, and what is left for all other tokens. Layers of coarser
    grids are shown on the finest."""
    every = len(traced.calls)
    numbers = sum(call.shape[1] for call in traced.calls[0]) * (len(traced.words) + 1) * math.prod(traced.grid)
    count = max(1, min(every, MOST_STEPS, MOST_NUMBERS // numbers))
    shown = [round((i + 1) * every / count) - 1 for i in range(count)]
    traced = replace(traced, tokens=_once(traced.tokens))
    bias = torch.zeros(len(traced.words) + 1)
    layers = []
    for layer, name in enumerate(traced.layers):
        scores = _pipeline_weights(traced, layer, shown).clamp(min=1e-9).log()
        layers.append(WordScores(name, scores, bias, None, traced.grid, traced.calls[0][layer].shape[3]))
    notes = [f"the page shows {count} of {every} evaluations, to stay small"] if count < every else []
    return PipelineWords(
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


def _once(tokens: list[list[int]]) -> list[list[int]]:
    """Tokens of each word, those of several words with the first of them alone."""
    seen = set[int]()
    found = []
    for each in tokens:
        found.append([token for token in each if token not in seen])
        seen.update(each)
    return found


def write_generation_page(
    task: GenerateTask | PublicGenerateTask,
    settings: Settings,
    path: Path,
    callback: Callback | None = None,
    budget: int = BUDGET,
    originals: Originals | None = None,
) -> tuple[GeneratedPicture, PageReport]:
    """Paint a picture and write a page that shows where each word acts on it, at every step, layer and head.

    The picture is that of `task.generate_all`. The page of a generator of this library also has the self-attention of
    the middle step. originals: the pictures of settings with an image or a style.

    Raises DataError if the page cannot be written, and SaccadeError as `trace_generation` and `trace_pipeline` do.
    """
    if isinstance(task, GenerateTask):
        generation = trace_generation(task, settings, values=True, callback=callback, originals=originals)
        picture, targets = generation.picture, painted_words(generation, len(generation.steps) // 2)
    else:
        traced = trace_pipeline(task, settings, callback=callback, originals=originals)
        picture, targets = traced.picture, pipeline_words(traced)
    page = PageInput(
        picture=picture.image,
        grid=targets.grid,
        trace=targets.others,
        title=settings.prompt,
        target="mean",
        model=_facts(task, settings),
        targets=targets,
    )
    return picture, write_page(path, page, budget)


def _facts(task: GenerateTask | PublicGenerateTask, settings: Settings) -> dict[str, str]:
    height, width = settings.size
    sampling, image, own = settings.sampling, settings.image, dict[str, str]()
    if isinstance(task, GenerateTask):
        patch = task.model.config.patch
        own = {"parameters": f"{task.parameters / 1e6:.1f} million", "patch": f"{patch} x {patch} pixels"}
    return {
        "name": task.name,
        **own,
        "picture": f"{width} x {height} pixels",
        "sampler": f"{settings.sampler}, {sampling.steps} steps",
        "guidance": f"{sampling.guidance:g}",
        "seed": str(settings.seed),
        **({"negative": settings.negative} if settings.negative.strip() else {}),
        **({} if image is None else {"from": f"{image.name}, strength {image.strength:g}"}),
    }


def _scores(call: Call, words: int, pictures: list[slice]) -> Float[Tensor, "h m n"]:
    """Scaled q·k of the prompt's words with all patches, then the log of the sum of the exponentials of those of each
    other source."""
    q, k = call.q[0].float(), call.k[0].float()
    every = k.repeat_interleave(q.shape[0] // k.shape[0], dim=0) @ q.mT * call.scale
    sums = [every[:, span].logsumexp(dim=1, keepdim=True) for span in pictures]
    return torch.cat([every[:, :words], *sums], dim=1).cpu()


def _of_prompt(call: Call) -> Call:
    """A self-attention call of the prompt alone."""
    v = None if call.v is None else call.v[:1]
    return Call(call.name, call.kind, call.q[:1], call.k[:1], v, lse=call.lse[:1], scale=call.scale, run=call.run)


def _named(source: str, given: bool) -> str:
    """How a page names a source that is not the prompt."""
    name = {"masked": "masked picture"}.get(source, source)
    return f"({name})" if given else f"(no {name})"
