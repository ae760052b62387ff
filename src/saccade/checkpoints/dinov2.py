"""DINOv2 (Oquab et al. 2024), with and without registers (Darcet et al. 2024): its authors' files and transformers'."""

from collections.abc import Iterable

import torch
from torch import Tensor

from saccade.checkpoints.family import (
    Config,
    ExportSpec,
    Family,
    ModelSpec,
    default_heads,
    height_width,
    prefix_before,
    read_labels,
    vit_config,
    vit_of,
)
from saccade.checkpoints.files import OpenedCheckpoint
from saccade.checkpoints.processors import center_crop_preprocess, read_processor, write_processor
from saccade.checkpoints.timm import MLP, timm_weight_table
from saccade.checkpoints.vit_hf import (
    COMMON,
    PATCHES,
    check_hf_config,
    hf_activation,
    hf_config,
    hf_heads,
    position_count,
)
from saccade.checkpoints.weight_names import PrefixTokenNames, Table, WeightNames, infer_vit_shape, native_grid
from saccade.data.preprocess import Preprocess
from saccade.errors import CheckpointError
from saccade.models import ClassifierConfig, ViTConfig

_HF: Table = COMMON | {
    "{p}encoder.layer.{i}.norm1.{s}": ("vit.blocks.{i}.attention_norm.{s}",),
    "{p}encoder.layer.{i}.layer_scale1.lambda1": ("vit.blocks.{i}.attention_branch.layer_scale",),
    "{p}encoder.layer.{i}.norm2.{s}": ("vit.blocks.{i}.mlp_norm.{s}",),
    "{p}encoder.layer.{i}.layer_scale2.lambda1": ("vit.blocks.{i}.mlp_branch.layer_scale",),
    "classifier.{s}": ("head.{s}",),
}
_HF_MLP: Table = {
    "{p}encoder.layer.{i}.mlp.fc1.{s}": ("vit.blocks.{i}.mlp.up.{s}",),
    "{p}encoder.layer.{i}.mlp.fc2.{s}": ("vit.blocks.{i}.mlp.down.{s}",),
}
_HF_SWIGLU: Table = {
    "{p}encoder.layer.{i}.mlp.weights_in.{s}": ("vit.blocks.{i}.mlp.gate.{s}", "vit.blocks.{i}.mlp.up.{s}"),
    "{p}encoder.layer.{i}.mlp.weights_out.{s}": ("vit.blocks.{i}.mlp.down.{s}",),
}
_SWIGLU: Table = {
    "{p}blocks.{i}.mlp.w12.{s}": ("vit.blocks.{i}.mlp.gate.{s}", "vit.blocks.{i}.mlp.up.{s}"),
    "{p}blocks.{i}.mlp.w3.{s}": ("vit.blocks.{i}.mlp.down.{s}",),
}


