"""CLIP's image tower (Radford et al. 2021): transformers' files and open_clip's, alone or within the whole model."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from saccade.checkpoints.family import (
    OPENAI_CLIP,
    Config,
    ExportSpec,
    Family,
    ModelSpec,
    default_heads,
    height_width,
    id2label,
    prefix_before,
    read_interpolation,
    read_labels,
    vit_config,
    vit_of,
)
from saccade.checkpoints.files import OpenedCheckpoint
from saccade.checkpoints.processors import center_crop_preprocess, read_processor, write_processor
from saccade.checkpoints.vit_hf import ACTIVATIONS, check_hf_config, hf_activation, hf_heads, position_count
from saccade.checkpoints.weight_names import (
    PrefixTokenNames,
    Table,
    WeightNames,
    check_config,
    infer_vit_shape,
    native_grid,
)
from saccade.data.preprocess import Preprocess
from saccade.errors import CheckpointError
from saccade.models import ClassifierConfig, EmbedderConfig

# ------------------------------------------------------------------------------------------------- transformers

_HF: Table = {
    "{p}embeddings.patch_embedding.{s}": ("vit.embed.project.{s}",),
    "{p}pre_layrnorm.{s}": ("vit.stem_norm.{s}",),  # as it is spelt
    "{p}encoder.layers.{i}.layer_norm1.{s}": ("vit.blocks.{i}.attention_norm.{s}",),
    "{p}encoder.layers.{i}.self_attn.q_proj.{s}": ("vit.blocks.{i}.attention.query.{s}",),
    "{p}encoder.layers.{i}.self_attn.k_proj.{s}": ("vit.blocks.{i}.attention.key.{s}",),
    "{p}encoder.layers.{i}.self_attn.v_proj.{s}": ("vit.blocks.{i}.attention.value.{s}",),
    "{p}encoder.layers.{i}.self_attn.out_proj.{s}": ("vit.blocks.{i}.attention.out.{s}",),
    "{p}encoder.layers.{i}.layer_norm2.{s}": ("vit.blocks.{i}.mlp_norm.{s}",),
    "{p}encoder.layers.{i}.mlp.fc1.{s}": ("vit.blocks.{i}.mlp.up.{s}",),
    "{p}encoder.layers.{i}.mlp.fc2.{s}": ("vit.blocks.{i}.mlp.down.{s}",),
    "{p}post_layernorm.{s}": ("vit.final_norm.{s}",),
    "visual_projection.weight": ("project.weight",),
    "classifier.{s}": ("head.{s}",),
}
_TEXT = ("text_model.*", "text_projection.weight", "logit_scale", "{p}embeddings.position_ids")
_PATCHES = "embeddings.patch_embedding.weight"


def _looks_like_hf(keys: Iterable[str]) -> bool:
    return all(prefix_before(keys, name) is not None for name in (_PATCHES, "pre_layrnorm.weight"))


def _hf_names(config: Config) -> WeightNames:
    tokens = PrefixTokenNames(
        ("{p}embeddings.class_embedding",), "{p}embeddings.position_embedding.weight", 1, batched=False
    )
    # transformers' classification head reads the mean of tokens that were not normalised.
    unread = ("{p}post_layernorm.*",) if isinstance(config, ClassifierConfig) else ()
    return WeightNames(_HF, tokens, ignored=_TEXT + unread)


def _describe_hf(source: OpenedCheckpoint) -> ModelSpec:
    weights, config, where, notes = source.weights, source.config(), source.name, list[str]()
    vision = {**config, **(config.get("vision_config") or {}), **(config.get("vision_config_dict") or {})}
    prefix = prefix_before(weights, _PATCHES) or ""
    embed = f"{prefix}embeddings.patch_embedding"
    shape = infer_vit_shape(weights, embed, f"{prefix}encoder.layers.{{i}}.mlp.fc2", where)
    check_hf_config(shape, vision, where)
    classifies = "classifier.weight" in weights
    if not config:
        notes.append("no config says whether GELU or QuickGELU: taken as QuickGELU, as in OpenAI's")
    count = position_count(weights, f"{prefix}embeddings.position_embedding.weight", where) - 1
    vit = vit_config(
        shape,
        native_grid(count, height_width(vision.get("image_size")), shape.patch, where),
        heads=hf_heads(vision, shape.width, notes),
        eps=vision.get("layer_norm_eps", 1e-5),
        activation=hf_activation(vision.get("hidden_act", "quick_gelu"), where),
        antialias=False,
        patch_bias=False,
        stem_norm=True,
        final_norm=not classifies,
    )
    model: Config = vit
    labels = None
    if classifies:
        model = ClassifierConfig(vit=vit, classes=weights["classifier.weight"].shape[0], pool="mean")
        labels = read_labels(config, model.classes, notes)
    elif "visual_projection.weight" in weights:
        model = EmbedderConfig(vit=vit, width=weights["visual_projection.weight"].shape[0])
    if any(key.startswith("text_model.") for key in weights):
        notes.append("the text tower is left out")
    native = (vit.grid[0] * vit.patch, vit.grid[1] * vit.patch)
    usual = center_crop_preprocess(native, normalise=OPENAI_CLIP)
    preprocess = read_processor(source.config("preprocessor_config.json"), usual, "CLIP", notes)
    return ModelSpec(model, _hf_names(model), prefix, preprocess, labels, notes)


def _write_hf(config: Config, labels: list[str] | None, preprocess: Preprocess) -> ExportSpec:
    vit = vit_of(config)
    vision = {
        "model_type": "clip_vision_model",
        "hidden_size": vit.block.width,
        "intermediate_size": vit.block.hidden,
        "num_hidden_layers": vit.depth,
        "num_attention_heads": vit.block.heads,
        "num_channels": vit.channels,
        "image_size": vit.grid[0] * vit.patch,
        "patch_size": vit.patch,
        "hidden_act": next((hf for hf, ours in ACTIVATIONS.items() if ours == vit.block.activation), "gelu"),
        "layer_norm_eps": vit.block.eps,
    }
    json: dict[str, Any] = {"architectures": ["CLIPVisionModel"], **vision}
    also = {}
    if isinstance(config, EmbedderConfig):
        json |= {"architectures": ["CLIPVisionModelWithProjection"], "projection_dim": config.width}
    if isinstance(config, ClassifierConfig):
        names = labels or [f"LABEL_{i}" for i in range(config.classes)]
        json = {"architectures": ["CLIPForImageClassification"], "model_type": "clip", **id2label(names)}
        json["vision_config"] = vision
        norm = {"weight": torch.ones(vit.block.width), "bias": torch.zeros(vit.block.width)}
        also = {f"vision_model.post_layernorm.{name}": tensor for name, tensor in norm.items()}
    files = {"config.json": json, "preprocessor_config.json": write_processor(preprocess)}
    return ExportSpec(_hf_names(config), "vision_model.", files, also)


# ------------------------------------------------------------------------------------------------- open_clip

_BLOCK, _OURS = "{p}transformer.resblocks.{i}", "vit.blocks.{i}"
_OPEN: Table = {
    "{p}conv1.{s}": ("vit.embed.project.{s}",),
    "{p}ln_pre.{s}": ("vit.stem_norm.{s}",),
    f"{_BLOCK}.ln_1.{{s}}": (f"{_OURS}.attention_norm.{{s}}",),
    f"{_BLOCK}.attn.in_proj_{{s}}": tuple(f"{_OURS}.attention.{name}.{{s}}" for name in ("query", "key", "value")),
    f"{_BLOCK}.attn.out_proj.{{s}}": (f"{_OURS}.attention.out.{{s}}",),
    f"{_BLOCK}.ls_1.gamma": (f"{_OURS}.attention_branch.layer_scale",),
    f"{_BLOCK}.ln_2.{{s}}": (f"{_OURS}.mlp_norm.{{s}}",),
    f"{_BLOCK}.mlp.c_fc.{{s}}": (f"{_OURS}.mlp.up.{{s}}",),
    f"{_BLOCK}.mlp.c_proj.{{s}}": (f"{_OURS}.mlp.down.{{s}}",),
    f"{_BLOCK}.ls_2.gamma": (f"{_OURS}.mlp_branch.layer_scale",),
    "{p}ln_post.{s}": ("vit.final_norm.{s}",),
    "{p}proj": ("project.weight",),
}
# The text tower, in open_clip's two layouts, and the numbers beside it.
_OPEN_TEXT = (
    "text.*", "transformer.*", "token_embedding.weight", "positional_embedding", "ln_final.*", "text_projection*",
    "logit_scale", "logit_bias", "attn_mask", "input_resolution", "context_length", "vocab_size",
)  # fmt: skip
_OPEN_TOKENS = PrefixTokenNames(("{p}class_embedding",), "{p}positional_embedding", placed=1, batched=False)


def _looks_like_open(keys: Iterable[str]) -> bool:
    names = ("conv1.weight", "class_embedding", "transformer.resblocks.0.attn.in_proj_weight")
    return all(prefix_before(keys, name) is not None for name in names)


def _open_names(prefix: str) -> WeightNames:
    # In a file that holds the image tower alone, names without prefix are its own and none may be ignored.
    return WeightNames(_OPEN, _OPEN_TOKENS, ignored=_OPEN_TEXT if prefix else (), transposed=("{p}proj",))


def _check_pooling(vision: Mapping[str, Any], where: str) -> None:
    usual = {"pool_type": "tok", "final_ln_after_pool": False, "attentional_pool": False, "timm_model_name": None}
    for name, value in usual.items():
        if vision.get(name, value) != value:
            raise CheckpointError(f"{where}: an image tower with {name} {vision[name]!r} is not supported")


def _describe_open(source: OpenedCheckpoint) -> ModelSpec:
    weights, config, where, notes = source.weights, source.config("open_clip_config.json"), source.name, list[str]()
    raw_config = config.get("model_cfg", {})
    vision, prepared = raw_config.get("vision_cfg", {}), config.get("preprocess_cfg", {})
    _check_pooling(vision, where)
    prefix = prefix_before(weights, "class_embedding") or ""
    shape = infer_vit_shape(weights, f"{prefix}conv1", f"{prefix}transformer.resblocks.{{i}}.mlp.c_proj", where)
    check_config(shape, vision, where, width="width", depth="layers", patch="patch_size")
    if not raw_config:
        notes.append(
            "no open_clip_config.json says whether GELU or QuickGELU: taken as GELU, though OpenAI's use Quick"
        )
    heads = shape.width // vision.get("head_width", 64) if raw_config else default_heads(shape.width, notes)
    count = position_count(weights, f"{prefix}positional_embedding", where) - 1
    vit = vit_config(
        shape,
        native_grid(count, height_width(vision.get("image_size")), shape.patch, where),
        heads=heads,
        eps=1e-5,
        activation="quick_gelu" if raw_config.get("quick_gelu") else "gelu",
        layer_scale=f"{prefix}transformer.resblocks.0.ls_1.gamma" in weights,
        patch_bias=False,
        stem_norm=f"{prefix}ln_pre.weight" in weights,
    )
    model: Config = vit
    if f"{prefix}proj" in weights:
        model = EmbedderConfig(vit=vit, width=weights[f"{prefix}proj"].shape[1])
    if any(key.endswith("token_embedding.weight") for key in weights):
        notes.append("the text tower is left out")
    native = (vit.grid[0] * vit.patch, vit.grid[1] * vit.patch)
    return ModelSpec(model, _open_names(prefix), prefix, read_preprocess_cfg(prepared, native, notes), None, notes)


def read_preprocess_cfg(prepared: Mapping[str, Any], native: tuple[int, int], notes: list[str]) -> Preprocess:
    """What open_clip's `preprocess_cfg` says. native: (height, width) of the input. Appends to `notes`."""
    squash = prepared.get("resize_mode") == "squash"
    return Preprocess(
        native,
        "stretch" if squash else "crop",
        None if squash else min(native),
        read_interpolation(prepared.get("interpolation", "bicubic"), notes),
        tuple(map(float, prepared.get("mean", OPENAI_CLIP["mean"]))),
        tuple(map(float, prepared.get("std", OPENAI_CLIP["std"]))),
    )


