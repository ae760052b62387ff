"""Training batches of a detector: their source, targets and denoising queries."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from saccade.data.cache import MEMORY_BUDGET
from saccade.data.objects import ObjectAnnotations, ObjectSet
from saccade.data.objects.arrays import prepare_objects, with_planes
from saccade.data.objects.augment import ObjectAugment
from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.models.detector import DenoisingQueries
from saccade.ops.boxes import xyxy_to_cxcywh
from saccade.tasks.detect.loss import Assignment, Targets
from saccade.tasks.training import SceneSource


class ObjectSource:
    """Annotated pictures, decoded once and augmented for each batch.

    Attributes:
        augmentation: arguments of `ObjectAugment` beside the size.
        objects_per_picture: mean number, without crowds.
    """

    def __init__(
        self,
        data: ObjectSet,
        preprocess: Preprocess,
        augmentation: dict[str, Any],
        masks: bool = False,
        budget: int = MEMORY_BUDGET,
    ):
        """masks: keep the objects' masks, as `MaskPlanes`. budget: bytes of decoded pictures in memory."""
        self.pictures, self.objects = prepare_objects(data, preprocess, masks=False, planes=masks, budget=budget)
        self.augmentation = {**augmentation, "relations": data.relations}
        self.title = data.title
        crowds = sum(int(o.crowd.sum()) for o in self.objects if o.crowd is not None)
        self.objects_per_picture = (sum(map(len, self.objects)) - crowds) / len(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    def classes_per_picture(self) -> list[list[int]]:
        """The classes of each picture."""
        return [objects.labels.tolist() for objects in self.objects]

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Tensor, list[ObjectAnnotations]]:
        """Pictures (b c y x), 0 to 1, of `size` (height, width), and their objects."""
        augment = ObjectAugment(size, **self.augmentation)
        return augment(self.pictures[indices][0], [self.objects[i] for i in indices.tolist()], generator)


class SceneObjectSource(SceneSource):
    """Newly rendered scenes and their objects."""

    def __init__(self, scenes: Scenes, masks: bool = False):
        """masks: keep the objects' masks, as `MaskPlanes`."""
        super().__init__(scenes)
        self.masks = masks
        some = range(min(64, len(scenes)))
        self.objects_per_picture = sum(len(scenes.objects(i)) for i in some) / max(1, len(some))

    def annotations(self, scenes: list[Any]) -> list[ObjectAnnotations]:
        objects = [scene.objects for scene in scenes]
        return [with_planes(each, self.title) for each in objects] if self.masks else objects


class Batch(NamedTuple):
    """Normalised pictures, their objects, and denoising queries with the objects that they reconstruct."""

    pictures: Float[Tensor, "b c y x"]
    targets: Targets
    denoising: DenoisingQueries | None
    denoising_match: Assignment | None


def make_targets(objects: list[ObjectAnnotations], relations: int) -> Targets:
    """Boxes relative to their pictures, padded to the largest number of objects in a picture. Crowds are left out:
    their objects are not annotated one by one."""
    chosen = [(~o.crowd).nonzero().flatten() for o in objects]  # type: ignore[operator]
    b, most = len(objects), max(1, *(len(c) for c in chosen)) if chosen else 1
    boxes = torch.full((b, most, 4), 0.5)
    labels = torch.full((b, most), -1)
    related = torch.zeros(b, most, most, relations, dtype=torch.bool) if relations else None
    for i, (o, c) in enumerate(zip(objects, chosen, strict=True)):
        height, width = o.size
        boxes[i, : len(c)] = xyxy_to_cxcywh(o.boxes[c]) / torch.tensor([width, height, width, height])
        labels[i, : len(c)] = o.labels[c]
        if related is not None and o.relations is not None:
            target = torch.full((len(o),), -1)  # index of each object in the targets
            target[c] = torch.arange(len(c))
            subject, kind, object_ = target[o.relations[:, 0]], o.relations[:, 1], target[o.relations[:, 2]]
            both = (subject >= 0) & (object_ >= 0)
            related[i, subject[both], object_[both], kind[both]] = True
    return Targets(boxes, labels, related)


def make_denoising_queries(
    targets: Targets,
    count: int,
    classes: int,
    generator: Generator,
    box_noise: float = 0.4,
    label_noise: float = 0.2,
) -> tuple[DenoisingQueries | None, Assignment | None]:
    """Noised copies of the objects: box edges shifted by up to `box_noise` of the side, a fraction `label_noise` of
    random labels (Li et al. 2022, 4.2). Each group is a full copy of a picture's objects; there are as many groups as
    fit into `count`, and of a picture with more objects one group of `count` of them, chosen at random.

    Returns the queries, and the object that each of them stands for.
    """
    if not count:
        return None, None
    b, most = targets.labels.shape
    counts = targets.valid.sum(dim=1, keepdim=True)
    slot = torch.arange(count).expand(b, -1)
    groups = torch.div(count, counts.clamp(min=1), rounding_mode="floor").clamp(min=1) * (counts > 0)
    group = torch.div(slot, counts.clamp(min=1), rounding_mode="floor")
    used = group < groups
    object_ = (slot % counts.clamp(min=1)).clamp(max=most - 1)
    random = torch.rand(b, count, 6, generator=generator)
    if most > count:
        order = torch.rand(b, most, generator=generator).masked_fill(~targets.valid, 2.0).argsort(dim=1)
        object_ = torch.where(counts > count, order[:, :count], object_)
    boxes = targets.boxes.gather(1, object_[..., None].expand(-1, -1, 4))
    size = boxes[..., 2:]
    moved = torch.cat(
        [
            boxes[..., :2] + (random[..., :2] - 0.5) * box_noise * size,
            size * (1 + (random[..., 2:4] * 2 - 1) * box_noise),
        ],
        -1,
    )
    labels = targets.labels.gather(1, object_).clamp(min=0)
    other = (random[..., 5] * classes).long().clamp(max=classes - 1)
    labels = torch.where(random[..., 4] < label_noise, other, labels)
    queries = DenoisingQueries(moved.clamp(1e-3, 1 - 1e-3), labels, group.masked_fill(~used, -1))
    picture, query = used.nonzero(as_tuple=True)
    return queries, Assignment(picture, query, object_[picture, query])


def collate(batches: list[Batch], device: torch.device) -> Batch:
    """Concatenate batches, padded to the same number of objects."""
    most = max(b.targets.labels.shape[1] for b in batches)
    planes = max(0 if b.targets.masks is None else b.targets.masks.planes.shape[1] for b in batches)
    parts = []
    first = 0
    for b in batches:
        t, more = b.targets, most - b.targets.labels.shape[1]
        pad = nn.functional.pad
        related = None if t.relations is None else pad(t.relations, (0, 0, 0, more, 0, more))
        masks = None if t.masks is None else t.masks.pad_planes(planes)
        targets = Targets(pad(t.boxes, (0, 0, 0, more), value=0.5), pad(t.labels, (0, more), value=-1), related, masks)
        pairs = (
            None if b.denoising_match is None else b.denoising_match._replace(picture=b.denoising_match.picture + first)
        )
        parts.append(Batch(b.pictures, targets, b.denoising, pairs))
        first += len(b.pictures)
    return _concatenate(parts, device)


def _concatenate(parts: list[Any], device: torch.device) -> Any:
    """Tuples of tensors, field by field."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], Tensor):
        return torch.cat(parts).to(device, non_blocking=True)
    return type(parts[0])(*(_concatenate(list(fields), device) for fields in zip(*parts, strict=True)))
