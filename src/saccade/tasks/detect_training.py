"""How a detector is trained on little data: what the loop of `saccade.train` asks for."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import torch
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor, nn

from saccade.data.object_arrays import to_object_arrays
from saccade.data.object_augment import ObjectAugment
from saccade.data.objects import Objects, ObjectSet
from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.device import Device
from saccade.errors import DataError
from saccade.models.detector import Detector, DetectorConfig, Found, Noised
from saccade.ops.boxes import to_centred
from saccade.tasks.detect import DetectTask, detections
from saccade.tasks.detect_loss import Match, Targets, detection_loss
from saccade.tasks.detect_scores import detection_scores, relation_scores
from saccade.tasks.detections import Detections
from saccade.tasks.encoders import colours, encoder_for, whole_patches
from saccade.tasks.task import Task


class DetectRecipe(BaseModel):
    """The model and the augmentation. The defaults suit some hundreds to some ten thousand pictures."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    model: str = "small/8"
    """Preset of the encoder."""
    size: Annotated[int, Field(gt=0)] = 320
    """Longer side of the pictures the model sees, in pixels; the shorter follows from the training pictures."""
    queries: Annotated[int, Field(gt=0)] = 60
    """Objects that can be found in one picture."""
    depth: Annotated[int, Field(gt=0)] = 3
    """Blocks of the decoder."""
    grow: bool = False
    """Begin with pictures of half the size, which costs a quarter, and grow them to the full size."""
    zoom: tuple[float, float] = (0.6, 1.6)
    """Least and greatest random zoom."""
    upside_down: bool = False
    """Also mirror above and below: for pictures without an up."""
    quarter_turns: bool = False
    """Also exchange rows and columns: for square pictures without an up."""
    colour: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Random change of brightness, contrast and saturation."""
    noised: Annotated[int, Field(ge=0)] = 32
    """Known objects, spoilt, that the decoder mends beside its own queries; 0 for off."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance to skip the encoder's last block's branches in training, less for earlier blocks."""

    def share_at(self, progress: float) -> float:
        """Side of the training pictures at a point of the run, 0 to 1, as a share of the full side."""
        if not self.grow:
            return 1.0
        return 1 / 2 if progress < 0.5 else 3 / 4 if progress < 0.75 else 1.0


class Source(Protocol):
    """Where training pictures come from, at any size."""

    def __len__(self) -> int: ...

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Float[Tensor, "b c y x"], list[Objects]]:
        """Pictures 0 to 1 of `size` (height, width), and what is in them."""


class FromSet:
    """Annotated pictures, decoded once and augmented each time."""

    def __init__(self, data: ObjectSet, fit: Preprocess, recipe: DetectRecipe):
        self.pictures, self.objects = to_object_arrays(data, fit)
        self.recipe, self.relations = recipe, data.relations

    def __len__(self) -> int:
        return len(self.objects)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, list[Objects]]:
        r = self.recipe
        augment = ObjectAugment(
            size,
            scale=r.zoom,
            upside_down=r.upside_down,
            quarter_turns=r.quarter_turns,
            colour=r.colour,
            relations=self.relations,
        )
        return augment(self.pictures[indices], [self.objects[i] for i in indices.tolist()], generator)


class FromScenes:
    """Scenes never seen before: each is drawn for its one use, so there is nothing to augment."""

    def __init__(self, scenes: Scenes):
        self.scenes = scenes

    def __len__(self) -> int:
        return len(self.scenes)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, list[Objects]]:
        seeds = torch.randint(2**62, (len(indices),), generator=generator).tolist()
        drawn = [Scenes(1, size, seed).scene(0) for seed in seeds]
        pixels = torch.stack([torch.from_numpy(scene.pixels) for scene in drawn])
        return pixels.permute(0, 3, 1, 2).float() / 255, [scene.objects for scene in drawn]


class Batch(NamedTuple):
    """What one step trains on: normalised pictures, their objects, and the same objects spoilt."""

    pictures: Float[Tensor, "b c y x"]
    targets: Targets
    noised: Noised | None
    denoise: Match | None


