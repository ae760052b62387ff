"""Any other model of transformers that takes a picture, by the library's own class: to look into, not to train.

Weights are loaded from safetensors only, and no code of a checkpoint is executed.
"""

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from saccade.checkpoints.files import OpenedCheckpoint
from saccade.checkpoints.public import (
    PublicModel,
    class_names,
    image_processor,
    load_network,
    network_config,
    prepare_images,
    quiet_transformers,
    refuse_quantised,
)
from saccade.errors import CheckpointError, DataError

PLAIN = {  # settings of a processor that resizes, crops, rescales and normalizes, and nothing else
    "do_resize", "do_rescale", "do_normalize", "do_convert_rgb", "image_mean", "image_std", "size", "resample",
    "rescale_factor", "image_processor_type", "feature_extractor_type", "processor_class", "crop_size",
    "do_center_crop", "default_to_square", "data_format", "input_data_format", "return_tensors", "device",
    "disable_grouping", "do_pad", "pad_size", "image_seq_length",
}  # fmt: skip
TEXTS = {"input_ids", "decoder_input_ids", "text_inputs"}
PAIRS = ("efficientloftr", "lightglue", "superglue")  # families that take two pictures
NATIVE = ("vit", "deit", "dinov2", "dinov2_with_registers", "clip", "clip_vision_model")


@dataclass
class VisionModel(PublicModel):
    """A model with the method that prepares a picture for it."""

    second: Image.Image | None = None  # the other picture of one that takes pairs

    @property
    def takes_pairs(self) -> bool:
        """Whether it finds the points of one picture in another."""
        return self.family in PAIRS

    def prepare(self, picture: Image.Image) -> dict[str, Tensor]:
        """pixel_values (1 3 y x), of a pair (1 2 3 y x), and other inputs. Raises DataError for a picture that cannot
        be prepared, and for one alone where two are needed."""
        if self.takes_pairs and self.second is None:
            raise DataError(f"{self.name} finds one picture in another: give a second picture")
        pictures = [picture] if self.second is None else [picture, self.second]
        return prepare_images(self.processor, self.model, pictures, self.name)


def is_vision_model(source: OpenedCheckpoint) -> bool:
    """Whether its class is looked up in transformers: it has a config.json of that library, of a family that is not
    read here."""
    family = source.config().get("model_type")
    return isinstance(family, str) and family not in NATIVE and bool(source.weights)


def load_vision_model(source: OpenedCheckpoint) -> VisionModel:
    """The model in fp32 and evaluation mode: as its config.json names it, or of a model of pictures and texts its
    picture tower.

    Raises CheckpointError for a model that takes no picture alone, quantised weights, weights that are missing, and a
    processor that cannot be built without torchvision.
    """
    refuse_quantised(source)
    raw, notes = source.config(), list[str]()
    with quiet_transformers(source.name) as library:
        processor = _processor(library, str(raw.get("model_type")), source, notes)
        network, model = _loaded(library, source, notes)
    named = getattr(model.config, "id2label", None) and (hasattr(model, "classifier") or "Classification" in network)
    classes = class_names(model.config, notes) if named else []
    return VisionModel(model, classes, processor, raw["model_type"], source.name, notes)


class PictureTower(nn.Module):
    """The part of a model that reads pictures, as a model: `forward` is one of its methods."""

    def __init__(self, model: nn.Module, forward: Callable[..., Any]):
        super().__init__()
        self.model, self.config = model, getattr(model, "config", None)
        self.forward = forward


def _loaded(library: Any, source: OpenedCheckpoint, notes: list[str]) -> tuple[str, Any]:
    """The name of the class, and the model: a class that takes a picture alone, the picture tower of a model of
    pictures and texts as a class of its own, or else the method or the encoder of the whole that reads pictures."""
    raw, where = source.config(), source.name
    names = _named(library, raw)
    for each in names:
        tower = f"{re.sub(r'(ForImageClassification|Model)$', '', each)}VisionModel"
        for name in (each, tower):
            if not _takes_a_picture_alone(getattr(library, name, None)):
                continue
            part = raw["vision_config"] if name == tower and "vision_config" in raw else raw
            config, found = network_config(library, name, part, where), list[str]()
            try:
                model = load_network(library, name, config, source.weights, where, found)
            except CheckpointError:
                if name == each:
                    raise
                continue  # its weights have other names
            notes += found
            return name, model
    for each in names:
        if (model := _whole(library, each, source, notes)) is not None:
            return each, model
    raise CheckpointError(
        f"{where}: its config.json says model_type {raw.get('model_type')!r}, architectures {raw.get('architectures')}:"
        " transformers has no such class that takes a picture alone. With --text, look reads models that match text "
        "with pictures; saccade.watch sees inside any module (docs/lens.md)"
    )


