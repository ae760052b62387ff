"""Training of a detector on small data sets."""

import json
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from saccade.data.objects import ObjectSet
from saccade.data.objects.arrays import prepare_objects
from saccade.data.objects.plausibility import query_note
from saccade.data.objects.run_lengths import RunLengths
from saccade.data.objects.tiles import TiledObjects
from saccade.data.preprocess import Placement, Preprocess
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.errors import SaccadeError
from saccade.models.detector import Detector, DetectorConfig, DetectorOutput
from saccade.tasks.base import Task
from saccade.tasks.detect.batches import (
    Batch,
    ObjectSource,
    SceneObjectSource,
    collate,
    make_denoising_queries,
    make_targets,
)
from saccade.tasks.detect.instances import add_masks
from saccade.tasks.detect.loss import detection_loss
from saccade.tasks.detect.mask_loss import make_mask_targets
from saccade.tasks.detect.mask_scores import mask_scores
from saccade.tasks.detect.recipe import DetectRecipe
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import detection_scores, relation_scores
from saccade.tasks.detect.task import MAX_RELATIONS, DetectTask, postprocess
from saccade.tasks.detect.threshold import ScoredDetections, best_f1
from saccade.tasks.encoders import encoder_config, floor_to_patches, freeze_encoder, input_size, load_pretrained
from saccade.tasks.training import AnySizeTraining, check_scene_size, picture_sizes, split_microbatches

MASK_CHANNELS = 16  # features of a pixel, from which masks are made
UNMOVED = Placement(1.0, 1.0, 0.0, 0.0)  # validation pictures are those of the input


class DetectTraining(AnySizeTraining):
    """Training and validation pictures, a new detector for their classes, and its loss."""

    recipe: DetectRecipe
    source: ObjectSource | SceneObjectSource
    selection_metric = "mAP"

    def __init__(
        self, train: ObjectSet, val: ObjectSet, recipe: DetectRecipe, seed: int = 0, pretrained: Task | None = None
    ):
        super().__init__(train, val, recipe, seed, pretrained)
        if recipe.masks:
            self.selection_metric = "mask_mAP"
        self.relations = train.relations
        self._identity.insert(1, self.relations)
        if recipe.tiles:
            train, val = _in_tiles(train, recipe), _in_tiles(val, recipe)
            self.about["tiles"] = True
        if isinstance(train, Scenes):
            size = train.size
            check_scene_size(size, recipe)
        else:
            size = input_size(picture_sizes(len(train), lambda i: train.objects(i, masks=False).size), recipe.size)
        encoder = encoder_config(recipe.model, size, recipe.drop_path, pretrained)
        self.patch, self.size = encoder.patch, floor_to_patches(size, encoder.patch)
        self.model: nn.Module = self._network(DetectorConfig(
            vit=encoder, classes=len(self.labels), queries=recipe.queries, depth=recipe.decoder_depth,
            relations=len(self.relations), mask_channels=MASK_CHANNELS if recipe.masks else 0,
        ))  # fmt: skip
        if isinstance(train, Scenes):
            self.source = SceneObjectSource(train, recipe.masks)
        else:
            whole = Preprocess(self.size, "letterbox")
            self.source = ObjectSource(train, whole, recipe.augmentation(), recipe.masks, recipe.cache)
        if recipe.balance:
            self._balance_source()
        mean, std = self._channel_stats(seed)
        self.preprocess = Preprocess(self.size, "letterbox", mean=mean, std=std)
        self.val_pictures, self.val_objects = prepare_objects(
            val, self.preprocess, masks=False, planes=recipe.masks, budget=recipe.cache
        )
        self.objects_per_picture = max(1.0, self.source.objects_per_picture)
        self._describe_data(len(self.val_objects))
        objects = [*(self.source.objects if isinstance(self.source, ObjectSource) else ()), *self.val_objects]
        if note := query_note([int((~each.crowd).sum()) for each in objects if each.crowd is not None], recipe.queries):
            self.notes.append(note)

    def _network(self, config: DetectorConfig) -> Detector:
        model = Detector(config)
        if self.pretrained is not None:
            self.notes.append(load_pretrained(model, self.pretrained, self.labels, self.relations))
        if self.recipe.freeze_encoder:
            freeze_encoder(model, self.pretrained)
        if not self.recipe.denoising_queries:  # unused: distributed training would wait for its gradient
            model.label_embedding.requires_grad_(False)
        return model

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> Batch:
        """Augmented pictures, their objects, and denoising queries."""
        pictures, objects = self.source.samples(self._drawn(indices, generator), self._size_at(progress), generator)
        targets = make_targets(objects, len(self.relations))
        if self.recipe.masks:
            targets = targets._replace(masks=make_mask_targets(objects, generator))
        denoising = make_denoising_queries(targets, self.recipe.denoising_queries, len(self.labels), generator)
        return Batch(self.preprocess.standardize(pictures), targets, *denoising)

    def parts(self, batches: list[Batch], device: torch.device) -> list[list[Batch]]:
        return split_microbatches(batches, device)

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """The sum of the terms of `detection_loss`."""
        batch = collate(batches, device)
        output = DetectorOutput(*model(batch.pictures, batch.denoising))
        normalizer = self.objects_per_picture * len(batch.pictures)
        terms = detection_loss(output, batch.targets, batch.denoising, batch.denoising_match, normalizer)
        return sum(terms.values(), torch.zeros((), device=device))

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float | None]:
        """mAP, mAP50, mAP75, the best F1 with its threshold, and recall of relations on the validation pictures, split
        among the processes; boxes in pixels of the input."""
        found = self._predictions(model, device)
        scores = detection_scores(found, self.val_objects, self.labels)
        result: dict[str, float | None] = {name: scores[name] for name in ("mAP", "mAP50", "mAP75")}
        result |= best_f1(ScoredDetections(found, self.val_objects))
        if self.recipe.masks:
            outlined = mask_scores(found, self.val_objects, self.labels)
            result |= {name: outlined[name] for name in ("mask_mAP", "mask_mAP50", "mask_mAP75")}
        if self.relations:
            recall = relation_scores(found, self.val_objects, self.relations)
            result |= {name: value for name, value in recall.items() if isinstance(value, float | None)}
        return result

    def _predictions(self, model: nn.Module, device: Device) -> list[Detections]:
        """Of all processes, gathered as tables that are 0 where another process predicted."""
        assert isinstance(model, Detector)
        count = len(self.val_objects)
        objects = torch.zeros(count, self.recipe.queries, 6, device=device.device)
        relations = torch.zeros(count, MAX_RELATIONS, 4, device=device.device)
        masks: list[tuple[RunLengths, ...] | None] = [None] * count
        for indices in list(torch.arange(count).split(50))[device.rank :: device.world]:
            pictures = self.preprocess.normalize(self.val_pictures[indices][0].to(device.device))
            with device.autocast_context():
                output = model(pictures)
            found = postprocess(output, self.size)
            if output.masks is not None:
                found = [add_masks(one, output.masks, k, UNMOVED, self.size) for k, one in enumerate(found)]
            for i, one in zip(indices.tolist(), found, strict=True):
                masks[i] = one.masks
                rows = torch.cat([one.boxes, one.scores[:, None], one.labels[:, None]], dim=1)
                objects[i, : len(rows)] = rows.to(device.device)
                if one.relations is not None and one.relation_scores is not None:
                    rows = torch.cat([one.relations, one.relation_scores[:, None]], dim=1)
                    relations[i, : len(rows)] = rows.to(device.device)
        tables = zip(
            device.sum_over_processes(objects).cpu(),
            device.sum_over_processes(relations).cpu(),
            _gathered(masks, device),
            strict=True,
        )
        return [_from_tables(*each) for each in tables]

    def save(self, model: nn.Module, folder: Path, scores: dict[str, float | None]) -> None:
        """With the threshold of the best F1, from which on `predict` shows objects."""
        self.about["threshold"] = scores.get("threshold")
        super().save(model, folder, scores)

    def trained(self, model: nn.Module, name: str) -> DetectTask:
        """The task around a network."""
        assert isinstance(model, Detector)
        return DetectTask(model, self.preprocess, name, labels=self.labels, relations=self.relations)


