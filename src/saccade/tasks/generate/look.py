"""A generation with the attention of every sampling step: where each word acts on the picture.

The target tokens are the patches, frame by frame and row by row, and the sources of cross-attention are the words: a
row of a map is what one patch attends to, a column is where one word acts. Queries, keys and log-sum-exp are kept, and
maps are computed when they are requested.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens import Call, Trace, watch
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback, GuidanceTerm
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask

MOST_BYTES = 2**31  # of queries and keys, of all steps together
Text = Literal["prompt", "negative"]


@dataclass(frozen=True)
class GeneratorPass:
    """One evaluation of the generator.

    Attributes:
        step: of the sampler, from 0.
        t: time, from noise at 0 to the picture at 1.
        prediction: of the picture, about -1 to 1; with guidance where the step is guided.
        calls: attention in its blocks. Of guided steps the batch holds all terms of `PaintingTrace`.
    """

    step: int
    t: float
    prediction: Float[Tensor, "f c y x"]
    calls: Trace

    @property
    def guided(self) -> bool:
        """Whether all terms of the guidance were evaluated, or the prompt alone."""
        return self.calls[0].shape[0] > 1

    def call(self, layer: int, kind: Literal["self", "cross"] = "cross") -> Call:
        """The attention of a block: of patches to patches, or to words."""
        return self.calls[f"blocks.{layer}.{kind}_attention"][0]


@dataclass(frozen=True)
class PaintingTrace:
    """What the generator attended to while it painted a picture, or some frames of a film.

    Attributes:
        settings: of the picture or film.
        words: of the prompt; sources of the cross-attention, in order; a single "" where there is none.
        negative_words: the same of the negative prompt.
        weights, negative_weights: of the words of both, as written there; log of them is part of the scores.
        terms: what a guided step evaluates, in the order of the batch; the first is the prompt with all pictures.
        spans: of the words ("caption") and of the other sources among the sources of the cross-attention.
        pictures: the sources beside the words that are given, -1 to 1, as the generator takes them; any other one is
            one token, "nothing".
        grid: (frames, rows, columns) of the patches that are painted; of a film, (groups of frames, rows, columns).
        patch: pixels along each side of a patch.
        depth: blocks, which are called layers.
        evaluations: that are kept, in order; a step of Heun's sampler makes two, except for the last.
    """

    settings: Settings
    words: list[str]
    negative_words: list[str]
    weights: list[float]
    negative_weights: list[float]
    terms: list[GuidanceTerm]
    spans: Mapping[str, slice]
    pictures: Mapping[str, Float[Tensor, "1 c y x"]]
    patch: int
    grid: tuple[int, int, int]
    depth: int
    evaluations: list[GeneratorPass]

    @property
    def steps(self) -> list[GeneratorPass]:
        """The evaluation with which each step begins."""
        return [each for i, each in enumerate(self.evaluations) if not i or each.step > self.evaluations[i - 1].step]

    def word_maps(self, step: int, layer: int, text: Text = "prompt") -> Float[Tensor, "h m f y x"]:
        """How much each patch attends to each word; of one patch, all words and other sources together sum to 1.

        Raises SaccadeError for a step or layer that there is not, and for the negative prompt in unguided steps."""
        row, words = self._row(step, text), list(range(len(self._words(text))))
        return self.call(step, layer).columns(words)[row].transpose(1, 2).unflatten(-1, self.grid)

    def patch_words(self, step: int, layer: int, patch: int, text: Text = "prompt") -> Float[Tensor, "h m"]:
        """How much a patch attends to each word; sums to 1 with other sources. patch: from 0, frame by frame and
        row by row."""
        row = self._row(step, text)
        return self.call(step, layer).rows([patch])[row, :, 0, : len(self._words(text))]

    def patch_places(
        self, step: int, layer: int, patch: int, source: str, text: Text = "prompt"
    ) -> Float[Tensor, "h m"]:
        """How much a patch attends to each patch of another source: "picture", "masked" or "style", row by row.

        Raises SaccadeError for a source that is not given."""
        row, span = self._row(step, text), self._span(source, text)
        return self.call(step, layer).rows([patch])[row, :, 0, span]

    def place_patches(
        self, step: int, layer: int, source: str, place: int, text: Text = "prompt"
    ) -> Float[Tensor, "h f y x"]:
        """How much each patch attends to one patch of another source, which is counted from 0, row by row.

        Raises SaccadeError for a source that is not given, and for a patch that it does not have."""
        row, span = self._row(step, text), self._span(source, text)
        if not 0 <= place < span.stop - span.start:
            count = span.stop - span.start
            raise SaccadeError(f"patch {place} of the {source}: it has {count}, 0 to {count - 1}")
        return self.call(step, layer).columns([span.start + place])[row, :, :, 0].unflatten(-1, self.grid)

    def shares(self, step: int, layer: int, patch: int, text: Text = "prompt") -> dict[str, Float[Tensor, "h"]]:
        """How much of a patch's attention goes to each source, absent ones included; sums to 1."""
        weights = self.call(step, layer).rows([patch])[self._row(step, text), :, 0]
        return {name: weights[:, span].sum(dim=-1) for name, span in self.spans.items()}

    def given_sources(self, text: Text = "prompt") -> list[str]:
        """Sources beside the words that a text is evaluated with."""
        row = self.batch_row(text)
        return [] if row is None else [name for name in self.pictures if name in self.terms[row].pictures]

    def source_grid(self, source: str) -> tuple[int, int]:
        """(rows, columns) of the patches of a source that is given."""
        height, width = self.pictures[source].shape[-2:]
        return height // self.patch, width // self.patch

    def batch_row(self, text: Text) -> int | None:
        """Where a text is in the batch of a guided step: the negative prompt with the most pictures; None if guidance
        does not evaluate it."""
        return next((i for i, term in enumerate(self.terms) if term.prompt == (text == "prompt")), None)

    def call(self, step: int, layer: int, kind: Literal["self", "cross"] = "cross") -> Call:
        """The attention of a block at the evaluation with which a step begins."""
        if not 0 <= layer < self.depth:
            raise SaccadeError(f"layer {layer}: the generator has {self.depth}, 0 to {self.depth - 1}")
        return self._step(step).call(layer, kind)

    def _words(self, text: Text) -> list[str]:
        return self.words if text == "prompt" else self.negative_words

    def _row(self, step: int, text: Text) -> int:
        """Of the batch."""
        row = self.batch_row(text)
        if row is None or (row > 0 and not self._step(step).guided):
            raise SaccadeError(f"step {step} is not guided: the negative prompt was not evaluated there")
        return row

    def _span(self, source: str, text: Text) -> slice:
        if source not in self.given_sources(text):
            known = ", ".join(sorted(self.given_sources(text))) or "none"
            raise SaccadeError(f"there is no source {source!r} beside the {text}; there is {known}")
        return self.spans[source]

    def _step(self, step: int) -> GeneratorPass:
        if not 0 <= step < len(self.steps):
            raise SaccadeError(f"step {step}: the generation has {len(self.steps)}, 0 to {len(self.steps) - 1}")
        return self.steps[step]


