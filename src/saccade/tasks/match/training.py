"""Training of a matcher on scenes."""

import torch
from torch import Generator, Tensor, nn

from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.models.matcher import Matcher, MatcherConfig
from saccade.models.text import TextEncoderConfig
from saccade.tasks.base import Task
from saccade.tasks.encoders import encoder_config, load_pretrained
from saccade.tasks.match.batches import Batch, ScenePairs, choose_pairs, join
from saccade.tasks.match.candidates import candidate_sets
from saccade.tasks.match.loss import matching_loss
from saccade.tasks.match.recipe import MatchRecipe
from saccade.tasks.match.scores import KS
from saccade.tasks.match.task import MatchTask, ranked
from saccade.tasks.training import SourceTraining, check_scene_size

HEAD_WIDTH = 32  # of an attention head of the text encoder
MAX_WORDS = 256  # of a text: captions that list all relations of eight objects are long


class MatchTraining(SourceTraining):
    """Scenes in pairs that differ in one attribute or relation, a new matcher, and its loss."""

    recipe: MatchRecipe
    selection_metric = "recall@1"

    def __init__(self, train: Scenes, val: Scenes, recipe: MatchRecipe, seed: int = 0, pretrained: Task | None = None):
        super().__init__(train, val, recipe, seed, pretrained)
        check_scene_size(train.size, recipe)
        self.labels = []
        matcher = Matcher(matcher_config(recipe, train.size, pretrained))
        if pretrained is not None:
            load_pretrained(matcher, pretrained, [])
        matcher.vit.requires_grad_(not recipe.lock)
        self.model, self.tokenize = matcher, matcher.tokenize
        self.patch, self.size = matcher.vit.config.patch, train.size
        self.source = ScenePairs(train, recipe)
        mean, std = self._channel_stats(seed)
        self.preprocess = Preprocess(self.size, "letterbox", mean=mean, std=std)
        self.candidates = list(candidate_sets(val, len(val)))
        self._describe_data(len(val))
        self.about["objects"] = train.composition.objects

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> Batch:
        """Two scenes an index, which differ in one attribute or relation, with their captions."""
        pictures, annotations = self.source.samples(indices, self._size_at(progress), generator)
        return Batch(self.preprocess.standardize(pictures), *annotations)

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """`matching_loss` of all pictures with all captions."""
        batch = join(batches)
        words = self.tokenize([caption.text for caption in batch.captions])
        pairs = choose_pairs(batch, self.recipe.captions, self.recipe.hard_negatives, self.recipe.random_negatives)
        labels, chosen = pairs.labels.to(device), pairs.chosen.to(device)
        similarity, match = model(batch.pictures.to(device), words, chosen)
        return matching_loss(similarity, match, labels, chosen)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """Recall among the candidates of the validation sets, of texts for a picture and of pictures for a text, split
        among the processes; also that of the towers alone."""
        task = self.trained(model, "")
        correct = torch.zeros(2, 2 * len(KS), device=device.device)
        for candidates in self.candidates[device.rank :: device.world]:
            with device.precision():
                pixels = self.preprocess.normalize(candidates.pixels.to(device.device))
                scored = ranked(task, pixels, candidates.texts)
            for row, found in zip(correct, (scored.head, scored.towers), strict=True):
                row += torch.stack([hits.sum() for hits in found.values()]).to(row)
        names = list(scored.head)
        total = device.sum(correct).cpu() / sum(map(len, self.candidates))
        head, towers = (dict(zip(names, row.tolist(), strict=True)) for row in total)
        return head | {"towers' recall@1": towers["recall@1"]}

    def trained(self, model: nn.Module, name: str) -> MatchTask:
        """The task around a network."""
        assert isinstance(model, Matcher)
        return MatchTask(model, self.preprocess, name)


def matcher_config(recipe: MatchRecipe, size: tuple[int, int], pretrained: Task | None) -> MatcherConfig:
    """The matcher that a recipe describes, with the encoder of a pretrained model."""
    width = recipe.text_width
    block = {"width": width, "heads": max(1, width // HEAD_WIDTH), "hidden": 2 * width}
    return MatcherConfig(
        vit=encoder_config(recipe.model, size, recipe.drop_path, pretrained),
        text=TextEncoderConfig.model_validate({"block": block, "depth": recipe.text_depth, "max_words": MAX_WORDS}),
        width=recipe.width,
        depth=recipe.head_depth,
    )