def _in_tiles(data: ObjectSet, recipe: DetectRecipe) -> TiledObjects:
    if not recipe.masks:
        raise SaccadeError("--tiles needs --masks, by which objects that lie in several tiles are joined")
    if isinstance(data, Scenes):
        raise SaccadeError("--tiles: scenes are drawn at --size; leave it out")
    return TiledObjects(data, recipe.size)


def _from_tables(
    objects: Float[Tensor, "n 6"], relations: Float[Tensor, "r 4"], masks: tuple[RunLengths, ...] | None
) -> Detections:
    """Rows with a score of 0 are padding."""
    objects, relations = objects[objects[:, 4] > 0], relations[relations[:, 3] > 0]
    return Detections(
        objects[:, :4],
        objects[:, 4],
        objects[:, 5].long(),
        relations[:, :3].long(),
        relations[:, 3],
        masks=masks,
    )


def _gathered(masks: list[tuple[RunLengths, ...] | None], device: Device) -> list[tuple[RunLengths, ...] | None]:
    """Masks of all processes, each None where another process predicted: as bytes of JSON, which are 0 there."""
    if device.world == 1:
        return masks
    texts = [b"" if each is None else json.dumps(each).encode() for each in masks]
    lengths = device.sum_over_processes(torch.tensor([len(text) for text in texts], device=device.device)).tolist()
    table = torch.zeros(len(masks), max([1, *lengths]), dtype=torch.int32, device=device.device)
    for row, text in zip(table, texts, strict=True):
        row[: len(text)] = torch.tensor(list(text), dtype=torch.int32)
    rows = zip(device.sum_over_processes(table).cpu().tolist(), lengths, strict=True)
    return [tuple(json.loads(bytes(row[:length]))) if length else None for row, length in rows]