@dataclass(frozen=True)
class GenerationTrace(PaintingTrace):
    """A picture that was painted under watch."""

    picture: GeneratedPicture


def trace_generation(
    task: GenerateTask,
    settings: Settings,
    values: bool = False,
    callback: Callback | None = None,
    originals: SourceImages | None = None,
) -> GenerationTrace:
    """Paint a picture, the same as `task.generate_all`, and keep queries and keys of all steps. values: keep v too.

    Raises SaccadeError where these take more than 2 GB, for settings with a layout or an image of strength 0, and as
    `task.generate` does."""
    if settings.image is not None and settings.image.strength == 0:
        raise SaccadeError("a strength of 0 paints nothing, so that there is no attention to look at: use more")
    if settings.layout is not None:
        raise SaccadeError("the settings have a layout, which is another prompt: a page shows a picture of one prompt")
    if settings.style is not None and settings.style.use == "borrow":
        raise SaccadeError(
            "the page shows no borrowed style, whose patches are painted beside the picture's: leave --style or --look "
            "out"
        )
    given = task.pictures(settings, originals)
    sources = task.encode([settings], given)
    patch, depth = task.model.config.patch, task.model.config.depth
    grid = (1, settings.size[0] // patch, settings.size[1] // patch)
    evaluated = settings.sampling.steps * (2 if settings.sampling.sampler == "heun" else 1)
    check_trace_size(task, settings.sampling.steps, evaluated, grid[1] * grid[2], values)
    evaluations: list[GeneratorPass] = []
    with watch(task.model, values=values, only="blocks.*") as trace:

        def observe(t: float, prediction: Tensor) -> None:
            done, begun = len(evaluations), sum(len(each.calls) for each in evaluations)
            step = done // 2 if settings.sampling.sampler == "heun" else done
            evaluations.append(GeneratorPass(step, t, prediction[0].float().cpu(), trace[begun:]))

        [picture] = task.generate_all([settings], callback, observe=observe, originals=originals, sources=sources)
    texts = split_prompts(task, settings)
    terms = settings.sampling.guidance_terms(tuple(given))
    return GenerationTrace(settings, *texts, terms, sources.spans, given, patch, grid, depth, evaluations, picture)


class PromptWords(NamedTuple):
    """The words of the prompt and of the negative prompt, and the weights of both, as in `PaintingTrace`."""

    words: list[str]
    negative_words: list[str]
    weights: list[float]
    negative_weights: list[float]


def split_prompts(task: GenerateTask, settings: Settings) -> PromptWords:
    """The words of both texts."""
    batch, present, weights = task.tokenize_prompts([settings])
    words = [[word.text for word in each] for each in batch.words]
    prompt, negative = (text if there else [""] for text, there in zip(words, present.tolist(), strict=True))
    return PromptWords(prompt, negative, weights[0, : len(prompt)].tolist(), weights[1, : len(negative)].tolist())


def check_trace_size(task: GenerateTask, steps: int, evaluations: int, patches: int, values: bool = False) -> None:
    """Raises SaccadeError where queries and keys of so many evaluations over so many patches take more than 2 GB.
    steps: that they are of."""
    config = task.model.config
    tensors = 4 if values else 3  # q of both attentions, k (and v) of self-attention
    numbers = evaluations * config.depth * 2 * patches * config.block.width * tensors
    if numbers * torch.finfo(torch.float32).bits // 8 > MOST_BYTES:
        raise SaccadeError(
            f"the attention of {steps} steps over {patches} patches takes {numbers * 4 / 2**30:.1f} GB, more than "
            f"{MOST_BYTES / 2**30:g}: use fewer steps or a smaller size"
        )
