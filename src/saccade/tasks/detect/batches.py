"""Where a detector's training pictures come from, and what one step of it trains on."""

from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from saccade.data.objects import Objects, ObjectSet
from saccade.data.objects.arrays import to_object_arrays
from saccade.data.objects.augment import ObjectAugment
from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Scenes
from saccade.models.detector import DenoisingQueries
from saccade.ops.boxes import xyxy_to_cxcywh
from saccade.tasks.detect.loss import Match, Targets


class Source(Protocol):
    """Where training pictures come from, at any size.

    Attributes:
        label: what to call them.
        usual: objects in a picture, on average.
    """

    label: str
    usual: float

    def __len__(self) -> int: ...

    def samples(
        self, indices: Tensor, size: tuple[int, int], generator: Generator
    ) -> tuple[Float[Tensor, "b c y x"], list[Objects]]:
        """Pictures 0 to 1 of `size` (height, width), and what is in them."""


class FromSet:
    """Annotated pictures, decoded once and augmented each time.

    augmentation: what `ObjectAugment` is told beside the size.
    """

    def __init__(self, data: ObjectSet, fit: Preprocess, augmentation: dict[str, Any]):
        self.pictures, self.objects = to_object_arrays(data, fit, masks=False)
        self.augmentation = {**augmentation, "relations": data.relations}
        self.label = data.label
        crowds = sum(int(o.crowd.sum()) for o in self.objects if o.crowd is not None)
        self.usual = (sum(map(len, self.objects)) - crowds) / len(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, list[Objects]]:
        augment = ObjectAugment(size, **self.augmentation)
        return augment(self.pictures[indices], [self.objects[i] for i in indices.tolist()], generator)


class FromScenes:
    """Scenes never seen before: each is drawn for its one use, so there is nothing to augment."""

    def __init__(self, scenes: Scenes):
        self.scenes, self.label = scenes, "scenes, each drawn for its one use"
        some = range(min(64, len(scenes)))
        self.usual = sum(len(scenes.objects(i)) for i in some) / max(1, len(some))

    def __len__(self) -> int:
        return len(self.scenes)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, list[Objects]]:
        pictures, drawn = self.scenes.batch(len(indices), size, generator)
        return pictures, [scene.objects for scene in drawn]


class Batch(NamedTuple):
    """What one step trains on: normalised pictures, their objects, and the same objects spoilt."""

    pictures: Float[Tensor, "b c y x"]
    targets: Targets
    denoising: DenoisingQueries | None
    denoising_match: Match | None


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
        boxes[i, : len(c)] = xyxy_to_cxcywh(o.boxes[c]) / torch.tensor([width, height, width, height])
        labels[i, : len(c)] = o.labels[c]
        if related is not None and o.relations is not None:
            place = torch.full((len(o),), -1)  # of each object among those that are left
            place[c] = torch.arange(len(c))
            subject, kind, object_ = place[o.relations[:, 0]], o.relations[:, 1], place[o.relations[:, 2]]
            both = (subject >= 0) & (object_ >= 0)
            related[i, subject[both], object_[both], kind[both]] = True
    return Targets(boxes, labels, related)


def make_denoising_queries(
    targets: Targets, slots: int, classes: int, generator: Generator, shift: float = 0.4, wrong: float = 0.2
) -> tuple[DenoisingQueries | None, Match | None]:
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
    noised = DenoisingQueries(moved.clamp(1e-3, 1 - 1e-3), labels, group.masked_fill(~used, -1))
    picture, place = used.nonzero(as_tuple=True)
    return noised, Match(picture, place, object_[picture, place])


def joined(batches: list[Batch], device: torch.device) -> Batch:
    """One batch of several, with as many objects a picture as the fullest holds."""
    most = max(b.targets.labels.shape[1] for b in batches)
    parts = []
    first = 0
    for b in batches:
        t, more = b.targets, most - b.targets.labels.shape[1]
        pad = nn.functional.pad
        related = None if t.relations is None else pad(t.relations, (0, 0, 0, more, 0, more))
        targets = Targets(pad(t.boxes, (0, 0, 0, more), value=0.5), pad(t.labels, (0, more), value=-1), related)
        pairs = (
            None if b.denoising_match is None else b.denoising_match._replace(picture=b.denoising_match.picture + first)
        )
        parts.append(Batch(b.pictures, targets, b.denoising, pairs))
        first += len(b.pictures)
    return _together(parts, device)


def _together(parts: list[Any], device: torch.device) -> Any:
    """Tuples of tensors, joined field by field."""
    if parts[0] is None:
        return None
    if isinstance(parts[0], Tensor):
        return torch.cat(parts).to(device, non_blocking=True)
    return type(parts[0])(*(_together(list(fields), device) for fields in zip(*parts, strict=True)))
