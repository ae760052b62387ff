"""How a detector is trained on little data: what the loop of `saccade.train` asks for."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from saccade.data.objects import ObjectSet
from saccade.data.objects.arrays import to_object_arrays
from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import LEAST
from saccade.device import Device
from saccade.errors import DataError, SaccadeError
from saccade.models.detector import Detector, DetectorConfig, DetectorOutput
from saccade.tasks.base import Task
from saccade.tasks.detect.batches import Batch, FromScenes, FromSet, Source, as_targets, joined, make_denoising_queries
from saccade.tasks.detect.loss import detection_loss
from saccade.tasks.detect.recipe import DetectRecipe
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import detection_scores, relation_scores
from saccade.tasks.detect.task import MAX_RELATIONS, DetectTask, detections
from saccade.tasks.encoders import colours, encoder_for, fitting_size, take_over, whole_patches
from saccade.tasks.training import Training


class DetectTraining(Training):
    """Training and validation pictures, a new detector for their classes, and its loss."""

    recipe: DetectRecipe
    selection_metric = "mAP"

    def __init__(
        self, train: ObjectSet, val: ObjectSet, recipe: DetectRecipe, seed: int = 0, start: Task | None = None
    ):
        super().__init__(train, val, recipe, seed, start)
        self.relations = train.relations
        self._told.insert(1, self.relations)
        self.size = train.size if isinstance(train, Scenes) else fitting_size(_sizes(train), recipe.size)
        if isinstance(train, Scenes) and min(self.size) * recipe.size_at(0) < LEAST * recipe.size_at(1):
            raise SaccadeError(f"a size of {min(self.size)} pixels with grow begins with scenes of fewer than {LEAST}")
        encoder = encoder_for(recipe.model, self.size, recipe.drop_path, start)
        self._patch = encoder.patch
        self.size = whole_patches(self.size, encoder.patch)
        shape = {"queries": recipe.queries, "depth": recipe.decoder_depth, "relations": len(self.relations)}
        model = Detector(DetectorConfig(vit=encoder, classes=len(self.labels), **shape))
        if start is not None:
            take_over(model, start, self.labels, self.relations)
        if (
            not recipe.denoising_queries
        ):  # then nothing asks for them, and processes that share gradients would wait for theirs
            model.label_embedding.requires_grad_(False)
        self.model: nn.Module = model
        fit = Preprocess(self.size, "letterbox")
        self.source: Source = (
            FromScenes(train) if isinstance(train, Scenes) else FromSet(train, fit, recipe.augmentation())
        )
        mean, std = colours(self._pictures(seed), min(len(self.source), 1000), start)
        self.preprocess = Preprocess(self.size, "letterbox", mean=mean, std=std)
        self.val_pictures, self.val_objects = to_object_arrays(val, self.preprocess, masks=False)
        self.each = max(1.0, self.source.usual)
        self.about |= {
            "data": self.source.label,
            "pictures": len(self.source),
            "validation pictures": len(self.val_objects),
        }

    def _pictures(self, seed: int) -> Callable[[Tensor], UInt8[Tensor, "b c y x"]]:
        generator = torch.Generator().manual_seed(seed)
        return lambda some: (self.source.samples(some, self.size, generator)[0] * 255).round().byte()

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> Batch:
        """Augmented pictures with their objects, plain and spoilt."""
        share = self.recipe.size_at(progress) / self.recipe.size_at(1)
        size = whole_patches((round(self.size[0] * share), round(self.size[1] * share)), self._patch)
        pictures, objects = self.source.samples(indices, size, generator)
        targets = as_targets(objects, len(self.relations))
        noised, pairs = make_denoising_queries(targets, self.recipe.denoising_queries, len(self.labels), generator)
        return Batch(self.preprocess.standardize(pictures), targets, noised, pairs)

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """All parts of `detection_loss`."""
        batch = joined(batches, device)
        found = DetectorOutput(*model(batch.pictures, batch.denoising))
        usual = self.each * len(batch.pictures)
        return sum(
            detection_loss(found, batch.targets, batch.denoising, batch.denoising_match, usual).values(),
            torch.zeros((), device=device),
        )

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """mAP, mAP50, mAP75 and recall of relations on the validation pictures, shared among the processes; boxes
        in pixels of what the model sees."""
        assert isinstance(model, Detector)
        count = len(self.val_objects)
        told = torch.zeros(count, self.recipe.queries, 6, device=device.device)
        related = torch.zeros(count, MAX_RELATIONS, 4, device=device.device)
        for at in list(torch.arange(count).split(50))[device.rank :: device.world]:
            pictures = self.preprocess.normalize(self.val_pictures[at].to(device.device))
            with device.precision():
                found = detections(model(pictures), self.size)
            for i, one in zip(at.tolist(), found, strict=True):
                rows = torch.cat([one.boxes, one.scores[:, None], one.labels[:, None]], dim=1)
                told[i, : len(rows)] = rows.to(device.device)
                if one.relations is not None and one.relation_scores is not None:
                    lines = torch.cat([one.relations, one.relation_scores[:, None]], dim=1)
                    related[i, : len(lines)] = lines.to(device.device)
        boxes, lines = device.sum(told).cpu(), device.sum(related).cpu()
        found = [_detections(row, line) for row, line in zip(boxes, lines, strict=True)]
        scores = detection_scores(found, self.val_objects, self.labels)
        said = {name: scores[name] or 0.0 for name in ("mAP", "mAP50", "mAP75")}
        if self.relations:
            recall = relation_scores(found, self.val_objects, self.relations)
            said |= {name: value or 0.0 for name, value in recall.items() if isinstance(value, float | None)}
        return said

    def trained(self, model: nn.Module, name: str) -> DetectTask:
        """The detector around a network."""
        assert isinstance(model, Detector)
        return DetectTask(model, self.preprocess, name, labels=self.labels, relations=self.relations)


def _sizes(data: ObjectSet) -> Iterator[tuple[int, int]]:
    """(height, width) of up to some hundred pictures."""
    for i in range(0, len(data), max(1, len(data) // 100)):
        with suppress(DataError):  # told of when the pictures are read
            yield data.objects(i, masks=False).size


def _detections(boxes: Float[Tensor, "n 6"], lines: Float[Tensor, "r 4"]) -> Detections:
    there, told = boxes[:, 4] > 0, lines[:, 3] > 0
    boxes, lines = boxes[there], lines[told]
    return Detections(boxes[:, :4], boxes[:, 4], boxes[:, 5].long(), lines[:, :3].long(), lines[:, 3])
