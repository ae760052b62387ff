"""How a segmenter is trained on little data: what the loop of `saccade.train` asks for."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from saccade.data.cache import read_all
from saccade.data.preprocess import Preprocess
from saccade.data.scenes.scenes import LEAST
from saccade.data.scenes.segments import SceneSegments
from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.data.segments.arrays import to_segment_arrays
from saccade.data.segments.augment import SegmentAugment
from saccade.device import Device
from saccade.errors import DataError, SaccadeError
from saccade.models.segmenter import Segmenter, SegmenterConfig, SegmenterOutput
from saccade.tasks.base import Task
from saccade.tasks.encoders import colours, encoder_for, fitting_size, take_over, up_to_patches, whole_patches
from saccade.tasks.segment.loss import segmentation_loss
from saccade.tasks.segment.recipe import SegmentRecipe
from saccade.tasks.segment.scores import SegmentScores
from saccade.tasks.segment.task import SegmentTask
from saccade.tasks.training import Training


class Batch(NamedTuple):
    """What one step trains on: normalised pictures and the class of each of their pixels."""

    pictures: Float[Tensor, "b c y x"]
    masks: UInt8[Tensor, "b y x"]


class Source(Protocol):
    """Where training pictures come from, at any size."""

    label: str

    def __len__(self) -> int: ...

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Float[Tensor, "b c y x"], UInt8[Tensor, "b y x"]]:
        """Pictures 0 to 1 of `size` (height, width), and the class of each pixel."""


class FromSet:
    """Pictures with masks, decoded once and augmented each time. window: (height, width) that the model sees of them
    at last: smaller pictures are seen of as large a part."""

    def __init__(self, data: SegmentSet, fit: Preprocess, window: tuple[int, int], recipe: SegmentRecipe):
        self.data = to_segment_arrays(data, fit)
        if all((self.data[[i]][1] == IGNORE_INDEX).all() for i in range(len(self.data))):
            raise DataError(f"every pixel of {data.label} is ignored: masks with classes are needed to train on")
        self.label, self.window, self.recipe = data.label, window, recipe

    def __len__(self) -> int:
        return len(self.data)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, Tensor]:
        least, greatest = (zoom * size[0] / self.window[0] for zoom in self.recipe.zoom)
        augment = SegmentAugment(size, (least, greatest), self.recipe.hflip, self.recipe.color_jitter)
        return augment(*self.data[indices], generator)


class FromScenes:
    """Scenes never seen before: each is drawn for its one use, so there is nothing to augment."""

    def __init__(self, scenes: SceneSegments):
        self.scenes, self.label = scenes.scenes, "scenes, each drawn for its one use"

    def __len__(self) -> int:
        return len(self.scenes)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, Tensor]:
        pictures, drawn = self.scenes.batch(len(indices), size, generator)
        return pictures, torch.stack([torch.from_numpy(scene.semantic) for scene in drawn])


class SegmentTraining(Training):
    """Training and validation pictures, a new segmenter for their classes, and its loss."""

    recipe: SegmentRecipe
    selection_metric = "mIoU"

    def __init__(
        self, train: SegmentSet, val: SegmentSet, recipe: SegmentRecipe, seed: int = 0, start: Task | None = None
    ):
        super().__init__(train, val, recipe, seed, start)
        whole = fitting_size(_sizes(train), recipe.size)
        drawn = isinstance(train, SceneSegments)
        if drawn and min(whole) * recipe.size_at(0) < LEAST * recipe.size_at(1):
            raise SaccadeError(f"a size of {min(whole)} pixels with grow begins with scenes of fewer than {LEAST}")
        full = recipe.size if drawn else recipe.size_at(1)
        window = (min(whole[0], full), min(whole[1], full))
        encoder = encoder_for(recipe.model, window, recipe.drop_path, start)
        self._patch, self.window = encoder.patch, up_to_patches(window, encoder.patch)
        shape = {"depth": recipe.decoder_depth, "pixel_channels": recipe.pixel_channels}
        self.model: nn.Module = Segmenter(SegmenterConfig(vit=encoder, classes=len(self.labels), **shape))
        if start is not None:
            take_over(self.model, start, self.labels)
        fit = Preprocess(whole, "letterbox")
        self.source: Source = (
            FromScenes(train) if isinstance(train, SceneSegments) else FromSet(train, fit, self.window, recipe)
        )
        mean, std = colours(self._pictures(seed), min(len(self.source), 1000), start)
        self.preprocess = Preprocess(self.window, "crop", shortest=min(whole), mean=mean, std=std)
        self.val = val
        self._val = read_all(val, lambda i: (val.picture(i), val.mask(i)))  # those that can be read
        if not self._val:
            why = next(iter(val.skipped.values()), "it is empty")
            raise DataError(f"no picture of {val.label}, by which the weights are chosen, could be read: {why}")
        self.about |= {
            "data": self.source.label,
            "pictures": len(self.source),
            "validation pictures": len(self._val),
        }

    def _pictures(self, seed: int) -> Callable[[Tensor], UInt8[Tensor, "b c y x"]]:
        generator = torch.Generator().manual_seed(seed)
        return lambda some: (self.source.samples(some, self.window, generator)[0] * 255).round().byte()

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> Batch:
        """Augmented pictures with their masks."""
        share = self.recipe.size_at(progress) / self.recipe.size_at(1)
        size = whole_patches((round(self.window[0] * share), round(self.window[1] * share)), self._patch)
        pictures, masks = self.source.samples(indices, size, generator)
        return Batch(self.preprocess.standardize(pictures), masks)

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """All parts of `segmentation_loss`, the mean of all batches."""
        pictures = torch.cat([batch.pictures for batch in batches]).to(device, non_blocking=True)
        masks = torch.cat([batch.masks for batch in batches]).to(device, non_blocking=True)
        said, sizes = SegmenterOutput(*model(pictures)), [len(batch.masks) for batch in batches]
        # part by part, as Dice over a whole batch would not be the same for one process and several
        each = zip(said.logits.split(sizes), said.patch_logits.split(sizes), masks.split(sizes), strict=True)
        parts = [segmentation_loss(SegmenterOutput(p, q), truth, self.recipe.boundary_weight) for p, q, truth in each]
        return torch.stack([sum(part.values(), torch.zeros((), device=device)) for part in parts]).mean()

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """mIoU, accuracy of pixels, Dice and borders on the validation pictures as the model segments them, at their
        own size; shared among the processes."""
        task, mine = self.trained(model, ""), SegmentScores(self.labels)
        for i in self._val[device.rank :: device.world]:
            with device.precision():
                said = task.segment(self.val.picture(i))
            mine.add(said, self.val.mask(i), self.val.names[i])
        total = SegmentScores.from_sums(self.labels, device.sum(mine.sums.to(device.device)).cpu())
        scores = {name: value for name, value in total.result().items() if isinstance(value, float)}
        return {self.selection_metric: 0.0, **scores}

    def trained(self, model: nn.Module, name: str) -> SegmentTask:
        """The segmenter around a network."""
        assert isinstance(model, Segmenter)
        return SegmentTask(model, self.preprocess, name, labels=self.labels)


def _sizes(data: SegmentSet) -> Iterator[tuple[int, int]]:
    """(height, width) of up to some hundred pictures; of scenes, which are all of one size, without drawing any."""
    if isinstance(data, SceneSegments):
        yield data.scenes.size
        return
    for i in range(0, len(data), max(1, len(data) // 100)):
        with suppress(DataError):  # told of when the pictures are read
            mask = data.mask(i)
            yield mask.shape[0], mask.shape[1]