def _usual(patch: int, grid: tuple[int, int]) -> Preprocess:
    """224 of 256 pixels, in whole patches, though positions were learned for more."""
    side = min(224 // patch, *grid) * patch
    return center_crop_preprocess((side, side), 224 / 256)


def _mask(vit: ViTConfig) -> Tensor:
    return torch.zeros(1, vit.block.width)


# ------------------------------------------------------------------------------------------------- transformers


def _looks_like_hf(keys: Iterable[str]) -> bool:
    return all(prefix_before(keys, name) is not None for name in (PATCHES, "encoder.layer.0.layer_scale1.lambda1"))


def _hf_names(config: Config) -> WeightNames:
    vit = vit_of(config)
    singles = ("{p}embeddings.cls_token", "{p}embeddings.register_tokens")[: 1 + bool(vit.registers)]
    tokens = PrefixTokenNames(singles, "{p}embeddings.position_embeddings", placed=1)
    mlp = _HF_SWIGLU if vit.block.activation == "swiglu" else _HF_MLP
    return WeightNames(_HF | mlp, tokens, ignored=("{p}embeddings.mask_token",))


def _describe_hf(source: OpenedCheckpoint) -> ModelSpec:
    weights, config, where, notes = source.weights, source.config(), source.name, list[str]()
    prefix = prefix_before(weights, PATCHES) or ""
    swiglu = f"{prefix}encoder.layer.0.mlp.weights_in.weight" in weights
    down = f"{prefix}encoder.layer.{{i}}.mlp." + ("weights_out" if swiglu else "fc2")
    shape = infer_vit_shape(weights, f"{prefix}embeddings.patch_embeddings.projection", down, where)
    check_hf_config(shape, config, where)
    registers = f"{prefix}embeddings.register_tokens"
    if config.get("num_register_tokens") and registers not in weights:
        raise CheckpointError(f"{where}: 1 weights are missing: {registers}")
    count = position_count(weights, f"{prefix}embeddings.position_embeddings", where) - 1
    vit = vit_config(
        shape,
        native_grid(count, height_width(config.get("image_size")), shape.patch, where),
        heads=hf_heads(config, shape.width, notes),
        eps=config.get("layer_norm_eps", 1e-6),
        activation="swiglu" if swiglu else hf_activation(config.get("hidden_act", "gelu"), where),
        layer_scale=True,
        registers=weights[registers].shape[1] if registers in weights else 0,
        antialias=registers in weights,
    )
    model: Config = vit
    if "classifier.weight" in weights:
        model = ClassifierConfig(vit=vit, classes=weights["classifier.weight"].shape[0], pool="cls+mean")
    labels = read_labels(config, model.classes, notes) if isinstance(model, ClassifierConfig) else None
    usual = _usual(vit.patch, vit.grid)
    preprocess = read_processor(source.config("preprocessor_config.json"), usual, "Bit", notes)
    return ModelSpec(model, _hf_names(model), prefix, preprocess, labels, notes)


def _write_hf(config: Config, labels: list[str] | None, preprocess: Preprocess) -> ExportSpec:
    vit = vit_of(config)
    kind, name = ("dinov2_with_registers", "Dinov2WithRegisters") if vit.registers else ("dinov2", "Dinov2")
    classifies = isinstance(config, ClassifierConfig)
    swiglu = vit.block.activation == "swiglu"
    # transformers computes the hidden width from this ratio; of SwiGLU's it takes two thirds, to the next 8.
    ratio = round(vit.block.hidden / vit.block.width * (1.5 if swiglu else 1))
    json = {
        "architectures": [name + ("ForImageClassification" if classifies else "Model")],
        "model_type": kind,
        "mlp_ratio": ratio,
        "use_swiglu_ffn": swiglu,
        **({"num_register_tokens": vit.registers} if vit.registers else {}),
        **hf_config(config, labels),
    }
    files = {"config.json": json, "preprocessor_config.json": write_processor(preprocess)}
    prefix = f"{kind}." if classifies else ""
    return ExportSpec(_hf_names(config), prefix, files, {f"{prefix}embeddings.mask_token": _mask(vit)})


# ------------------------------------------------------------------------------------------------- the authors'


def _looks_like(keys: Iterable[str]) -> bool:
    ours = prefix_before(keys, "patch_embed.proj.weight") is not None
    return ours and any(prefix_before(keys, name) is not None for name in ("mask_token", "register_tokens"))


def _names(config: Config) -> WeightNames:
    vit = vit_of(config)
    singles = ("{p}cls_token", "{p}register_tokens")[: 1 + bool(vit.registers)]
    mlp = _SWIGLU if vit.block.activation == "swiglu" else MLP
    return WeightNames(
        timm_weight_table() | mlp, PrefixTokenNames(singles, "{p}pos_embed", placed=1), ignored=("{p}mask_token",)
    )


def _describe(source: OpenedCheckpoint) -> ModelSpec:
    weights, where, notes = source.weights, source.name, list[str]()
    prefix = prefix_before(weights, "patch_embed.proj.weight") or ""
    swiglu = f"{prefix}blocks.0.mlp.w12.weight" in weights
    down = f"{prefix}blocks.{{i}}.mlp." + ("w3" if swiglu else "fc2")
    shape = infer_vit_shape(weights, f"{prefix}patch_embed.proj", down, where)
    registers = f"{prefix}register_tokens"
    vit = vit_config(
        shape,
        native_grid(position_count(weights, f"{prefix}pos_embed", where) - 1, None, shape.patch, where),
        heads=source.config().get("num_heads") or default_heads(shape.width, notes),
        eps=1e-6,
        activation="swiglu" if swiglu else "gelu",
        layer_scale=True,
        registers=weights[registers].shape[1] if registers in weights else 0,
        antialias=registers in weights,
        offset=0.0 if registers in weights else 0.1,
    )
    return ModelSpec(vit, _names(vit), prefix, _usual(vit.patch, vit.grid), None, notes)


def _write(config: Config, labels: list[str] | None, preprocess: Preprocess) -> ExportSpec:
    """The authors' files are weights only; heads are what ours cannot do without."""
    vit = vit_of(config)
    return ExportSpec(_names(config), "", {"config.json": {"num_heads": vit.block.heads}}, {"mask_token": _mask(vit)})


DINOV2_HF = Family("dinov2-hf", "encoder.layer.0.layer_scale1.lambda1", _looks_like_hf, _describe_hf, _write_hf)
DINOV2 = Family("dinov2", "mask_token", _looks_like, _describe, _write)