def _write_open(config: Config, labels: list[str] | None, preprocess: Preprocess) -> ExportSpec:
    """The image tower alone, with the part of open_clip's config that concerns it."""
    vit = vit_of(config)
    vision = {
        "image_size": [side * vit.patch for side in vit.grid],
        "layers": vit.depth,
        "width": vit.block.width,
        "head_width": vit.block.width // vit.block.heads,
        "mlp_ratio": vit.block.hidden / vit.block.width,
        "patch_size": vit.patch,
        "no_ln_pre": not vit.stem_norm,
        "ls_init_value": 1.0 if vit.block.layer_scale else None,
    }
    model = {"vision_cfg": vision, "quick_gelu": vit.block.activation == "quick_gelu"}
    if isinstance(config, EmbedderConfig):
        model["embed_dim"] = config.width
    prepared = {
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        "interpolation": preprocess.interpolation,
        "resize_mode": "shortest" if preprocess.resize == "crop" else "squash",
    }
    files = {"open_clip_config.json": {"model_cfg": model, "preprocess_cfg": prepared}}
    return ExportSpec(_open_names("visual."), "visual.", files)


CLIP = Family("clip", "pre_layrnorm.weight", _looks_like_hf, _describe_hf, _write_hf)
OPEN_CLIP = Family(
    "open_clip", "visual.transformer.resblocks.0.attn.in_proj_weight", _looks_like_open, _describe_open, _write_open
)
