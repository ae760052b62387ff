"""Training of a segmenter on small data sets."""

from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn

from saccade.data.cache import read_all
from saccade.data.preprocess import Preprocess
from saccade.data.scenes.scenes import SceneSegments
from saccade.data.segments import SegmentSet
from saccade.device import Device
from saccade.models.segmenter import Segmenter, SegmenterConfig, SegmenterOutput
from saccade.tasks.base import Task
from saccade.tasks.encoders import ceil_to_patches, encoder_config, freeze_encoder, input_size, load_pretrained
from saccade.tasks.saved import no_pictures_error
from saccade.tasks.segment.batches import Batch, SceneMaskSource, SegmentSource
from saccade.tasks.segment.loss import segmentation_loss
from saccade.tasks.segment.recipe import SegmentRecipe
from saccade.tasks.segment.sampling import SampledPixels, sample_pixels
from saccade.tasks.segment.scores import SegmentScores
from saccade.tasks.segment.task import SegmentTask
from saccade.tasks.training import AnySizeTraining, check_scene_size, picture_sizes, split_microbatches


class SegmentTraining(AnySizeTraining):
    """Training and validation pictures, a new segmenter for their classes, and its loss."""

    recipe: SegmentRecipe
    selection_metric = "mIoU"

    def __init__(
        self, train: SegmentSet, val: SegmentSet, recipe: SegmentRecipe, seed: int = 0, pretrained: Task | None = None
    ):
        super().__init__(train, val, recipe, seed, pretrained)
        scenes = isinstance(train, SceneSegments)
        whole = input_size(_sizes(train), recipe.size)  # of a whole picture, of which the model sees crops
        if scenes:
            check_scene_size(whole, recipe)
        longest = recipe.size if scenes else recipe.size_at(1)
        crop = (min(whole[0], longest), min(whole[1], longest))
        encoder = encoder_config(recipe.model, crop, recipe.drop_path, pretrained)
        self.patch, self.size = encoder.patch, ceil_to_patches(crop, encoder.patch)
        decoder = {"depth": recipe.decoder_depth, "pixel_channels": recipe.pixel_channels}
        self.model: nn.Module = Segmenter(SegmenterConfig(vit=encoder, classes=len(self.labels), **decoder))
        if pretrained is not None:
            self.notes.append(load_pretrained(self.model, pretrained, self.labels))
        if recipe.freeze_encoder:
            freeze_encoder(self.model, pretrained)
        if isinstance(train, SceneSegments):
            self.source = SceneMaskSource(train.scenes)
        else:
            self.source = SegmentSource(train, Preprocess(whole, "letterbox"), self.size, recipe)
        if recipe.balance:
            self._balance_source()
        mean, std = self._channel_stats(seed)
        self.preprocess = Preprocess(self.size, "crop", shortest=min(whole), mean=mean, std=std)
        self.val = val
        self._readable = read_all(val, lambda i: (val.picture(i), val.mask(i)))
        if not self._readable:
            raise no_pictures_error(f"{val.title}, the validation set", val.skipped)
        self._describe_data(len(self._readable))

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> Batch:
        """Augmented pictures, their masks and pixels of these."""
        pictures, masks = self.source.samples(self._drawn(indices, generator), self._size_at(progress), generator)
        sample = sample_pixels(masks, self.recipe.boundary_weight, generator)
        return Batch(self.preprocess.standardize(pictures), masks, sample)

    def parts(self, batches: list[Batch], device: torch.device) -> list[list[Batch]]:
        return split_microbatches(batches, device)

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """The sum of the terms of `segmentation_loss`, averaged over the batches."""
        pictures, pixels = torch.cat([b.pictures for b in batches]), torch.cat([b.sample.pixels for b in batches])
        output = SegmenterOutput(*model(pictures.to(device, non_blocking=True), pixels.to(device)))
        # batch by batch: Dice over all of them would depend on the number of processes
        sizes, losses = [len(batch.masks) for batch in batches], []
        for batch, *logits in zip(batches, *(part.split(sizes) for part in output), strict=True):
            sample = SampledPixels(*(part.to(device) for part in batch.sample))
            losses.append(segmentation_loss(SegmenterOutput(*logits), batch.masks.to(device), sample))
        return torch.stack([sum(terms.values(), torch.zeros((), device=device)) for terms in losses]).mean()

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float | None]:
        """mIoU, pixel accuracy, Dice and boundary scores on the validation pictures at their own size, split among the
        processes."""
        task, scores = self.trained(model, ""), SegmentScores(self.labels)
        for i in self._readable[device.rank :: device.world]:
            with device.autocast_context():
                predicted = task.segment(self.val.picture(i))
            scores.add(predicted, self.val.mask(i), self.val.names[i])
        total = SegmentScores.from_sums(self.labels, device.sum_over_processes(scores.sums.to(device.device)).cpu())
        return {name: value for name, value in total.result().items() if isinstance(value, float | None)}

    def trained(self, model: nn.Module, name: str) -> SegmentTask:
        """The task around a network."""
        assert isinstance(model, Segmenter)
        return SegmentTask(model, self.preprocess, name, labels=self.labels)


def _sizes(data: SegmentSet) -> Iterable[tuple[int, int]]:
    """(height, width) of some pictures; scenes, which are all of one size, are not rendered for it."""
    if isinstance(data, SceneSegments):
        return [data.scenes.size]

    def size(index: int) -> tuple[int, int]:
        height, width = data.mask(index).shape
        return height, width

    return picture_sizes(len(data), size)
