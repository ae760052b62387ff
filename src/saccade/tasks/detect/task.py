"""Object detection: pictures in, objects with their boxes and relations out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor, nn
from tqdm.auto import tqdm

from saccade.data import read_image
from saccade.data.cache import read_or_skip
from saccade.data.files import escape
from saccade.data.images import Picture, Source
from saccade.data.objects import Objects, ObjectSet
from saccade.device import Device
from saccade.errors import DataError, SaccadeError
from saccade.models.detector import Detector, DetectorConfig, DetectorOutput
from saccade.ops.boxes import cxcywh_to_xyxy
from saccade.tasks.detect.result import Detections
from saccade.tasks.saved import TrainedTask, same_classes

MAX_RELATIONS = 100  # told of one picture


@dataclass(frozen=True)
class Detection:
    """The objects a detector finds in one picture, surest first, with the names of their classes.

    Attributes:
        found: boxes in pixels of the picture, scores, labels, relations.
        size: (height, width) of the picture in pixels.
        labels: the name of each object's class.
        relations: (subject, name of the relation, object), indices of objects, surest first.
    """

    name: str
    found: Detections
    size: tuple[int, int]
    labels: tuple[str, ...]
    relations: tuple[tuple[int, str, int], ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        objects = zip(self.labels, self.found.scores.tolist(), self.found.boxes.tolist(), strict=True)
        said = [f"{label} {score:.0%} ({', '.join(f'{edge:.0f}' for edge in box)})" for label, score, box in objects]
        return escape(f"{self.name}: {'  '.join(said) or 'nothing found'}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Boxes are left, top, right, bottom in pixels."""
        f = self.found
        rows = zip(self.labels, f.scores.tolist(), f.boxes.tolist(), strict=True)
        objects = [
            {"label": label, "score": round(score, 6), "box": [round(edge, 3) for edge in box]}
            for label, score, box in rows
        ]
        sure = [] if f.relation_scores is None else f.relation_scores.tolist()
        told = [
            {"subject": i, "relation": name, "object": j, "score": round(score, 6)}
            for (i, name, j), score in zip(self.relations, sure, strict=True)
        ]
        return {
            "name": self.name,
            "width": self.size[1],
            "height": self.size[0],
            "objects": objects,
            "relations": told,
            "notes": list(self.notes),
        }


class BaseDetectTask:
    """What every detector does once it can `detect`: `predict` on a picture, `val` on a set of annotated ones."""

    model: nn.Module
    name: str
    labels: list[str]
    relations: list[str]
    notes: list[str]

    def detect(self, pictures: list[Picture]) -> list[Detections]:
        """All that the model proposes, in pixels of each picture, however unsure."""
        raise NotImplementedError

    def predict(self, source: Source, threshold: float = 0.5) -> Detection:
        """The objects of one picture that are at least as sure as `threshold` (0 to 1), and the relations between
        them that are, each as sure as itself times both of its objects: a path, bytes, Pillow image, array or tensor.

        Raises DataError for a picture that cannot be read.
        """
        return next(iter(self.predict_all([source], threshold)))

    def predict_all(self, sources: Iterable[Source], threshold: float = 0.5, batch: int = 16) -> Iterator[Detection]:
        """`predict` for many, in batches, in order."""
        pictures = map(read_image, sources)
        while some := list(islice(pictures, batch)):
            for picture, found in zip(some, self.detect(some), strict=True):
                yield self.named(kept(found, threshold), picture)

    def named(self, found: Detections, picture: Picture) -> Detection:
        """With names of classes and relations."""
        labels = tuple(self.labels[i] for i in found.labels.tolist())
        triplets = [] if found.relations is None else found.relations.tolist()
        relations = tuple((i, self.relations[r], j) for i, r, j in triplets)
        size = (picture.image.height, picture.image.width)
        return Detection(picture.name, found, size, labels, relations, picture.notes)

    def val(self, data: ObjectSet, device: Device, batch: int = 32) -> tuple[list[Detections], list[Objects]]:
        """What is found in every picture and what is there, in pixels of the pictures; `detection_scores` and
        `relation_scores` sum them up.

        Unreadable pictures raise, or are left out and recorded in `data.skipped`, as `data.on_error` says. Raises
        DataError if the classes of the data are not the model's.
        """
        same_classes(data.classes, self.labels, data.label, self.name)
        self.model.to(device.device)
        found: list[Detections] = []
        truth: list[Objects] = []
        with tqdm(total=len(data), unit="pictures", delay=1, disable=None) as bar:
            for at in torch.arange(len(data)).split(batch):
                tried = (
                    read_or_skip(data, i, lambda i: (data.picture(i), data.objects(i, masks=False))) for i in at.tolist()
                )
                read = [r for r in tried if r is not None]
                bar.update(len(at))
                if read:
                    with device.precision():
                        found += self.detect([picture for picture, _ in read])
                    truth += [objects for _, objects in read]
        if not truth:
            why = next(iter(data.skipped.values()), "it is empty")
            raise DataError(f"no picture of {data.label} could be read: {why}")
        return found, truth


