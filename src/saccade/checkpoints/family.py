"""The interface of a family of checkpoints, and shared helpers: labels, preprocessing, heads."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, get_args

from torch import Tensor

from saccade.checkpoints.files import OpenedCheckpoint
from saccade.checkpoints.weight_names import ViTShape, WeightNames
from saccade.data.preprocess import Interpolation, Preprocess
from saccade.errors import CheckpointError
from saccade.models import Classifier, ClassifierConfig, Embedder, EmbedderConfig, ViT, ViTConfig

Model = ViT | Classifier | Embedder
Config = ViTConfig | ClassifierConfig | EmbedderConfig

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
OPENAI_CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}


@dataclass
class ModelSpec:
    """The model in an opened checkpoint, and the names of its weights."""

    config: Config
    names: WeightNames
    prefix: str
    preprocess: Preprocess
    labels: list[str] | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ExportSpec:
    """Files to write for a model: names of the weights, JSON files by name, and additional weights that the library of
    the family expects."""

    names: WeightNames
    prefix: str
    configs: Mapping[str, dict[str, Any]]
    also: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A naming scheme for the weights and the config of a ViT.

    looks_like: whether names of weights are of this family. anchor: a name that is always present, for messages.
    """

    name: str
    anchor: str
    looks_like: Callable[[Iterable[str]], bool]
    describe: Callable[[OpenedCheckpoint], ModelSpec]
    write: Callable[[Config, list[str] | None, Preprocess], ExportSpec]


def prefix_before(keys: Iterable[str], anchor: str) -> str | None:
    """The prefix of the first name that ends in `anchor`; None if there is none."""
    return next((key[: -len(anchor)] for key in keys if key == anchor or key.endswith("." + anchor)), None)


def height_width(value: Any) -> tuple[int, int] | None:
    """(height, width) from an entry of a config: 224, [224, 224], [3, 224, 224], {"height": ..., "width": ...}."""
    if isinstance(value, dict):
        value = [value.get("height"), value.get("width")]
    if isinstance(value, int | float):
        value = [value, value]
    if isinstance(value, list | tuple) and len(value) >= 2 and all(isinstance(n, int | float) for n in value):
        return int(value[-2]), int(value[-1])
    return None


def read_labels(config: Mapping[str, Any], classes: int, notes: list[str]) -> list[str] | None:
    """Names of the classes from a config's id2label."""
    named = config.get("id2label")
    if not isinstance(named, dict):
        return None
    labels = {str(key): str(label) for key, label in named.items()}
    if all(label == f"LABEL_{key}" for key, label in labels.items()):
        return None  # transformers' placeholders
    if sorted(labels) != sorted(map(str, range(classes))):
        notes.append(f"the config names {len(labels)} classes and the head has {classes}: classes stay numbers")
        return None
    return [labels[str(i)] for i in range(classes)]


def id2label(labels: list[str] | None) -> dict[str, Any]:
    """The inverse of `read_labels`: id2label and label2id as in a config of transformers."""
    if labels is None:
        return {}
    return {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def default_heads(width: int, notes: list[str]) -> int:
    """Number of heads of a known ViT of this width, for files without config: heads have width 64, except in four large
    models (SO400M, H, g and G of Zhai et al. 2022 and OpenCLIP), which have 16 heads."""
    heads = 16 if width in (1152, 1280, 1408, 1664) else width // 64
    if not heads or width % heads:
        raise CheckpointError(
            f"a width of {width} with heads of 64 does not divide: the number of heads cannot be read from the "
            "weights, so put the model's config.json beside them"
        )
    notes.append(f"no config says how many heads: {heads}, as usual for a width of {width}")
    return heads


def read_interpolation(value: Any, notes: list[str]) -> Interpolation:
    """An interpolation by Pillow's number or by name."""
    by_number: dict[Any, Interpolation] = {
        0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"
    }  # fmt: skip
    if value in by_number:
        return by_number[value]
    if value in get_args(Interpolation):
        return value
    notes.append(f"unknown interpolation {value!r}: bicubic instead")
    return "bicubic"


def vit_config(
    shape: ViTShape,
    grid: tuple[int, int],
    *,
    heads: int,
    eps: float,
    activation: str,
    layer_scale: bool = False,
    **others: Any,
) -> ViTConfig:
    """The configuration that all families share: LayerNorm, biases, learned positions. others: fields of ViTConfig."""
    if not isinstance(heads, int) or heads < 1 or shape.width % heads:
        raise ValueError(f"a width of {shape.width} does not divide among {heads!r} heads")
    block = {
        "width": shape.width, "heads": heads, "hidden": shape.hidden, "norm": "layer", "eps": eps,
        "activation": activation, "bias": True, "qk_norm": False, "layer_scale": layer_scale,
    }  # fmt: skip
    read = {"depth": shape.depth, "patch": shape.patch, "channels": shape.channels}
    return ViTConfig.model_validate({"block": block, "grid": grid, **read, **others})


def vit_of(config: Config) -> ViTConfig:
    return config if isinstance(config, ViTConfig) else config.vit


def build_model(config: Config) -> Model:
    if isinstance(config, ClassifierConfig):
        return Classifier(config)
    return Embedder(config) if isinstance(config, EmbedderConfig) else ViT(config)


def weights_of(model: Model) -> dict[str, Tensor]:
    """Weights under the names of the tables: those of the encoder begin with vit."""
    state = model.state_dict()
    return {f"vit.{name}": tensor for name, tensor in state.items()} if isinstance(model, ViT) else state


def short_name(spec: str) -> str:
    """hf:google/vit-base-patch16-224 -> vit-base-patch16-224; a path -> its last part."""
    path = PurePosixPath(spec.removeprefix("hf:").removeprefix("timm:"))
    return path.parent.name if path.name in ("model.safetensors", "open_clip_model.safetensors") else path.name
