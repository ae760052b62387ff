"""Public detectors: DETR, YOLOS and their kin, as transformers' checkpoints hold them. Needs the extra saccade[hf].

transformers builds the network and prepares pictures; weights are read here (safetensors only), and so is what the
network says, to the last bit as the family's own image processor reads it. No code of a checkpoint is run.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor, nn

from saccade.checkpoints.detr_backbones import timm_backbone, without_timm
from saccade.checkpoints.family import short
from saccade.checkpoints.files import Source, open_checkpoint
from saccade.checkpoints.rf_detr import RfDetrPictures
from saccade.data.files import shown
from saccade.data.images import Source as PictureSource
from saccade.data.images import read_image
from saccade.errors import CheckpointError, DataError, in_one_line
from saccade.ops.boxes import to_corners


class Found(NamedTuple):
    """What was found in one picture, surest first: boxes (left, top, right, bottom in pixels of the upright
    picture, which they may leave), scores 0 to 1, and indices of classes."""

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, "n"]
    labels: Int64[Tensor, "n"]


@dataclass(frozen=True)
class Kind:
    """A family of detectors.

    model: transformers' class. processor: its image processor, where the checkpoint does not say. read: from the
    network's logits and boxes to boxes, scores and labels. resnet: the stages of a ResNet whose maps it reads, for
    families that have one of timm's where the checkpoint does not say otherwise.
    """

    model: str
    processor: str
    read: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    resnet: tuple[int, ...] = ()


def best_class(
    logits: Float[Tensor, "b q classes+1"], boxes: Float[Tensor, "b q 4"]
) -> tuple[Float[Tensor, "b q 4"], Float[Tensor, "b q"], Int64[Tensor, "b q"]]:
    """One object a query: its likeliest class; the last logit says that there is none (Carion et al. 2020)."""
    scores, labels = logits.softmax(dim=-1)[..., :-1].max(dim=-1)
    return boxes, scores, labels


def best_pairs(
    logits: Float[Tensor, "b q classes"], boxes: Float[Tensor, "b q 4"], most: int | None = None
) -> tuple[Float[Tensor, "b n 4"], Float[Tensor, "b n"], Int64[Tensor, "b n"]]:
    """The `most` surest pairs of a query and a class, so that a query may stand for several objects (Zhu et al.
    2021). Default: as many as there are queries."""
    queries, classes = logits.shape[1:]
    scores, pairs = logits.sigmoid().flatten(1).topk(min(most or queries, queries * classes), dim=1)
    chosen = (pairs // classes)[..., None].expand(-1, -1, 4)
    return boxes.gather(1, chosen), scores, pairs % classes


def _hundred(logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return best_pairs(logits, boxes, 100)


# By the model_type of config.json.
KINDS: Mapping[str, Kind] = {
    "detr": Kind("DetrForObjectDetection", "DetrImageProcessor", best_class, (1, 2, 3, 4)),
    "table-transformer": Kind("TableTransformerForObjectDetection", "DetrImageProcessor", best_class, (1, 2, 3, 4)),
    "yolos": Kind("YolosForObjectDetection", "YolosImageProcessor", best_class),
    "conditional_detr": Kind(
        "ConditionalDetrForObjectDetection", "ConditionalDetrImageProcessor", _hundred, (1, 2, 3, 4)
    ),
    "dab-detr": Kind("DabDetrForObjectDetection", "ConditionalDetrImageProcessor", _hundred, (1, 2, 3, 4)),
    "deformable_detr": Kind("DeformableDetrForObjectDetection", "DeformableDetrImageProcessor", _hundred, (2, 3, 4)),
    "lw_detr": Kind("LwDetrForObjectDetection", "DeformableDetrImageProcessor", _hundred),
    "rt_detr": Kind("RTDetrForObjectDetection", "RTDetrImageProcessor", best_pairs),
    "rt_detr_v2": Kind("RTDetrV2ForObjectDetection", "RTDetrImageProcessor", best_pairs),
    "d_fine": Kind("DFineForObjectDetection", "RTDetrImageProcessor", best_pairs),
    "deimv2": Kind("Deimv2ForObjectDetection", "RTDetrImageProcessor", best_pairs),
    "rf_detr": Kind("RfDetrForObjectDetection", "RfDetrImageProcessor", best_pairs),
}
# Those that transformers offers without torchvision. RF-DETR's, which it does not, is written here.
PROCESSORS = (
    "DetrImageProcessor", "ConditionalDetrImageProcessor", "DeformableDetrImageProcessor", "YolosImageProcessor",
    "RTDetrImageProcessor", "RfDetrImageProcessor",
)  # fmt: skip


@dataclass
class PublicDetector:
    """Somebody else's detector, ready to use.

    Attributes:
        model: transformers' network, in fp32 and evaluation mode, for `saccade.watch` too.
        classes: names that labels index, each once.
        processor: transformers' image processor, on Pillow and NumPy (RF-DETR's: our own).
        family: which of KINDS it is.
        name: short, for people.
        notes: what was assumed when it was loaded, one sentence each.
    """

    model: nn.Module
    classes: list[str]
    processor: Any
    family: str
    name: str
    notes: list[str] = field(default_factory=list)

    def preprocess(self, pictures: Sequence[Image.Image]) -> dict[str, Tensor]:
        """What the network takes: pixel_values (b 3 y x), and pixel_mask (b y x) where it takes one, which is 0
        where a picture was filled up to the size of the largest. Raises DataError for pictures it cannot prepare."""
        try:
            given = self.processor(
                images=[picture.convert("RGB") for picture in pictures],
                return_tensors="pt",
                input_data_format="channels_last",  # else a picture three pixels high is misread
            )
        except Exception as error:  # whatever its arithmetic makes of odd sizes
            sizes = ", ".join(f"{p.width} x {p.height}" for p in pictures[:3])
            raise DataError(
                f"pictures of {sizes} pixels cannot be prepared for {shown(self.name)} ({in_one_line(error)})"
            ) from error
        takes = inspect.signature(self.model.forward).parameters
        return {name: tensor for name, tensor in given.items() if name in takes}

    def read(self, logits: Tensor, boxes: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Found]:
        """What the network's logits (b queries classes) and boxes (b queries 4: centre, width and height, shares of
        the picture) say. sizes: (height, width) of each picture in pixels."""
        boxes, scores, labels = KINDS[self.family].read(logits, to_corners(boxes))
        found = []
        for box, score, label, (height, width) in zip(boxes, scores, labels, sizes, strict=True):
            order = score.argsort(descending=True, stable=True)
            scale = torch.tensor([width, height, width, height], dtype=box.dtype, device=box.device)
            found.append(Found(box[order] * scale, score[order], label[order]))
        return found

    @torch.no_grad()
    def detect(self, pictures: Sequence[PictureSource], threshold: float = 0.0) -> list[Found]:
        """What is found in each picture with a score above `threshold`.

        Pictures pass one at a time, so that none is filled up to the size of another. Raises DataError for one that
        cannot be read or prepared.
        """
        device = next(self.model.parameters()).device
        found = []
        for source in pictures:
            image = read_image(source).image
            out = self.model(**{name: t.to(device) for name, t in self.preprocess([image]).items()})
            if not (out.logits.isfinite().all() and out.pred_boxes.isfinite().all()):
                raise CheckpointError(f"{shown(self.name)}: its answer is not a number: its weights are damaged")
            one = self.read(out.logits.float(), out.pred_boxes.float(), [(image.height, image.width)])[0]
            sure = one.scores > threshold
            found.append(Found(one.boxes[sure].cpu(), one.scores[sure].cpu(), one.labels[sure].cpu()))
        return found


def is_detector(source: Source) -> bool:
    """Whether an opened checkpoint says that it is a detector of KINDS."""
    return source.config().get("model_type") in KINDS


def load_detector(spec: str | Path | Source) -> PublicDetector:
    """Load a public detector.

    spec: "hf:owner/name" (fetched once, then from the cache), a folder with config.json and model.safetensors, or
    what `open_checkpoint` opened. A ResNet of timm's is read without timm.

    Raises CheckpointError, in one line, for any other family, pickles, damaged or missing weights, and where
    transformers is not installed.
    """
    source = spec if isinstance(spec, Source) else open_checkpoint(spec)
    said, notes = dict(source.config()), list[str]()
    family = str(said.get("model_type"))
    if family not in KINDS:
        raise CheckpointError(
            f"{source.name}: not a detector that can be read here: its config.json says model_type {family!r}; "
            f"expected one of {', '.join(KINDS)}"
        )
    if "quantization_config" in said:
        raise CheckpointError(f"{source.name}: its weights are quantised, which is not supported; take the original")
    kind, weights = KINDS[family], dict(source.weights)
    if kind.resnet and timm_backbone(said) is not None:
        stages = [4] if said.get("num_feature_levels") == 1 else list(kind.resnet)
        said, weights = without_timm(said, weights, stages, source.name)
        notes.append("its ResNet is transformers' own in place of timm's: the same network")
    with _quiet(source.name) as library:
        model = _model(library, kind, _harmless(said), weights, source.name, notes)
        processor = _processor(library, kind, source, notes)
    return PublicDetector(model, _classes(model.config, notes), processor, family, short(source.name), notes)


def _model(
    library: Any, kind: Kind, said: dict[str, Any], weights: dict[str, Tensor], where: str, notes: list[str]
) -> Any:
    try:
        network = getattr(library, kind.model)
        config = network.config_class.from_dict(said)
        model, loaded = network.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # other people's JSON and another library's reading of it
        raise CheckpointError(f"{where}: transformers cannot build it: {in_one_line(error)}") from error
    if missing := sorted(loaded["missing_keys"]):
        raise CheckpointError(f"{where}: {len(missing)} weights are missing: {', '.join(missing[:3])}")
    # how many batches a norm has seen is of no use outside training
    if unused := sorted(key for key in loaded["unexpected_keys"] if not key.endswith("num_batches_tracked")):
        notes.append(f"{len(unused)} weights of the file are not used: {', '.join(unused[:3])}")
    if model.config._attn_implementation == "eager":  # sdpa is the default where transformers has it
        notes.append("its attention is not computed by a fused kernel, so it cannot be looked into")
    return model.eval()


def _processor(library: Any, kind: Kind, source: Source, notes: list[str]) -> Any:
    said = dict(source.config("preprocessor_config.json"))
    named = said.get("image_processor_type") or said.get("feature_extractor_type")
    if not said:
        notes.append("no preprocessor_config.json: pictures are prepared as is usual for this family")
    name = re.sub(r"FeatureExtractor$", "ImageProcessor", str(named or kind.processor)).removesuffix("Fast")
    name = name.removesuffix("Pil")
    if name not in PROCESSORS:
        raise CheckpointError(
            f"{source.name}: its pictures are prepared by {name}, which transformers offers only with torchvision, "
            f"if at all; expected one of {', '.join(PROCESSORS)}"
        )
    try:
        if name == "RfDetrImageProcessor":
            return RfDetrPictures.from_dict(said)
        return getattr(library, f"{name}Pil").from_dict(_harmless(said))
    except Exception as error:  # other people's JSON and another library's reading of it
        raise CheckpointError(
            f"{source.name}: preprocessor_config.json does not say how to prepare pictures: {in_one_line(error)}"
        ) from error


def _harmless(said: Any) -> Any:
    """A config without what would make transformers fetch or run code: auto_map, and attention kernels by name."""
    if isinstance(said, list):
        return [_harmless(value) for value in said]
    if not isinstance(said, dict):
        return said
    return {
        key: _harmless(value)
        for key, value in said.items()
        if key not in ("auto_map", "custom_pipelines") and "attn_implementation" not in key
    }


def _classes(config: Any, notes: list[str]) -> list[str]:
    """Names of the classes in order; a name that comes again is followed by its number ("N/A (12)")."""
    named = {int(i): str(name) for i, name in config.id2label.items()}
    classes: list[str] = []
    for i in range(config.num_labels):
        name = named.get(i, f"class {i}")
        classes.append(name if name not in classes else f"{name} ({i})")
    if all(name == f"LABEL_{i}" for i, name in enumerate(classes)):
        notes.append(f"the checkpoint does not name its {len(classes)} classes: they are numbered from 0")
        return [f"class {i}" for i in range(len(classes))]
    return classes


@contextmanager
def _quiet(where: str) -> Iterator[Any]:
    """transformers, without its progress bars and its report of what it loaded."""
    try:
        import transformers
        from transformers.utils import logging
    except Exception as error:  # absent, or broken by another package
        raise CheckpointError(
            f"{where} is a detector of transformers, which cannot be imported ({in_one_line(error)}); "
            "pip install 'saccade[hf]'"
        ) from error
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
