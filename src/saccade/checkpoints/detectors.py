"""Public detectors in transformers checkpoints: DETR, YOLOS, RT-DETR and others. Needs saccade-attention[hf].

transformers provides the network and the image processor. Weights are loaded here, from safetensors only, and outputs
are decoded here, bitwise equal to the image processor of the family. No code of a checkpoint is executed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from saccade.checkpoints.detr_backbones import timm_backbone, without_timm
from saccade.checkpoints.family import short_name
from saccade.checkpoints.files import OpenedCheckpoint, open_checkpoint
from saccade.checkpoints.public import (
    PublicModel,
    class_names,
    family_of,
    image_processor,
    load_network,
    network_config,
    prepare_images,
    quiet_transformers,
    refuse_quantised,
)
from saccade.checkpoints.rf_detr import RfDetrImageProcessor
from saccade.data.images import Source as PictureSource
from saccade.data.images import read_image
from saccade.ops.boxes import cxcywh_to_xyxy


class Detections(NamedTuple):
    """Detections in one image, highest score first: boxes (left, top, right, bottom in pixels of the upright
    image, which they may exceed), scores 0 to 1, and indices of classes."""

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, "n"]
    labels: Int64[Tensor, "n"]


@dataclass(frozen=True)
class DetectorFamily:
    """A family of detectors.

    model: class of transformers. processor: default image processor. read: decodes logits and boxes to boxes, scores
    and labels. resnet: stages of the ResNet whose feature maps it uses, for families with a timm backbone by default.
    """

    model: str
    processor: str
    read: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    resnet: tuple[int, ...] = ()


def best_class(
    logits: Float[Tensor, "b q classes+1"], boxes: Float[Tensor, "b q 4"]
) -> tuple[Float[Tensor, "b q 4"], Float[Tensor, "b q"], Int64[Tensor, "b q"]]:
    """One object per query: its most likely class; the last logit is "no object" (Carion et al. 2020)."""
    scores, labels = logits.softmax(dim=-1)[..., :-1].max(dim=-1)
    return boxes, scores, labels


def best_query_classes(
    logits: Float[Tensor, "b q classes"], boxes: Float[Tensor, "b q 4"], most: int | None = None
) -> tuple[Float[Tensor, "b n 4"], Float[Tensor, "b n"], Int64[Tensor, "b n"]]:
    """The `most` pairs of a query and a class with the highest scores, so a query may yield several objects (Zhu et al.
    2021). Default: the number of queries."""
    queries, classes = logits.shape[1:]
    scores, pairs = logits.sigmoid().flatten(1).topk(min(most or queries, queries * classes), dim=1)
    chosen = (pairs // classes)[..., None].expand(-1, -1, 4)
    return boxes.gather(1, chosen), scores, pairs % classes


def _best_100(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return best_query_classes(logits, boxes, 100)


# By the model_type of config.json.
KINDS: Mapping[str, DetectorFamily] = {
    "detr": DetectorFamily("DetrForObjectDetection", "DetrImageProcessor", best_class, (1, 2, 3, 4)),
    "table-transformer": DetectorFamily(
        "TableTransformerForObjectDetection", "DetrImageProcessor", best_class, (1, 2, 3, 4)
    ),
    "yolos": DetectorFamily("YolosForObjectDetection", "YolosImageProcessor", best_class),
    "conditional_detr": DetectorFamily(
        "ConditionalDetrForObjectDetection", "ConditionalDetrImageProcessor", _best_100, (1, 2, 3, 4)
    ),
    "dab-detr": DetectorFamily("DabDetrForObjectDetection", "ConditionalDetrImageProcessor", _best_100, (1, 2, 3, 4)),
    "deformable_detr": DetectorFamily(
        "DeformableDetrForObjectDetection", "DeformableDetrImageProcessor", _best_100, (2, 3, 4)
    ),
    "lw_detr": DetectorFamily("LwDetrForObjectDetection", "DeformableDetrImageProcessor", _best_100),
    "rt_detr": DetectorFamily("RTDetrForObjectDetection", "RTDetrImageProcessor", best_query_classes),
    "rt_detr_v2": DetectorFamily("RTDetrV2ForObjectDetection", "RTDetrImageProcessor", best_query_classes),
    "d_fine": DetectorFamily("DFineForObjectDetection", "RTDetrImageProcessor", best_query_classes),
    "deimv2": DetectorFamily("Deimv2ForObjectDetection", "RTDetrImageProcessor", best_query_classes),
    "rf_detr": DetectorFamily("RfDetrForObjectDetection", "RfDetrImageProcessor", best_query_classes),
}
# Available in transformers without torchvision, except RF-DETR's, which is implemented in `rf_detr.py`.
PROCESSORS = (
    "DetrImageProcessor", "ConditionalDetrImageProcessor", "DeformableDetrImageProcessor", "YolosImageProcessor",
    "RTDetrImageProcessor", "RfDetrImageProcessor",
)  # fmt: skip


class PublicDetector(PublicModel):
    """A public detector for inference. The image processor of RF-DETR is `RfDetrImageProcessor`."""

    def preprocess(self, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Inputs of the network: pixel_values (b 3 y x) and, if it has one, pixel_mask (b y x), 0 at padding.

        Raises DataError for pictures that cannot be prepared."""
        return prepare_images(self.processor, self.model, pictures, self.name)

    def decode_outputs(self, logits: Tensor, boxes: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Decode logits (b queries classes) and boxes (b queries 4): centre, width and height as fractions of the
        picture. sizes: (height, width) of each picture in pixels."""
        boxes, scores, labels = KINDS[self.family].read(logits, cxcywh_to_xyxy(boxes))
        found = []
        for box, score, label, (height, width) in zip(boxes, scores, labels, sizes, strict=True):
            order = score.argsort(descending=True, stable=True)
            scale = torch.tensor([width, height, width, height], dtype=box.dtype, device=box.device)
            found.append(Detections(box[order] * scale, score[order], label[order]))
        return found

    @torch.no_grad()
    def detect(self, pictures: Sequence[PictureSource], threshold: float = 0.0) -> list[Detections]:
        """Detections of each picture with a score above `threshold`.

        Pictures are processed one at a time, without padding. Raises DataError for one that cannot be read or prepared.
        """
        device = next(self.model.parameters()).device
        found = []
        for source in pictures:
            image = read_image(source).image
            out = self.model(**{name: t.to(device) for name, t in self.preprocess([image]).items()})
            if not (out.logits.isfinite().all() and out.pred_boxes.isfinite().all()):
                raise self.not_finite()
            one = self.decode_outputs(out.logits.float(), out.pred_boxes.float(), [(image.height, image.width)])[0]
            kept = one.scores > threshold
            found.append(Detections(*(values[kept].cpu() for values in one)))
        return found


def is_detector(source: OpenedCheckpoint) -> bool:
    """Whether the config of a checkpoint names a detector of KINDS."""
    return str(source.config().get("model_type")) in KINDS


def load_detector(spec: str | Path | OpenedCheckpoint) -> PublicDetector:
    """Load a public detector.

    spec: "hf:owner/name" (fetched once, then from the cache), a folder with config.json and model.safetensors, or
    an opened checkpoint. A timm ResNet is loaded without timm.

    Raises CheckpointError, in one line, for any other family, pickles, damaged or missing weights, and where
    transformers is not installed.
    """
    source = spec if isinstance(spec, OpenedCheckpoint) else open_checkpoint(spec)
    raw_config, notes = dict(source.config()), list[str]()
    family = family_of(raw_config, KINDS, "detector", source.name)
    refuse_quantised(source)
    kind, weights = KINDS[family], dict(source.weights)
    if kind.resnet and timm_backbone(raw_config) is not None:
        stages = [4] if raw_config.get("num_feature_levels") == 1 else list(kind.resnet)
        raw_config, weights = without_timm(raw_config, weights, stages, source.name)
        notes.append("its ResNet is transformers' own in place of timm's: the same network")
    with quiet_transformers(source.name) as library:
        config = network_config(library, kind.model, raw_config, source.name)
        model = load_network(library, kind.model, config, weights, source.name, notes)
        ours = {"RfDetrImageProcessor": RfDetrImageProcessor.from_dict}
        processor = image_processor(library, kind.processor, PROCESSORS, source, notes, ours)
    return PublicDetector(model, class_names(model.config, notes), processor, family, short_name(source.name), notes)