class DetectTraining:
    """Training and validation pictures, a new detector for their classes, and its loss."""

    judged_by = "mAP"

    def __init__(
        self, train: ObjectSet, val: ObjectSet, recipe: DetectRecipe, seed: int = 0, start: Task | None = None
    ):
        self.recipe, self.labels, self.relations, self.start = recipe, train.classes, train.relations, start
        if val.classes != train.classes:
            raise DataError(f"the classes of {val.label} are not those of {train.label}: they must be the same")
        torch.manual_seed(seed)
        self.size = fitting_size(train, recipe)
        encoder = encoder_for(recipe.model, self.size, recipe.drop_path, start)
        self._patch = encoder.patch
        self.size = whole_patches(self.size, encoder.patch)
        shape = {"queries": recipe.queries, "depth": recipe.depth, "relations": len(self.relations)}
        self.model: nn.Module = Detector(DetectorConfig(vit=encoder, classes=len(self.labels), **shape))
        if start is not None:
            take_over(self.model, start.model)
        fit = Preprocess(self.size, "letterbox")
        self.source: Source = FromScenes(train) if isinstance(train, Scenes) else FromSet(train, fit, recipe)
        known = (start.preprocess.mean, start.preprocess.std) if start is not None else None
        mean, std = known or self._colours(seed)
        self.preprocess = Preprocess(self.size, "letterbox", mean=mean, std=std)
        self.val_pictures, self.val_objects = to_object_arrays(val, self.preprocess)
        self.each = max(1.0, sum(map(len, self.val_objects)) / max(1, len(self.val_objects)))
        self.about = {
            "data": train.label,
            "validated on": val.label,
            "pictures": len(self.source),
            "validation pictures": len(self.val_objects),
            "start": None if start is None else start.name,
        }
        self._names = [train.names, val.names]

    def _colours(self, seed: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        generator = torch.Generator().manual_seed(seed)

        def pictures(some: Tensor) -> UInt8[Tensor, "b c y x"]:
            return (self.source.samples(some, self.size, generator)[0] * 255).round().byte()

        return colours(pictures, min(len(self.source), 1000))

    @property
    def identity(self) -> str:
        """A digest of the classes, of the names of all pictures in both sets, and of the start."""
        told = [self.labels, self.relations, self._names, None if self.start is None else self.start.name]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> Batch:
        """Augmented pictures with their objects, plain and spoilt."""
        share = self.recipe.share_at(progress)
        size = whole_patches((round(self.size[0] * share), round(self.size[1] * share)), self._patch)
        pictures, objects = self.source.samples(indices, size, generator)
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.preprocess.mean, self.preprocess.std))
        targets = as_targets(objects, len(self.relations))
        noised, pairs = spoilt(targets, self.recipe.noised, len(self.labels), generator)
        return Batch((pictures - mean) / std, targets, noised, pairs)

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """All parts of `detection_loss`."""
        batch = _joined(batches, device)
        found = Found(*model(batch.pictures, batch.noised))
        usual = self.each * len(batch.pictures)
        return sum(detection_loss(found, *batch[1:], each=usual).values(), torch.zeros((), device=device))

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """mAP, mAP50, mAP75 and recall of relations on the validation pictures, shared among the processes; boxes
        in pixels of what the model sees."""
        assert isinstance(model, Detector)
        count, most = len(self.val_objects), min(100, self.recipe.queries)
        told = torch.zeros(count, most, 6, device=device.device)
        related = torch.zeros(count, 100, 4, device=device.device)
        for at in list(torch.arange(count).split(50))[device.rank :: device.world]:
            pictures = self.preprocess.normalised(self.val_pictures[at].to(device.device))
            with device.precision():
                found = detections(model(pictures), self.size)
            for i, one in zip(at.tolist(), found, strict=True):
                rows = torch.cat([one.boxes, one.scores[:, None], one.labels[:, None]], dim=1)[:most]
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

    def save(self, model: nn.Module, folder: Path, scores: dict[str, float]) -> None:
        """Write the model as `saccade.load` reads it."""
        assert isinstance(model, Detector)
        task = DetectTask(model, self.preprocess, folder.parent.name, labels=self.labels, relations=self.relations)
        task.save(folder, scores=scores, recipe=self.recipe.model_dump(mode="json"), **self.about)