def _named(library: Any, raw: Mapping[str, Any]) -> list[str]:
    """The classes of transformers that config.json names, of a family that it knows."""
    given = raw.get("architectures")
    named = [str(each) for each in given] if isinstance(given, list) else []
    named = named if raw.get("model_type") in _families() else []
    return [each for each in named if re.fullmatch(r"[A-Za-z0-9]+", each) and hasattr(library, each)]


def _takes_a_picture_alone(network: Any) -> bool:
    if getattr(network, "main_input_name", None) != "pixel_values":
        return False
    return not set(inspect.signature(network.forward).parameters) & TEXTS


def _whole(library: Any, name: str, source: OpenedCheckpoint, notes: list[str]) -> PictureTower | None:
    """The whole model, and how it reads pictures: `get_image_features`, or the encoder of a model that writes by a
    decoder of its own; None for others."""
    network = getattr(library, name)
    writes = "decoder_input_ids" in inspect.signature(network.forward).parameters
    if not (writes or _reads_pictures(library, network)):
        return None
    config = network_config(library, name, source.config(), source.name)
    if not writes and _has_decoder(config):
        return None  # a large language model is not loaded for its picture tower
    model = load_network(library, name, config, source.weights, source.name, notes)
    for part in (model, model.base_model):
        if callable(getattr(part, "get_image_features", None)):
            return PictureTower(model, part.get_image_features)
    encoder = model.get_encoder()
    return encoder if getattr(encoder, "main_input_name", None) == "pixel_values" else None


def _reads_pictures(library: Any, network: Any) -> bool:
    base = re.sub(r"For\w+$", "Model", network.__name__)
    return any(hasattr(each, "get_image_features") for each in (network, getattr(library, base, None)))


def _has_decoder(config: Any) -> bool:
    text = getattr(config, "text_config", None)
    return bool(getattr(text, "use_cache", False)) and not getattr(text, "is_encoder_decoder", False)


def _families() -> Collection[str]:
    """Those that transformers knows."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return CONFIG_MAPPING_NAMES.keys()


def _processor(library: Any, family: str, source: OpenedCheckpoint, notes: list[str]) -> Any:
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    def plain(raw_config: Mapping[str, Any]) -> Any:
        if other := sorted(set(raw_config) - PLAIN):
            raise CheckpointError(f"{', '.join(other[:3])} are settings of a processor that needs torchvision")
        notes.append("its own processor needs torchvision: pictures are resized and normalized as its file says")
        settings = {key: value for key, value in raw_config.items() if not key.endswith("_type")}
        return library.ViTImageProcessorPil.from_dict(settings)

    every = {name for each in IMAGE_PROCESSOR_MAPPING_NAMES.values() for name in dict(each).values() if name}
    names = sorted({name.removesuffix("Pil").removesuffix("Fast") for name in every})
    lacking = {name: plain for name in names if not hasattr(library, f"{name}Pil")}
    usual = next(iter(dict(IMAGE_PROCESSOR_MAPPING_NAMES.get(family, {})).values()), "ViTImageProcessor")
    return image_processor(library, usual.removesuffix("Pil").removesuffix("Fast"), names, source, notes, lacking)


def probabilities(out: Any) -> Tensor | None:
    """Of the classes (k), from the logits or probabilities (1 k) that a classifier returns, alone or as `.logits`; None
    without a head."""
    logits = getattr(out, "logits", out)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        return None
    first = logits[0].float().cpu()
    normalized = bool((first >= 0).all()) and abs(float(first.sum()) - 1) < 1e-3  # fp16 and bf16 round the sum
    return first if normalized else first.softmax(dim=0)
