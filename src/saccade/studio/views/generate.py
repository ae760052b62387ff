"""The page of a generated picture: where each word acts on it, at every sampling step, layer and head."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens import Call, Trace
from saccade.studio.pack import LARGEST, deflate
from saccade.studio.page import BUDGET, PageInput, PageReport, data_url, write_page
from saccade.studio.queries import rounded
from saccade.studio.targets import Targets
from saccade.tasks.generate.look import GenerationTrace, trace_generation
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask, to_images

MOST_STEPS = 50  # on a page
QUANTUM = 0.002  # of a score on the page: a weight is off by at most this fraction of itself


@dataclass(frozen=True)
class WordScores:
    """Scores of every patch with every word in one layer, at several steps, from which a page computes weights.

    scores: scaled q·k, without the logs of the words' weights in the prompt, which are `bias`. scale: factor of q·k.
    """

    name: str
    scores: Float[Tensor, "s h m n"]
    bias: Float[Tensor, "m"]
    scale: float
    grid: tuple[int, int]

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
    times: of the steps. predictions: of the picture, by step. of: number of all steps. self_step: the step of `others`.
    """

    kind = "painting"

    layers: list[WordScores]
    prompt: str
    words: list[str]
    bias: Float[Tensor, "m"]
    steps: list[int]
    times: list[float]
    predictions: list[Image.Image]
    of: int
    self_step: int

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
        mean = maps.mean(dim=0)
        word = int((mean.std(dim=1, correction=0) / mean.mean(dim=1)).argmax())
        return word, int(maps[:, word].std(dim=1, correction=0).argmax())

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        layers, data = [], {}
        for i, layer in enumerate(self.layers):
            data[str(i)], meta = layer.packed()
            sizes = {"name": layer.name, "heads": layer.scores.shape[1], "tokens": len(self.words)}
            layers.append({**sizes, "scale": layer.scale, **meta, "entropies": rounded(layer.entropy())})
        return {
            "kind": self.kind,
            "names": self.names,
            "start": self.most_local,  # the word and layer that are selected first
            "prompt": self.prompt,
            "bias": rounded(self.bias.clamp(min=-1e9), 6),
            "steps": [
                {"step": step, "time": round(t, 4), "src": data_url(picture)}
                for step, t, picture in zip(self.steps, self.times, self.predictions, strict=True)
            ],
            "of": self.of,
            "self_step": self.self_step,
            "layers": layers,
        }, data


def painted_words(generation: GenerationTrace, self_step: int) -> PaintedWords:
    """What a page shows of a generation. self_step: the step of which it shows the self-attention."""
    bias = torch.tensor(generation.weights).log()
    steps = generation.steps
    grid = generation.grid[1:]
    layers = []
    for layer in range(generation.depth):
        calls = [each.call(layer) for each in steps]
        scores = torch.stack([_scores(call, len(bias)) for call in calls])
        layers.append(WordScores(calls[0].name, scores, bias, calls[0].scale, grid))
    own = [_of_prompt(steps[self_step].call(layer, "self")) for layer in range(generation.depth)]
    notes = []
    if any(each.guided for each in steps):
        notes.append("Guidance also evaluates the negative prompt; its attention is not shown.")
    words = PaintedWords(
        layers=layers,
        others=Trace(own),
        grid=grid,
        notes=notes,
        prompt=generation.picture.settings.prompt,
        words=generation.words,
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


def write_generation_page(
    task: GenerateTask | PublicGenerateTask,
    settings: Settings,
    path: Path,
    callback: Callback | None = None,
    budget: int = BUDGET,
) -> tuple[GeneratedPicture, PageReport]:
    """Paint a picture and write a page that shows where each word acts on it, at every step, layer and head.

    The picture is that of `task.generate_all`. The self-attention of the middle step is on the page as well.

    Raises DataError if the page cannot be written, and SaccadeError for pipelines of other libraries and as
    `trace_generation` does.
    """
    if not isinstance(task, GenerateTask):
        raise SaccadeError(f"{task.name}: no page shows other libraries' pipelines; saccade.watch records them")
    generation = trace_generation(task, settings, values=True, callback=callback)
    targets = painted_words(generation, len(generation.steps) // 2)
    picture = generation.picture
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


def _facts(task: GenerateTask, settings: Settings) -> dict[str, str]:
    height, width = settings.size
    sampling, patch = settings.sampling, task.model.config.patch
    return {
        "name": task.name,
        "parameters": f"{task.parameters / 1e6:.1f} million",
        "picture": f"{width} x {height} pixels",
        "patch": f"{patch} x {patch} pixels",
        "sampler": f"{sampling.sampler}, {sampling.steps} steps",
        "guidance": f"{sampling.guidance:g}",
        "seed": str(settings.seed),
        **({"negative": settings.negative} if settings.negative.strip() else {}),
    }


def _scores(call: Call, words: int) -> Float[Tensor, "h m n"]:
    """Scaled q·k of the prompt's words with all patches."""
    q, k = call.q[0].float(), call.k[0, :, :words].float()
    return (k.repeat_interleave(q.shape[0] // k.shape[0], dim=0) @ q.mT * call.scale).cpu()


def _of_prompt(call: Call) -> Call:
    """A self-attention call of the prompt alone."""
    v = None if call.v is None else call.v[:1]
    return Call(call.name, call.kind, call.q[:1], call.k[:1], v, lse=call.lse[:1], scale=call.scale, run=call.run)
