"""ViT and DeiT as transformers' files hold them."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from saccade.checkpoints.family import (
    IMAGENET,
    Config,
    ExportSpec,
    Family,
    ModelSpec,
    default_heads,
    height_width,
    id2label,
    prefix_before,
    read_labels,
    vit_config,
    vit_of,
)
from saccade.checkpoints.files import OpenedCheckpoint
from saccade.checkpoints.processors import read_processor, write_processor
from saccade.checkpoints.weight_names import (
    PrefixTokenNames,
    Table,
    ViTShape,
    WeightNames,
    check_config,
    infer_vit_shape,
    native_grid,
)
from saccade.data.preprocess import Preprocess
from saccade.errors import CheckpointError
from saccade.models import ClassifierConfig

# Names that transformers gives to embeddings and attention in all of its ViTs.
COMMON: Table = {
    "{p}embeddings.patch_embeddings.projection.{s}": ("vit.embed.project.{s}",),
    "{p}encoder.layer.{i}.attention.attention.query.{s}": ("vit.blocks.{i}.attention.query.{s}",),
    "{p}encoder.layer.{i}.attention.attention.key.{s}": ("vit.blocks.{i}.attention.key.{s}",),
    "{p}encoder.layer.{i}.attention.attention.value.{s}": ("vit.blocks.{i}.attention.value.{s}",),
    "{p}encoder.layer.{i}.attention.output.dense.{s}": ("vit.blocks.{i}.attention.out.{s}",),
    "{p}layernorm.{s}": ("vit.final_norm.{s}",),
}
_TABLE: Table = COMMON | {
    "{p}encoder.layer.{i}.layernorm_before.{s}": ("vit.blocks.{i}.attention_norm.{s}",),
    "{p}encoder.layer.{i}.layernorm_after.{s}": ("vit.blocks.{i}.mlp_norm.{s}",),
    "{p}encoder.layer.{i}.intermediate.dense.{s}": ("vit.blocks.{i}.mlp.up.{s}",),
    "{p}encoder.layer.{i}.output.dense.{s}": ("vit.blocks.{i}.mlp.down.{s}",),
}
_HEAD: Table = {"classifier.{s}": ("head.{s}",)}
_TWO_HEADS: Table = {"cls_classifier.{s}": ("head.{s}",), "distillation_classifier.{s}": ("distilled_head.{s}",)}
# The pooler is a layer of its own on the class token, made for pretraining. Masks stand for hidden patches.
_IGNORED = ("{p}pooler.dense.*", "{p}embeddings.mask_token", "{p}embeddings.position_ids")

PATCHES = "embeddings.patch_embeddings.projection.weight"
ACTIVATIONS = {
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


def hf_activation(name: str, where: str) -> str:
    if name not in ACTIVATIONS:
        raise CheckpointError(f"{where}: hidden_act {name!r} is not known here; known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def hf_heads(config: Mapping[str, Any], width: int, notes: list[str]) -> int:
    """From a transformers config, whose files leave out what is the default, 12."""
    return config.get("num_attention_heads", 12) if "model_type" in config else default_heads(width, notes)


def check_hf_config(shape: ViTShape, config: Mapping[str, Any], where: str) -> None:
    """Refuse a transformers config of another model than these weights'."""
    check_config(shape, config, where, width="hidden_size", depth="num_hidden_layers", patch="patch_size")


def position_count(weights: Mapping[str, Tensor], name: str, where: str) -> int:
    """How many positions a table of them holds."""
    if name not in weights:
        raise CheckpointError(f"{where}: 1 weights are missing: {name}")
    return weights[name].shape[-2]


def _has(keys: Iterable[str], *anchors: str) -> bool:
    return all(prefix_before(keys, anchor) is not None for anchor in anchors)


def _looks_like_vit(keys: Iterable[str]) -> bool:
    return _has(keys, PATCHES, "encoder.layer.0.layernorm_before.weight")


def _looks_like_deit(keys: Iterable[str]) -> bool:
    return _looks_like_vit(keys) and _has(keys, "embeddings.distillation_token")