def fitting_size(data: ObjectSet, recipe: DetectRecipe) -> tuple[int, int]:
    """(height, width): the longer side as the recipe says, the shorter in the middle proportion of the pictures."""
    if isinstance(data, Scenes):
        return data.size
    step = max(1, len(data) // 100)
    shapes = []
    for i in range(0, len(data), step):
        try:
            height, width = data.objects(i).size
        except DataError:  # told of when the pictures are read
            continue
        shapes.append(height / width)
    ratio = torch.tensor(shapes or [1.0]).median().item()
    if ratio <= 1:
        return max(1, round(recipe.size * ratio)), recipe.size
    return recipe.size, max(1, round(recipe.size / ratio))


def take_over(model: nn.Module, start: nn.Module) -> None:
    """All weights of the same name and shape: of another detector what does not depend on its classes, else the
    encoder."""
    mine = model.state_dict()
    theirs = start.state_dict() if any(n.startswith("vit.") for n in start.state_dict()) else {}
    mine.update({name: value for name, value in theirs.items() if name in mine and mine[name].shape == value.shape})
    model.load_state_dict(mine)


def as_targets(objects: list[Objects], relations: int) -> Targets:
    """Boxes centred and in shares of their pictures, filled up to the most objects of any picture. Crowds are left
    out: they are not to be found one by one."""
    chosen = [(~o.crowd).nonzero().flatten() for o in objects]  # type: ignore[operator]
    b, most = len(objects), max(1, *(len(c) for c in chosen)) if chosen else 1
    boxes = torch.full((b, most, 4), 0.5)
    labels = torch.full((b, most), -1)
    related = torch.zeros(b, most, most, relations, dtype=torch.bool) if relations else None
    for i, (o, c) in enumerate(zip(objects, chosen, strict=True)):
        height, width = o.size
        boxes[i, : len(c)] = to_centred(o.boxes[c]) / torch.tensor([width, height, width, height])
        labels[i, : len(c)] = o.labels[c]
        if related is not None and o.relations is not None and len(c) == len(o):
            subject, kind, object_ = o.relations.unbind(1)
            related[i, subject, object_, kind] = True
    return Targets(boxes, labels, related)


def spoilt(
    targets: Targets, slots: int, classes: int, generator: Generator, shift: float = 0.4, wrong: float = 0.2
) -> tuple[Noised | None, Match | None]:
    """Copies of the objects with edges moved by up to `shift` of their sides and a share `wrong` of other classes, as
    many whole sets a picture as there are slots for (Li et al. 2022, 4.2).

    Returns them, and which of them stands for which object.
    """
    if not slots:
        return None, None
    b, most = targets.labels.shape
    counts = targets.there.sum(dim=1, keepdim=True)
    slot = torch.arange(slots).expand(b, -1)
    sets = torch.div(slots, counts.clamp(min=1), rounding_mode="floor") * (counts > 0)
    group = torch.div(slot, counts.clamp(min=1), rounding_mode="floor")
    used = group < sets
    object_ = (slot % counts.clamp(min=1)).clamp(max=most - 1)
    boxes = targets.boxes.gather(1, object_[..., None].expand(-1, -1, 4))
    random = torch.rand(b, slots, 6, generator=generator)
    size = boxes[..., 2:]
    moved = torch.cat(
        [boxes[..., :2] + (random[..., :2] - 0.5) * shift * size, size * (1 + (random[..., 2:4] * 2 - 1) * shift)], -1
    )
    labels = targets.labels.gather(1, object_).clamp(min=0)
    other = (random[..., 5] * classes).long().clamp(max=classes - 1)
    labels = torch.where(random[..., 4] < wrong, other, labels)
    noised = Noised(moved.clamp(1e-3, 1 - 1e-3), labels, group.masked_fill(~used, -1))
    picture, place = used.nonzero(as_tuple=True)
    return noised, Match(picture, place, object_[picture, place])


def _joined(batches: list[Batch], device: torch.device) -> Batch:
    """One batch of several, with as many objects a picture as the fullest holds."""
    most = max(b.targets.labels.shape[1] for b in batches)
    parts = []
    first = 0
    for b in batches:
        t, more = b.targets, most - b.targets.labels.shape[1]
        pad = nn.functional.pad
        related = None if t.relations is None else pad(t.relations, (0, 0, 0, more, 0, more))
        targets = Targets(pad(t.boxes, (0, 0, 0, more), value=0.5), pad(t.labels, (0, more), value=-1), related)
        pairs = None if b.denoise is None else b.denoise._replace(picture=b.denoise.picture + first)
        parts.append(Batch(b.pictures, targets, b.noised, pairs))
        first += len(b.pictures)
    return _together(parts, device)


def _together(parts: list[Any], device: torch.device) -> Any:
    """Tuples of tensors, joined field by field."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], Tensor):
        return torch.cat(parts).to(device, non_blocking=True)
    return type(parts[0])(*(_together(list(fields), device) for fields in zip(*parts, strict=True)))


def _detections(boxes: Float[Tensor, "n 6"], lines: Float[Tensor, "r 4"]) -> Detections:
    there, told = boxes[:, 4] > 0, lines[:, 3] > 0
    boxes, lines = boxes[there], lines[told]
    return Detections(boxes[:, :4], boxes[:, 4], boxes[:, 5].long(), lines[:, :3].long(), lines[:, 3])
