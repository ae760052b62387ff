"""Training of a matcher."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Generator, Tensor, nn

from saccade.data.captions import CaptionSet
from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.models.matcher import Matcher, MatcherConfig
from saccade.models.text import TextEncoderConfig
from saccade.ops import tokenize
from saccade.options import DataOptions
from saccade.tasks.base import Task
from saccade.tasks.captions import captioned_splits
from saccade.tasks.encoders import encoder_config, floor_to_patches, load_pretrained
from saccade.tasks.match.batches import Batch, BatchPart, ScenePairs
from saccade.tasks.match.candidates import SceneCandidates, candidate_sets
from saccade.tasks.match.captioned import CaptionedPictures, DecodedCandidates, decoded_candidates
from saccade.tasks.match.loss import matching_loss
from saccade.tasks.match.recipe import MatchRecipe
from saccade.tasks.match.scores import KS, chance
from saccade.tasks.match.task import MatchTask, candidate_recalls
from saccade.tasks.training import AnySizeTraining, check_scene_size

HEAD_WIDTH = 32  # of an attention head of the text encoder
MAX_WORDS = 256  # of a text: captions that list all relations of eight objects are long


class MatchTraining(AnySizeTraining):
    """Pictures with captions, a new matcher, and its loss. Scenes come in pairs that differ in one attribute or
    relation; the captions of a set are drawn by lot. With scenes, pictures with captions may take part in each batch:
    what is true of both is not known, so that each is compared with captions of its own kind."""

    recipe: MatchRecipe
    source: ScenePairs | CaptionedPictures
    selection_metric = "recall@1"

    def __init__(
        self,
        train: Scenes | CaptionSet,
        val: Scenes | CaptionSet,
        recipe: MatchRecipe,
        seed: int = 0,
        pretrained: Task | None = None,
    ):
        super().__init__(train, val, recipe, seed, pretrained)
        size = train.size if isinstance(train, Scenes) else (recipe.size, recipe.size)
        self.labels = []
        matcher = Matcher(matcher_config(recipe, size, pretrained))
        if pretrained is not None:
            load_pretrained(matcher, pretrained, [])
            table = matcher.text.hashed
            if table is not None and isinstance(pretrained, MatchTask) and pretrained.model.text.hashed is None:
                nn.init.zeros_(table.table)  # the words keep their meaning
        matcher.vit.requires_grad_(not recipe.lock)
        self.model, self.patch, self._text = matcher, matcher.vit.config.patch, matcher.config.text
        self.size = size if isinstance(train, Scenes) else floor_to_patches(size, self.patch)
        self.source = self._open_source(train)
        self.captioned = None if recipe.captioned is None else self._open_captioned(recipe.captioned)
        mean, std = self._channel_stats(seed)
        self.preprocess = Preprocess(self.size, "letterbox", mean=mean, std=std)
        self.candidates: list[SceneCandidates] | list[DecodedCandidates] = (
            list(candidate_sets(val, len(val))) if isinstance(val, Scenes) else decoded_candidates(val, self.preprocess)
        )
        by_chance = torch.cat([chance(each.matches)["recall@1"] for each in self.candidates])
        self.chance = float(by_chance.mean())
        self._describe_data(len(by_chance))
        if isinstance(train, Scenes):
            self.about["objects"] = train.composition.objects
        if self.captioned is not None:
            self.about |= {"captioned": self.captioned.title, "captioned pictures": len(self.captioned)}
        captioned = [data for data in (train, val) if isinstance(data, CaptionSet)]
        self._identity += [[data.captions(i) for i in range(len(data))] for data in captioned]

    def _open_source(self, train: Scenes | CaptionSet) -> ScenePairs | CaptionedPictures:
        if isinstance(train, Scenes):
            check_scene_size(train.size, self.recipe)
            return ScenePairs(train, self.recipe)
        return CaptionedPictures(train, self.size, self.recipe)

    def _open_captioned(self, folder: Path) -> CaptionedPictures:
        """What takes part in batches of scenes: the part of `folder` to train on."""
        train, _ = captioned_splits(DataOptions(data=folder), 0, MAX_WORDS)
        self.notes += train.notes
        self._identity += [[*train.names], [train.captions(i) for i in range(len(train))]]
        return CaptionedPictures(train, self.size, self.recipe)

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> list[BatchPart]:
        """Pictures with what is known of their captions; of scenes two an index, and after them the captioned pictures
        that take part."""
        parts = [self._part(self.source, indices, generator, progress)]
        if self.captioned is not None:
            share = self.recipe.captioned_share
            n = max(1, round(len(parts[0].pictures) * share / (1 - share)))
            drawn = torch.randint(len(self.captioned), (n,), generator=generator)
            parts.append(self._part(self.captioned, drawn, generator, progress))
        return parts

    def _part(
        self, source: ScenePairs | CaptionedPictures, indices: Tensor, generator: Generator, progress: float
    ) -> BatchPart:
        pictures, annotations = source.samples(indices, self._size_at(progress), generator)
        seed = int(torch.randint(2**62, (), generator=generator))
        return BatchPart((pictures * 255).round().byte(), annotations, seed)

    def collate(self, batches: list[list[BatchPart]]) -> list[Batch]:
        """A batch for each source, with labels of all its pictures and all its captions."""
        sources = [self.source] if self.captioned is None else [self.source, self.captioned]
        return [self._batch(source, parts) for source, parts in zip(sources, zip(*batches, strict=True), strict=True)]

    def _batch(self, source: ScenePairs | CaptionedPictures, parts: Sequence[BatchPart]) -> Batch:
        generator = Generator().manual_seed(parts[0].seed)
        texts, labels, chosen = source.pairs([part.annotations for part in parts], generator)
        words = tokenize(texts, self._text.max_words, self._text.max_bytes).without_spans()
        return Batch(torch.cat([part.pictures for part in parts]), words, labels, chosen)

    def sampler(self) -> Self:
        """As for every task; the validation pictures stay behind too."""
        other = super().sampler()
        other.candidates = []
        return other

    def compiled(self, model: nn.Module) -> nn.Module:
        """The model with its picture encoder compiled: texts are of another length in every batch."""
        assert isinstance(model, Matcher)
        model.vit.compile(dynamic=False)
        return model

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """`matching_loss` of all pictures with all captions of their batch, in the mean over the pictures."""
        pictures = sum(len(batch.pictures) for batch in batches)
        losses = [self._loss(model, batch.on(device)) * (len(batch.pictures) / pictures) for batch in batches]
        return torch.stack(losses).sum()

    def _loss(self, model: nn.Module, batch: Batch) -> Tensor:
        pictures, words, labels, choice = batch
        similarity, match = model(self.preprocess.normalize(pictures), words, choice)
        chosen = choice if isinstance(choice, Tensor) else choice(similarity.detach())
        return matching_loss(similarity, match, labels, chosen)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """Recall among at most 100 candidates, of texts for a picture and of pictures for a text, split among the
        processes; also that of the towers alone, and of a random order."""
        task = self.trained(model, "")
        correct = torch.zeros(2, 2 * len(KS), device=device.device)
        for candidates in self.candidates[device.rank :: device.world]:
            with device.autocast_context():
                pixels = self.preprocess.normalize(candidates.pixels.to(device.device))
                scored = candidate_recalls(task, pixels, candidates.texts, candidates.matches)
            for row, found in zip(correct, (scored.head, scored.towers), strict=True):
                row += torch.stack([hits.sum() for hits in found.values()]).to(row)
        names = list(scored.head)
        total = device.sum_over_processes(correct).cpu() / sum(map(len, self.candidates))
        head, towers = (dict(zip(names, row.tolist(), strict=True)) for row in total)
        return head | {"towers recall@1": towers["recall@1"], "chance recall@1": self.chance}

    def trained(self, model: nn.Module, name: str) -> MatchTask:
        """The task around a network."""
        assert isinstance(model, Matcher)
        return MatchTask(model, self.preprocess, name)


def matcher_config(recipe: MatchRecipe, size: tuple[int, int], pretrained: Task | None) -> MatcherConfig:
    """The matcher that a recipe describes, with the encoder of a pretrained model."""
    width = recipe.text_width
    block = {"width": width, "heads": max(1, width // HEAD_WIDTH), "hidden": 2 * width}
    text = {"block": block, "depth": recipe.text_depth, "max_words": MAX_WORDS, "hashed": recipe.hashed_words}
    return MatcherConfig(
        vit=encoder_config(recipe.model, size, recipe.drop_path, pretrained),
        text=TextEncoderConfig.model_validate(text),
        width=recipe.width,
        depth=recipe.head_depth,
    )