@dataclass
class DetectTask(BaseDetectTask, TrainedTask):
    """A detector of ours with the names of its classes and relations; `save` and `DetectTask.open` for its folder."""

    model: Detector

    kind: ClassVar[str] = "detect"
    network: ClassVar[type[nn.Module]] = Detector
    network_config: ClassVar[type[BaseModel]] = DetectorConfig

    @property
    def target(self) -> Literal["mean"]:
        """No token speaks for the picture: the patches are what its queries look at."""
        return "mean"

    @torch.no_grad()
    def detect(self, pictures: list[Picture]) -> list[Detections]:
        """All that the model proposes, in pixels of each picture, however unsure."""
        device = next(self.model.parameters()).device
        fitted = torch.stack([self.preprocess(picture.image) for picture in pictures]).to(device)
        raw = detections(self.model.eval()(fitted), self.preprocess.size)
        return [self.to_picture(one, picture) for one, picture in zip(raw, pictures, strict=True)]

    def to_picture(self, found: Detections, picture: Picture) -> Detections:
        """From pixels of what the model sees to those of the picture, and not outside it."""
        height, width = picture.image.height, picture.image.width
        boxes = self.preprocess.placement(height, width).to_picture(found.boxes)
        edges = boxes.new_tensor([width, height, width, height])
        boxes = torch.minimum(boxes.clamp(min=0), edges)
        return replace(found, boxes=boxes)


def detections(found: DetectorOutput, size: tuple[int, int]) -> list[Detections]:
    """What the last block of a detector says, a picture each, boxes in pixels of pictures of `size` (height, width).

    Every query names each class; a query's surest class is kept. Raises SaccadeError if an answer is not a number.
    """
    sure, labels = found.logits[-1].float().sigmoid().max(dim=-1)
    height, width = size
    boxes = cxcywh_to_xyxy(found.boxes[-1].float()).clamp(0, 1) * sure.new_tensor([width, height, width, height])
    if not (sure.isfinite().all() and boxes.isfinite().all()):
        raise SaccadeError("the model's answer is not a number: its weights are damaged, fetch or train it again")
    order = sure.argsort(dim=1, descending=True)
    result = []
    for i, ranked in enumerate(order):
        scores = sure[i, ranked].cpu()
        told, related = None, None
        if found.relations is not None:
            told, related = _triplets(found.relations[i][ranked][:, ranked].float().sigmoid().cpu(), scores)
        result.append(Detections(boxes[i, ranked].cpu(), scores, labels[i, ranked].cpu(), told, related, ranked.cpu()))
    return result


def _triplets(chance: Float[Tensor, "n n r"], scores: Float[Tensor, "n"]) -> tuple[Tensor, Tensor]:
    """The surest triplets: a relation is as sure as it is itself, times both of its objects."""
    sure = chance * scores[:, None, None] * scores[None, :, None]
    _, n, r = sure.shape
    sure[torch.arange(n), torch.arange(n)] = -1  # nothing relates to itself
    best, at = sure.flatten().topk(min(MAX_RELATIONS, n * (n - 1) * r))
    return torch.stack([at // (n * r), at % r, at // r % n], dim=1), best


def kept(found: Detections, threshold: float) -> Detections:
    """Objects at least as sure as `threshold`, and relations between them that are."""
    n = int((found.scores >= threshold).sum())
    queries = None if found.queries is None else found.queries[:n]
    sure = Detections(found.boxes[:n], found.scores[:n], found.labels[:n], queries=queries)
    if found.relations is None or found.relation_scores is None:
        return sure
    stay = (found.relation_scores >= threshold) & (found.relations[:, [0, 2]] < n).all(dim=1)
    return replace(sure, relations=found.relations[stay], relation_scores=found.relation_scores[stay])