def _names(config: Config) -> WeightNames:
    distilled = vit_of(config).registers == 1
    singles = ("{p}embeddings.cls_token", "{p}embeddings.distillation_token")[: 1 + distilled]
    tokens = PrefixTokenNames(singles, "{p}embeddings.position_embeddings", placed=len(singles))
    two = isinstance(config, ClassifierConfig) and config.pool == "distilled"
    return WeightNames(_TABLE | (_TWO_HEADS if two else _HEAD), tokens, _IGNORED)


def _describe(source: OpenedCheckpoint) -> ModelSpec:
    weights, config, where, notes = source.weights, source.config(), source.name, list[str]()
    prefix = prefix_before(weights, PATCHES) or ""
    distilled = f"{prefix}embeddings.distillation_token" in weights
    shape = infer_vit_shape(
        weights, f"{prefix}embeddings.patch_embeddings.projection", f"{prefix}encoder.layer.{{i}}.output.dense", where
    )
    check_hf_config(shape, config, where)
    count = position_count(weights, f"{prefix}embeddings.position_embeddings", where) - 1 - distilled
    vit = vit_config(
        shape,
        native_grid(count, height_width(config.get("image_size")), shape.patch, where),
        heads=hf_heads(config, shape.width, notes),
        eps=config.get("layer_norm_eps", 1e-12),
        activation=hf_activation(config.get("hidden_act", "gelu"), where),
        registers=int(distilled),
        antialias=False,
    )
    if distilled:
        notes.append("the token after cls is DeiT's distillation token")
    model: Config = vit
    head = "cls_classifier.weight" if "cls_classifier.weight" in weights else "classifier.weight"
    if head in weights:
        distils = head.startswith("cls_")
        model = ClassifierConfig(vit=vit, classes=weights[head].shape[0], pool="distilled" if distils else "cls")
    if any(key.startswith(f"{prefix}pooler.") for key in weights):
        notes.append("the pooler, a layer on the class token, is left out")
    labels = read_labels(config, model.classes, notes) if isinstance(model, ClassifierConfig) else None
    native = (vit.grid[0] * vit.patch, vit.grid[1] * vit.patch)
    mean, std = IMAGENET["mean"], IMAGENET["std"]
    deit = Preprocess(native, "stretch", native[0] * 256 // 224, "bicubic", mean, std)
    usual, kind = (deit, "DeiT") if distilled else (Preprocess(native), "ViT")
    preprocess = read_processor(source.config("preprocessor_config.json"), usual, kind, notes)
    return ModelSpec(model, _names(model), prefix, preprocess, labels, notes)


def hf_config(config: Config, labels: list[str] | None) -> dict[str, Any]:
    """What the configs of transformers' ViTs have in common."""
    vit = vit_of(config)
    image = [side * vit.patch for side in vit.grid]
    classes = config.classes if isinstance(config, ClassifierConfig) else 0
    return {
        "hidden_size": vit.block.width,
        "num_hidden_layers": vit.depth,
        "num_attention_heads": vit.block.heads,
        "hidden_act": next((hf for hf, ours in ACTIVATIONS.items() if ours == vit.block.activation), "gelu"),
        "layer_norm_eps": vit.block.eps,
        "image_size": image[0] if image[0] == image[1] else image,
        "patch_size": vit.patch,
        "num_channels": vit.channels,
        "qkv_bias": True,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        **id2label(labels or [f"LABEL_{i}" for i in range(classes)]),
    }


def _write(kind: str, config: Config, labels: list[str] | None, preprocess: Preprocess) -> ExportSpec:
    model, prefix = ("Model", "")
    if isinstance(config, ClassifierConfig):
        prefix = f"{kind}."
        model = "ForImageClassification" + ("WithTeacher" if config.pool == "distilled" else "")
    json = {
        "architectures": [{"vit": "ViT", "deit": "DeiT"}[kind] + model],
        "model_type": kind,
        "intermediate_size": vit_of(config).block.hidden,
        **hf_config(config, labels),
    }
    files = {"config.json": json, "preprocessor_config.json": write_processor(preprocess)}
    return ExportSpec(_names(config), prefix, files)


VIT = Family("vit", PATCHES, _looks_like_vit, _describe, lambda *described: _write("vit", *described))
DEIT = Family(
    "deit", "embeddings.distillation_token", _looks_like_deit, _describe, lambda *described: _write("deit", *described)
)
