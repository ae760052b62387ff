"""Object detection: pictures in, objects with boxes, scores and relations out."""

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
from saccade.data.images import Picture, Source
from saccade.data.objects import ObjectAnnotations, ObjectSet
from saccade.data.objects.arrays import with_planes
from saccade.device import Device
from saccade.models.detector import Detector, DetectorConfig, DetectorOutput
from saccade.models.masks import MaskFeatures
from saccade.ops.boxes import cxcywh_to_xyxy
from saccade.tasks.detect.instances import add_masks, mask_candidates
from saccade.tasks.detect.result import Detection, Detections
from saccade.tasks.detect.tiled import Found, detect_tiled
from saccade.tasks.saved import TrainedTask, check_classes, no_pictures_error, not_finite_error

THRESHOLD = 0.5  # of models that keep none
MAX_RELATIONS = 100  # predicted for one picture


class BaseDetectTask:
    """`predict` and `val` of every detector. A subclass defines `detect`."""

    model: nn.Module
    name: str
    labels: list[str]
    relations: list[str]
    notes: list[str]
    card: dict[str, Any]

    @property
    def threshold(self) -> float:
        """The lowest score of an object that `predict` shows: that of the best F1 on the validation pictures, which
        training and `saccade val` keep on the card; 0.5 without."""
        kept = self.card.get("threshold")
        return float(kept) if isinstance(kept, int | float) and 0 <= kept <= 1 else THRESHOLD

    @property
    def masks(self) -> bool:
        """Whether it finds the masks of objects, too."""
        return False

    def detect(self, pictures: list[Picture]) -> list[Detections]:
        """All objects that the model proposes, at any score, in pixels of each picture."""
        raise NotImplementedError

    def predict(self, source: Source, threshold: float | None = None) -> Detection:
        """The objects of one picture with a score of at least `threshold` (0 to 1), and the relations between them with
        such a score: its own probability times the scores of both objects.

        threshold: default: `self.threshold`. source: a path, bytes, Pillow image, array or tensor. Raises DataError for
        a picture that cannot be read.
        """
        return next(iter(self.predict_all([source], threshold)))

    def predict_all(
        self, sources: Iterable[Source], threshold: float | None = None, batch: int = 16
    ) -> Iterator[Detection]:
        """`predict` for many pictures, in batches, in order."""
        threshold = self.threshold if threshold is None else threshold
        pictures = map(read_image, sources)
        while chunk := list(islice(pictures, batch)):
            for picture, found in zip(chunk, self.detect(chunk), strict=True):
                yield self.to_detection(filter_by_score(found, threshold), picture)

    def to_detection(self, found: Detections, picture: Picture) -> Detection:
        """With the names of classes and relations."""
        labels = tuple(self.labels[i] for i in found.labels.tolist())
        triplets = [] if found.relations is None else found.relations.tolist()
        relations = tuple((i, self.relations[r], j) for i, r, j in triplets)
        size = (picture.image.height, picture.image.width)
        return Detection(picture.name, found, size, labels, relations, picture.notes)

    def val(self, data: ObjectSet, device: Device, batch: int = 32) -> tuple[list[Detections], list[ObjectAnnotations]]:
        """Predictions and ground truth of every picture, in pixels, for `detection_scores` and `relation_scores`.

        Unreadable pictures raise, or are skipped and recorded in `data.skipped`, according to `data.on_error`. Raises
        DataError if the classes of the data are not the model's.
        """
        check_classes(data.classes, self.labels, data.title, self.name)
        self.model.to(device.device)
        found: list[Detections] = []
        truth: list[ObjectAnnotations] = []
        with tqdm(total=len(data), unit="pictures", delay=1, disable=None) as bar:
            for indices in torch.arange(len(data)).split(batch):
                samples = [
                    read_or_skip(data, i, lambda i: (data.picture(i), self._truth(data, i))) for i in indices.tolist()
                ]
                readable = [sample for sample in samples if sample is not None]
                bar.update(len(indices))
                if readable:
                    with device.autocast_context():
                        found += self.detect([picture for picture, _ in readable])
                    truth += [objects for _, objects in readable]
        if not truth:
            raise no_pictures_error(data.title, data.skipped)
        return found, truth

    def _truth(self, data: ObjectSet, index: int) -> ObjectAnnotations:
        """With masks, as `MaskPlanes`, where the detector finds them and all objects of the picture have one."""
        objects = data.objects(index, "planes" if self.masks else False)
        outlined = not len(objects) or objects.masks is not None or objects.planes is not None
        return with_planes(objects, data.names[index]) if self.masks and outlined else objects


