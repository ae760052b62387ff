"""Training of a generator."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Generator as RandomGenerator
from torch import Tensor, nn

from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.errors import SaccadeError, UsageError
from saccade.layers.refine import CELL
from saccade.models.generator import Generator, GeneratorConfig
from saccade.models.source_encoders import PICTURE_SOURCES, PictureSource
from saccade.ops import tokenize
from saccade.tasks.base import Task
from saccade.tasks.encoders import floor_to_patches
from saccade.tasks.generate.batches import (
    ABSENT,
    Batch,
    KnownFrameCounts,
    NoisedBatch,
    concat_batches,
    new_batch,
    random_known_frames,
)
from saccade.tasks.generate.cuda_graph import GraphedGenerator
from saccade.tasks.generate.datasets import (
    PaintingSet,
    PaintingSource,
    check_captions,
    has_films,
    open_films,
    open_source,
    source_names,
)
from saccade.tasks.generate.fixed_shapes import compile_parts, pad_words, split_by_sources
from saccade.tasks.generate.loss import MeanFlow, flow_errors
from saccade.tasks.generate.perceptual import load_perceptual
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.training import AnySizeTraining

HEAD_WIDTH = 32  # of an attention head
MAX_WORDS = 128  # of a caption
MAX_VOCABULARY = 20_000  # words of the captions that the card lists
VALIDATION_SEED = 5_000_011  # of the noise of validation, and of its scenes
VALIDATION_BATCH = 50

force_eager = partial(torch.compiler.set_stance, "force_eager")


class GenerateTraining(AnySizeTraining):
    """Pictures with captions or with other pictures that they are painted from, a new generator, and its loss."""

    recipe: GenerateRecipe
    source: PaintingSource
    selection_metric = "r2"

    def __init__(
        self,
        train: PaintingSet,
        val: PaintingSet,
        recipe: GenerateRecipe,
        seed: int = 0,
        pretrained: Task | None = None,
    ):
        super().__init__(train, val, recipe, seed, pretrained)
        self.labels = []
        sources = source_names(train, recipe)
        films = has_films(train, recipe)
        generator = Generator(generator_config(recipe, sources, films, pretrained))
        if pretrained is not None:
            load_weights(generator, pretrained)
        self.model, self._text = generator, generator.config.text
        freeze_unused(generator, sources, films)
        if recipe.objective == "mean-flow":
            check_captions(train)
        self.mean_flow = None if recipe.objective == "flow" else MeanFlow(copy.deepcopy(generator), recipe)
        self.perceptual = None if recipe.perceptual_model is None else load_perceptual(recipe.perceptual_model)
        for unused in (generator.interval, generator.guidance):
            unused.requires_grad_(self.mean_flow is not None)
        self.patch = generator.config.patch
        size = train.size if isinstance(train, Scenes) else (recipe.size, recipe.size)
        self.size = floor_to_patches(size, self.patch)
        self.source = open_source(train, recipe, self.size, recipe.views)
        self.val = open_source(val, recipe, self.size, 1)
        self.films, self.val_films = open_films(train, recipe), open_films(val, recipe)
        self.preprocess = Preprocess(self.size, "crop")
        self.fixed_shapes = False
        self.words: set[str] = set()
        self._describe_data(len(self.val))
        if isinstance(train, Scenes):
            self.about |= {"objects": train.composition.objects, "apart": train.composition.apart}
        captioned = [data for data in (train, val) if not isinstance(data, Scenes)]
        self._identity += [[data.captions(i) for i in range(len(data))] for data in captioned]

    def batch(self, indices: Tensor, generator: RandomGenerator, progress: float) -> list[Batch]:
        """Pictures at random noise levels, with captions, and films, of which the same frames are known in all batches
        of a step."""
        step = RandomGenerator().manual_seed(int(progress * 2**53))
        return self._batches(self.source, self.films, indices, generator, step)

    def _batches(
        self,
        source: PaintingSource,
        films: PaintingSource | None,
        indices: Tensor,
        generator: RandomGenerator,
        step: RandomGenerator,
    ) -> list[Batch]:
        """step: of the random numbers that are the same for all batches of a step."""
        n = 0 if films is None else round(len(indices) * self.recipe.film_share)
        parts = [(source, indices[n:])] if films is None else [(source, indices[n:]), (films, indices[:n])]
        return [
            self._batch(each, some, generator, random_known_frames(each.frames, step))
            for each, some in parts
            if len(some)
        ]

    def _batch(
        self, source: PaintingSource, indices: Tensor, generator: RandomGenerator, known: KnownFrameCounts
    ) -> Batch:
        samples = source.samples(indices, self.size, generator)
        words = tokenize(samples.captions, self._text.max_words, self._text.max_bytes)
        return new_batch(samples, words.without_spans(), self.recipe, generator, known)

    def collate(self, batches: list[list[Batch]]) -> list[Batch]:
        """One batch of pictures, and one of films."""
        return [concat_batches(each) for each in zip(*batches, strict=True)]

    def sampler(self) -> Self:
        """As for every task; the networks that the loss asks stay behind too."""
        other = super().sampler()
        other.mean_flow = other.perceptual = None
        return other

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """Mean error of the objective, over all groups of frames."""
        for batch in batches:
            self.words.update(word for word in batch.words.vocabulary() if word != ABSENT)
        parts = [part for batch in batches for part in self._parts(batch.on(device))]
        errors = []
        for part in parts:
            films = part.pictures.shape[1] > 1
            with force_eager() if self.fixed_shapes and films else nullcontext():
                errors.append((self._errors(model, part).mean(), part.t.numel()))
        groups = sum(n for _, n in errors)
        return torch.stack([each * (n / groups) for each, n in errors]).sum()

    def _parts(self, batch: NoisedBatch) -> list[NoisedBatch]:
        """A batch as it is computed: on a GPU whole, elsewhere the samples with fewer tokens apart."""
        if self.fixed_shapes:
            batch = batch._replace(words=pad_words(batch.words, self._text.max_bytes))
        return [batch] if batch.t.device.type == "cuda" or self.mean_flow is not None else split_by_sources(batch)

    def _errors(self, model: nn.Module, batch: NoisedBatch) -> Tensor:
        """Of each sample."""
        if self.mean_flow is None:
            return flow_errors(model, batch, self.perceptual, self.recipe.perceptual_weight)
        self.mean_flow.teacher.to(batch.t.device)
        if not isinstance(model, Generator):
            raise SaccadeError("--objective mean-flow trains in one process: start it without torchrun")
        return self.mean_flow.errors(model, batch)

    def compiled(self, model: nn.Module) -> nn.Module:
        """Its parts, for pictures; on a GPU the step is one CUDA graph. Films have many shapes, by how many of their
        frames are known, and are not compiled on a CPU."""
        assert isinstance(model, Generator)
        if self.perceptual is not None:
            self.perceptual.vit.compile(dynamic=False)
        if model.device.type == "cuda" and self.mean_flow is None:
            compile_parts(model, methods=True)
            return GraphedGenerator(model)
        compile_parts(model, methods=False)
        self.fixed_shapes = True
        return model

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """On validation pictures with the same noise every time, split among the processes: the mean squared error of
        the velocity, and r2, the share of the mean squared velocity that is explained: 1 where it is always right, 0
        where it is as wrong as a velocity of 0; of films apart."""
        sums = torch.zeros(2, 3, dtype=torch.float64)
        for indices in torch.arange(len(self.val)).split(VALIDATION_BATCH)[device.rank :: device.world]:
            generator, step = (torch.Generator().manual_seed(VALIDATION_SEED + int(indices[0])) for _ in range(2))
            for each in self._batches(self.val, self.val_films, indices, generator, step):
                batch = each.on(device.device)
                with device.autocast_context():
                    errors = flow_errors(model, batch)
                spread = (batch.pictures - batch.noise).square().flatten(1).mean(dim=1)
                found = [errors.cpu().double().sum(), spread.cpu().double().sum(), torch.tensor(float(len(errors)))]
                sums[int(each.pictures.shape[1] > 1)] += torch.stack(found)
        scores: dict[str, float] = {}
        for name, total in zip(("", "film "), device.sum_over_processes(sums.float().to(device.device)), strict=True):
            error, spread, n = total.tolist()
            if n:
                scores |= {f"{name}r2": 1 - error / spread, f"{name}velocity error": error / n}
        return scores if "r2" in scores else {"r2": scores["film r2"], **scores}

    def state_dict(self) -> dict[str, list[str]]:
        """The words that captions have used so far, of which one more than a card holds tells as much as all."""
        return {"words": sorted(self.words)[: MAX_VOCABULARY + 1]}

    def load_state_dict(self, state: dict[str, list[str]]) -> None:
        """Go on from what `state_dict` returned."""
        self.words.update(state["words"])

    def save(self, model: nn.Module, folder: Path, scores: dict[str, float | None]) -> None:
        """Write the model for `saccade.load`; its card holds the words that the captions used so far, unless there are
        too many."""
        self.about["words"] = sorted(self.words) if len(self.words) <= MAX_VOCABULARY else []
        super().save(model, folder, scores)

    def trained(self, model: nn.Module, name: str) -> GenerateTask:
        """The task around a network."""
        assert isinstance(model, Generator)
        return GenerateTask(model, self.preprocess, name)


def freeze_unused(generator: Generator, sources: Sequence[str], films: bool) -> None:
    """Train no weights of other sources of pictures: they are absent throughout, which is one learned token; nor those
    of films where there are none."""
    for module in (generator.embed.second, generator.out.second):
        if module is not None:
            module.requires_grad_(films)
    for name, module in generator.pictures.items():
        source = cast(PictureSource, module)
        for part in (source.embed, source.norm):
            part.requires_grad_(name in sources)


def generator_config(
    recipe: GenerateRecipe, sources: Sequence[str], films: bool, pretrained: Task | None
) -> GeneratorConfig:
    """The generator that a recipe describes, with these sources beside the caption, and weights for films if there are
    some; of a pretrained generator its own, with these too."""
    if isinstance(pretrained, GenerateTask):
        contained = recipe.guidance if recipe.objective == "mean-flow" else pretrained.model.config.contained_guidance
        config = pretrained.model.config
        known = set(config.pictures) | set(sources)
        pictures = tuple(name for name in PICTURE_SOURCES if name in known)
        new = {"contained_guidance": contained, "pictures": pictures, "films": config.films or films}
        return config.model_copy(update=new)
    if recipe.objective == "mean-flow":
        raise UsageError("--objective mean-flow converts a trained generator: give one with --weights")
    if recipe.refine and recipe.patch % CELL:
        raise UsageError(f"--patch {recipe.patch}: a multiple of {CELL} is expected, or --refine 0")
    heads, text = recipe.width // HEAD_WIDTH, recipe.text_width
    return GeneratorConfig.model_validate(
        {
            "block": {"width": recipe.width, "heads": heads, "hidden": 11 * recipe.width // 6, "activation": "swiglu"},
            "depth": recipe.depth,
            "patch": recipe.patch,
            "bottleneck": recipe.bottleneck,
            "refine": recipe.refine,
            "films": films,
            "text": {
                "block": {"width": text, "heads": text // HEAD_WIDTH, "hidden": 2 * text},
                "depth": recipe.text_depth,
                "max_words": MAX_WORDS,
            },
            "pictures": tuple(sources),
            "late": -(-recipe.depth // 3),
        }
    )


def load_weights(model: Generator, pretrained: Task) -> None:
    """The weights of a pretrained generator, or the text encoder's of a pretrained matcher.

    Raises SaccadeError for another model, and for a text encoder of another shape."""
    weights: dict[str, Any] = pretrained.model.state_dict()
    if not isinstance(pretrained, GenerateTask):
        weights = {name.removeprefix("text."): w for name, w in weights.items() if name.startswith("text.")}
        weights = {f"caption.encoder.{name}": value for name, value in weights.items()}
    if isinstance(pretrained, GenerateTask) and model.config.films > pretrained.model.config.films:
        for name in [name for name in weights if name.startswith(("embed.first.", "out.first."))]:
            weights[name.replace("first", "second")] = weights[name]  # a tube begins as two equal frames
    own = model.state_dict()
    wrong = [name for name, value in weights.items() if name not in own or own[name].shape != value.shape]
    if wrong or not weights:
        raise SaccadeError(
            f"--weights {pretrained.name}: a generator, or a matcher with the same text encoder, is expected"
            f"{f'; {wrong[0]} differs' if wrong else ''}"
        )
    model.load_state_dict({**own, **weights})
