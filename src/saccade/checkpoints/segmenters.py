"""Public segmenters in transformers checkpoints: SegFormer, Mask2Former and others. Needs saccade-attention[hf].

transformers provides the network and the image processor. Weights are loaded here, from safetensors only, and outputs
are decoded here, bitwise equal to the image processor of the family. No code of a checkpoint is executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
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
from saccade.checkpoints.segmenter_scores import (
    Read,
    argmax_mask,
    eomt_scores,
    mask2former_scores,
    pixel_scores,
    query_scores,
)
from saccade.data.files import escape
from saccade.data.images import Source as PictureSource
from saccade.data.images import read_image
from saccade.data.segments import MAX_CLASSES
from saccade.errors import CheckpointError, DataError, in_one_line


@dataclass(frozen=True)
class SegmenterFamily:
    """A family of segmenters.

    model: class of transformers. processor: default image processor. scores: from the outputs of the network to a score
    for each class and pixel. alone: whether all networks of the model_type are segmenters, so that a config without
    `architectures` names one.
    """

    model: str
    processor: str
    scores: Read = pixel_scores
    alone: bool = False


# By the model_type of config.json.
KINDS: Mapping[str, SegmenterFamily] = {
    "segformer": SegmenterFamily("SegformerForSemanticSegmentation", "SegformerImageProcessor"),
    "upernet": SegmenterFamily("UperNetForSemanticSegmentation", "SegformerImageProcessor", alone=True),
    "beit": SegmenterFamily("BeitForSemanticSegmentation", "BeitImageProcessor"),
    "data2vec-vision": SegmenterFamily("Data2VecVisionForSemanticSegmentation", "BeitImageProcessor"),
    "dpt": SegmenterFamily("DPTForSemanticSegmentation", "DPTImageProcessor"),
    "mobilevit": SegmenterFamily("MobileViTForSemanticSegmentation", "MobileViTImageProcessor"),
    "mobilevitv2": SegmenterFamily("MobileViTV2ForSemanticSegmentation", "MobileViTImageProcessor"),
    "mobilenet_v2": SegmenterFamily("MobileNetV2ForSemanticSegmentation", "MobileNetV2ImageProcessor"),
    "maskformer": SegmenterFamily(
        "MaskFormerForInstanceSegmentation", "MaskFormerImageProcessor", query_scores, alone=True
    ),
    "mask2former": SegmenterFamily(
        "Mask2FormerForUniversalSegmentation", "Mask2FormerImageProcessor", mask2former_scores, alone=True
    ),
    "oneformer": SegmenterFamily(
        "OneFormerForUniversalSegmentation", "OneFormerImageProcessor", query_scores, alone=True
    ),
    "eomt": SegmenterFamily("EomtForUniversalSegmentation", "EomtImageProcessor", eomt_scores, alone=True),
    "eomt_dinov3": SegmenterFamily("EomtDinov3ForUniversalSegmentation", "EomtImageProcessor", eomt_scores, alone=True),
    "detr": SegmenterFamily("DetrForSegmentation", "DetrImageProcessor", query_scores),
}
# Other segmenters of transformers, and why they are not supported.
REFUSED: Mapping[str, str] = {
    "Sapiens2ForSemanticSegmentation": "transformers prepares its pictures only with torchvision",
    "Tipsv2DptForSemanticSegmentation": "transformers prepares its pictures only with torchvision",
    "VideomtForUniversalSegmentation": "it segments films, not pictures",
}
# Image processors that any family may name; only EoMT's splits a picture into several.
PROCESSORS = (
    "SegformerImageProcessor", "BeitImageProcessor", "DPTImageProcessor", "MobileViTImageProcessor",
    "MobileNetV2ImageProcessor", "MaskFormerImageProcessor", "Mask2FormerImageProcessor", "OneFormerImageProcessor",
    "DetrImageProcessor", "ViTImageProcessor", "ConvNextImageProcessor", "BitImageProcessor",
)  # fmt: skip
# "the task is semantic" in the tokens of CLIP's text encoder, the task input of OneFormer (Jain et al. 2023, section
# 3.1); padded with 0.
SEMANTIC_TASK = (49406, 518, 10549, 533, 29119, 1550, 49407)


class PublicSegmenter(PublicModel):
    """A public segmenter for inference."""

    def preprocess(self, picture: Image.Image) -> dict[str, Any]:
        """Inputs of the network: pixel_values (b 3 y x) and others; b is 1, or the number of parts into which EoMT's
        processor splits the picture. Raises DataError for a picture that cannot be prepared."""
        given = prepare_images(self.processor, self.model, [picture], self.name)
        if self.family == "oneformer":
            length: int = self.model.config.task_seq_len  # type: ignore[union-attr, assignment]
            task = (*SEMANTIC_TASK, *[0] * length)[:length]
            given["task_inputs"] = torch.tensor([task])
        return given

    @torch.no_grad()
    def scores(self, picture: Image.Image) -> Float[Tensor, "c y x"]:
        """A score for each class and each cell of the output grid of the network, which covers the whole picture.

        Raises DataError for a picture that cannot be prepared or has an unsupported size.
        """
        device = next(self.model.parameters()).device
        given = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in self.preprocess(picture).items()
        }
        try:
            out = self.model(**given)
            with torch.autocast(device.type, enabled=False):  # half precision would create ties
                scores = KINDS[self.family].scores(out, self.processor, (picture.height, picture.width))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # unsupported sizes raise various errors
            raise DataError(
                f"a picture of {picture.width} x {picture.height} pixels cannot be segmented by {escape(self.name)} "
                f"({in_one_line(error)})"
            ) from error
        if not scores.isfinite().all():
            raise self.not_finite()
        return scores

    def segment(self, picture: PictureSource) -> UInt8[Tensor, "y x"]:
        """Class index of each pixel, at the size of the upright picture, on the CPU.

        Raises DataError for a picture that cannot be read or prepared, CheckpointError for outputs that are not finite.
        """
        image = read_image(picture).image
        return argmax_mask(self.scores(image), (image.height, image.width)).cpu()


def is_segmenter(source: OpenedCheckpoint) -> bool:
    """Whether the config of a checkpoint names a segmenter of KINDS or REFUSED."""
    raw_config = source.config()
    named, kind = raw_config.get("architectures"), KINDS.get(str(raw_config.get("model_type")))
    if not isinstance(named, list) or not named:
        return kind is not None and kind.alone
    return any(name in REFUSED or (kind is not None and name == kind.model) for name in map(str, named))


def load_segmenter(spec: str | Path | OpenedCheckpoint) -> PublicSegmenter:
    """Load a public segmenter.

    spec: "hf:owner/name" (fetched once, then from the cache), a folder with config.json and model.safetensors, or
    an opened checkpoint. A timm ResNet of a panoptic DETR is loaded without timm.

    Raises CheckpointError, in one line, for any other family, more classes than a mask can hold, pickles, damaged
    or missing weights, and where transformers is not installed.
    """
    source = spec if isinstance(spec, OpenedCheckpoint) else open_checkpoint(spec)
    raw_config, weights, notes = dict(source.config()), source.weights, list[str]()
    family = _family(raw_config, source.name)
    refuse_quantised(source)
    kind = KINDS[family]
    if family == "detr" and timm_backbone(raw_config) is not None:
        raw_config, weights = without_timm(raw_config, weights, [1, 2, 3, 4], source.name)
        notes.append("its ResNet is transformers' own in place of timm's: the same network")
    elif raw_config.get("backbone") and not raw_config.get("backbone_config"):
        raise CheckpointError(
            f"{source.name}: its config.json only names its backbone ({raw_config['backbone']!r}), which would have to "
            "be fetched; expected a backbone_config"
        )
    with quiet_transformers(source.name) as library:
        config = network_config(library, kind.model, raw_config, source.name)
        if not 0 < config.num_labels <= MAX_CLASSES:
            raise CheckpointError(
                f"{source.name}: it has {config.num_labels} classes, and a mask of eight bits holds 1 to "
                f"{MAX_CLASSES}; it cannot be used here"
            )
        model = load_network(library, kind.model, config, weights, source.name, notes)
        known = PROCESSORS if kind.processor in PROCESSORS else (kind.processor,)
        processor = image_processor(library, kind.processor, known, source, notes)
    _note_crop_or_padding(processor, notes)
    return PublicSegmenter(model, class_names(model.config, notes), processor, family, short_name(source.name), notes)


def _family(raw_config: Mapping[str, Any], where: str) -> str:
    named = raw_config.get("architectures")
    for name in map(str, named if isinstance(named, list) else []):
        if name in REFUSED:
            raise CheckpointError(
                f"{where}: {name} is not read here: {REFUSED[name]}; take a model of one of {', '.join(KINDS)}"
            )
    return family_of(raw_config, KINDS, "segmenter", where)


def _note_crop_or_padding(processor: Any, notes: list[str]) -> None:
    """Note where transformers stretches the mask of a crop or of a padded picture over the whole picture."""
    if getattr(processor, "do_center_crop", False):
        notes.append(
            "its image processor cuts out the picture's middle, and its mask is stretched over the whole picture, as "
            "transformers does: what it shows is shifted towards the edges"
        )
    padded = getattr(processor, "do_pad", False) and not getattr(processor, "do_split_image", False)
    if getattr(processor, "pad_size", None) or (padded and type(processor).__name__.startswith(("Eomt", "DPT"))):
        notes.append(
            "its image processor adds a margin to pictures, and its mask is stretched over the picture with it, as "
            "transformers does: what it shows is shifted"
        )