@dataclass
class DetectTask(BaseDetectTask, TrainedTask):
    """A detector with the names of its classes and relations; `save` and `DetectTask.open` for its folder."""

    model: Detector

    kind: ClassVar[str] = "detect"
    network: ClassVar[type[nn.Module]] = Detector
    network_config: ClassVar[type[BaseModel]] = DetectorConfig

    @property
    def queries(self) -> int:
        """Most objects that it finds in a picture."""
        return self.model.config.queries

    @property
    def masks(self) -> bool:
        """Whether it finds the masks of objects, too."""
        return self.model.mask_head is not None

    @property
    def target(self) -> Literal["mean"]:
        """The mean of the patches: no single token represents the picture."""
        return "mean"

    @property
    def tiled(self) -> bool:
        """Whether pictures that are larger than its input are taken in tiles, as it was trained."""
        return self.masks and self.card.get("tiles") is True

    @torch.no_grad()
    def detect(self, pictures: list[Picture]) -> list[Detections]:
        if self.tiled:
            return detect_tiled(pictures, max(self.preprocess.size), self._candidates)
        output, found = self._proposed(pictures)
        return [
            self.to_picture_pixels(*each, output.masks, i) for i, each in enumerate(zip(found, pictures, strict=True))
        ]

    def _proposed(self, pictures: list[Picture]) -> tuple[DetectorOutput, list[Detections]]:
        device = next(self.model.parameters()).device
        inputs = torch.stack([self.preprocess(picture.image) for picture in pictures]).to(device)
        output = self.forward(inputs)
        return output, postprocess(output, self.preprocess.size)

    def forward(self, inputs: Float[Tensor, "b c y x"]) -> DetectorOutput:
        """Output of the network for preprocessed pictures."""
        return self.model.eval()(inputs)

    def _candidates(self, pictures: list[Picture]) -> list[Found]:
        output, proposed = self._proposed(pictures)
        assert output.masks is not None
        found = []
        for i, (one, picture) in enumerate(zip(proposed, pictures, strict=True)):
            size = (picture.image.height, picture.image.width)
            found.append((one, mask_candidates(one, output.masks, i, self.preprocess.placement(*size), size)))
        return found

    def to_picture_pixels(
        self, found: Detections, picture: Picture, masks: MaskFeatures | None = None, index: int = 0
    ) -> Detections:
        """From pixels of the model's input to pixels of the picture, clipped to it. masks: of the network, for a batch
        that has the picture at `index`; with them, objects get their masks."""
        height, width = picture.image.height, picture.image.width
        placement = self.preprocess.placement(height, width)
        if masks is not None:
            return add_masks(found, masks, index, placement, (height, width))
        boxes = placement.to_picture(found.boxes)
        edges = boxes.new_tensor([width, height, width, height])
        return replace(found, boxes=torch.minimum(boxes.clamp(min=0), edges))


def postprocess(output: DetectorOutput, size: tuple[int, int]) -> list[Detections]:
    """Detections of the last decoder block for each picture, boxes in pixels of inputs of `size` (height, width).

    Each query predicts its class of highest score. Raises SaccadeError for scores or boxes that are not finite.
    """
    best, labels = output.logits[-1].float().sigmoid().max(dim=-1)
    height, width = size
    boxes = cxcywh_to_xyxy(output.boxes[-1].float()).clamp(0, 1) * best.new_tensor([width, height, width, height])
    if not (best.isfinite().all() and boxes.isfinite().all()):
        raise not_finite_error()
    result = []
    for i, order in enumerate(best.argsort(dim=1, descending=True)):
        scores = best[i, order].cpu()
        relations, relation_scores = None, None
        if output.relations is not None:
            probabilities = output.relations[i][order][:, order].float().sigmoid().cpu()
            relations, relation_scores = _best_relations(probabilities, scores)
        found = Detections(
            boxes[i, order].cpu(), scores, labels[i, order].cpu(), relations, relation_scores, order.cpu()
        )
        result.append(found)
    return result


def _best_relations(probabilities: Float[Tensor, "n n r"], scores: Float[Tensor, "n"]) -> tuple[Tensor, Tensor]:
    """Triplets (subject, relation, object) by descending score: the probability times the scores of both objects."""
    triplet_scores = probabilities * scores[:, None, None] * scores[None, :, None]
    _, n, r = triplet_scores.shape
    triplet_scores[torch.arange(n), torch.arange(n)] = -1  # no relation of an object to itself
    best, at = triplet_scores.flatten().topk(min(MAX_RELATIONS, n * (n - 1) * r))
    return torch.stack([at // (n * r), at % r, at // r % n], dim=1), best


def filter_by_score(found: Detections, threshold: float) -> Detections:
    """Objects with a score of at least `threshold`, and relations between them with such a score."""
    n = int((found.scores >= threshold).sum())
    queries = None if found.queries is None else found.queries[:n]
    masks = None if found.masks is None else found.masks[:n]
    objects = Detections(found.boxes[:n], found.scores[:n], found.labels[:n], queries=queries, masks=masks)
    if found.relations is None or found.relation_scores is None:
        return objects
    keep = (found.relation_scores >= threshold) & (found.relations[:, [0, 2]] < n).all(dim=1)
    return replace(objects, relations=found.relations[keep], relation_scores=found.relation_scores[keep])


def filter_by_class(found: Detections, classes: list[int]) -> Detections:
    """Objects of these classes, without relations."""
    keep = torch.isin(found.labels, torch.tensor(classes))
    queries = None if found.queries is None else found.queries[keep]
    masks = None if found.masks is None else tuple(m for m, k in zip(found.masks, keep.tolist(), strict=True) if k)
    return Detections(found.boxes[keep], found.scores[keep], found.labels[keep], queries=queries, masks=masks)
