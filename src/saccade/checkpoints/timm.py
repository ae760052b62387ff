"""Vision transformers as timm's files hold them (timm.models.vision_transformer and its DeiT)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from saccade.checkpoints.family import (
    IMAGENET,
    OPENAI_CLIP,
    Config,
    ExportSpec,
    Family,
    ModelSpec,
    default_heads,
    height_width,
    prefix_before,
    read_interpolation,
    vit_config,
    vit_of,
)
from saccade.checkpoints.files import OpenedCheckpoint
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
from saccade.models import ClassifierConfig, EmbedderConfig, ViTConfig

MLP: Table = {
    "{p}blocks.{i}.mlp.fc1.{s}": ("vit.blocks.{i}.mlp.up.{s}",),
    "{p}blocks.{i}.mlp.fc2.{s}": ("vit.blocks.{i}.mlp.down.{s}",),
}
_SWIGLU: Table = {
    "{p}blocks.{i}.mlp.fc1.{s}": ("vit.blocks.{i}.mlp.gate.{s}", "vit.blocks.{i}.mlp.up.{s}"),
    "{p}blocks.{i}.mlp.fc2.{s}": ("vit.blocks.{i}.mlp.down.{s}",),
}
# timm's SigLIP models were trained with two GELUs; these are the ones with the tanh.
_TANH = re.compile(r"giantopt_.*siglip|so400m_patch16_siglip|base_patch32_siglip|large_patch16_siglip_(gap_)?512")
_RESIDUAL_POST_NORM = "_rpn_"  # same names of weights, another order of computation
# The architectures of timm.models.vision_transformer and deit. Others may have the same names of weights, and rotary
# position embeddings, which leave no weights in a file.
_PLAIN = re.compile(r"(aimv2|beit3|deit|deit3|eva|flexivit|test_vit\d?|vit)_(?!pe_)(?!.*rope)")


def timm_weight_table() -> Table:
    """All but the MLP, which DINOv2's authors, whose names these are too, name in two ways."""
    block = "vit.blocks.{i}.attention"
    return {
        "{p}patch_embed.proj.{s}": ("vit.embed.project.{s}",),
        "{p}norm_pre.{s}": ("vit.stem_norm.{s}",),
        "{p}blocks.{i}.norm1.{s}": (f"{block}_norm.{{s}}",),
        "{p}blocks.{i}.attn.qkv.{s}": (f"{block}.query.{{s}}", f"{block}.key.{{s}}", f"{block}.value.{{s}}"),
        "{p}blocks.{i}.attn.proj.{s}": (f"{block}.out.{{s}}",),
        "{p}blocks.{i}.ls1.gamma": (f"{block}_branch.layer_scale",),
        "{p}blocks.{i}.norm2.{s}": ("vit.blocks.{i}.mlp_norm.{s}",),
        "{p}blocks.{i}.ls2.gamma": ("vit.blocks.{i}.mlp_branch.layer_scale",),
        "{p}norm.{s}": ("vit.final_norm.{s}",),
        "{p}fc_norm.{s}": ("pool_norm.{s}",),
        "{p}head.{s}": ("head.{s}",),
        "{p}head_dist.{s}": ("distilled_head.{s}",),
    }


def _looks_like(keys: Iterable[str]) -> bool:
    names = ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight")
    return all(prefix_before(keys, name) is not None for name in names)


def _names(config: Config, placed: int) -> WeightNames:
    vit = vit_of(config)
    # A distillation token and registers never come together.
    second = "{p}dist_token" if isinstance(config, ClassifierConfig) and config.pool == "distilled" else "{p}reg_token"
    singles = ("{p}cls_token",) * vit.cls + (second,) * bool(vit.registers)
    lines = timm_weight_table() | (_SWIGLU if vit.block.activation == "swiglu" else MLP)
    unread: tuple[str, ...] = ()
    if isinstance(config, EmbedderConfig):
        del lines["{p}head.{s}"]
        lines["{p}head.weight"], unread = ("project.weight",), ("{p}head.bias",)
    return WeightNames(lines, PrefixTokenNames(singles, "{p}pos_embed", placed), unread)


def _tokens(weights: Mapping[str, Tensor], prefix: str) -> tuple[bool, int]:
    """Whether there is a class token, and how many tokens after it stand before the patches."""
    after = [weights[key].shape[1] for name in ("reg", "dist") if (key := f"{prefix}{name}_token") in weights]
    return f"{prefix}cls_token" in weights, sum(after)


def _grid_and_placed(
    count: int, tokens: int, picture: tuple[int, int] | None, patch: int, where: str
) -> tuple[tuple[int, int], int]:
    """Positions are learned for the patches alone (no_embed_class) or for all tokens; the count tells which."""
    for placed in (tokens, 0):
        if picture and (picture[0] // patch) * (picture[1] // patch) == count - placed:
            return native_grid(count - placed, picture, patch, where), placed
    for placed in (tokens, 0):
        try:
            return native_grid(count - placed, None, patch, where), placed
        except CheckpointError:
            continue
    raise CheckpointError(f"{where}: {count} positions and {tokens} tokens before the patches make no square grid")


def _activation(weights: Mapping[str, Tensor], prefix: str, configured: str | None, architecture: str) -> str:
    up, down = (weights[f"{prefix}blocks.0.mlp.fc{i}.weight"] for i in (1, 2))
    if up.shape[0] == 2 * down.shape[1]:
        return "swiglu"
    if configured in ("gelu", "gelu_tanh", "quick_gelu", "relu"):
        return configured
    if "quickgelu" in architecture:
        return "quick_gelu"
    return "gelu_tanh" if _TANH.search(architecture) else "gelu"


def _heads(configured: Any, architecture: str, width: int, notes: list[str]) -> int:
    if configured is not None:
        return configured
    if architecture.startswith("test_"):  # timm's tiny ones, whose heads are narrower
        raise CheckpointError(f"how many heads {architecture} has is not known here: its config has no model_args")
    known = bool(architecture)  # the architecture's name fixes them
    return 16 if "giantopt" in architecture else default_heads(width, [] if known else notes)


def _check_plain(weights: Mapping[str, Tensor], prefix: str, where: str) -> None:
    """Raise CheckpointError for a file without a config whose weights have the names of a plain vision transformer, and
    may be those of an architecture that computes something else."""
    lacks = {name for name in ("norm.weight", "cls_token", "blocks.0.attn.qkv.bias", "blocks.0.ls1.gamma")
             if f"{prefix}{name}" not in weights}  # fmt: skip
    other = ""
    if f"{prefix}norm_pre.weight" in weights and "norm.weight" in lacks:
        other = "a perception encoder (vit_pe_...), which has rotary positions"
    elif lacks >= {"cls_token", "blocks.0.attn.qkv.bias", "blocks.0.ls1.gamma"}:
        other = "one that normalizes after its branches (vit_..._rpn_...)"
    if other:
        raise CheckpointError(
            f"{where}: its weights fit a plain vision transformer and {other}, and no config.json says which it is: "
            'put the model\'s config.json beside it, with the "architecture" of timm'
        )


def _describe(source: OpenedCheckpoint) -> ModelSpec:
    weights, config, where, notes = source.weights, source.config(), source.name, list[str]()
    raw_config, arguments = config.get("pretrained_cfg") or {}, config.get("model_args") or {}
    architecture = str(config.get("architecture", ""))
    if config.get("model_type") == "timm_backbone":
        raise CheckpointError(f"{where}: a model of timm in a class of transformers, whose config does not describe it")
    if _RESIDUAL_POST_NORM in architecture:
        raise CheckpointError(f"{where}: {architecture} normalises after its branches, which is not supported")
    if architecture and not _PLAIN.match(architecture):
        raise CheckpointError(
            f"{where}: {architecture} is no plain vision transformer of timm, though its weights are named as in one; "
            "expected vit_..., deit_... without rotary positions"
        )
    prefix = prefix_before(weights, "patch_embed.proj.weight") or ""
    if not architecture:
        _check_plain(weights, prefix, where)
        notes.append(
            "no config names the architecture: taken for a plain vision transformer, as rotary positions leave no "
            "weights in a file"
        )
    shape = infer_vit_shape(weights, f"{prefix}patch_embed.proj", f"{prefix}blocks.{{i}}.mlp.fc2", where)
    check_config(shape, arguments, where, width="embed_dim", depth="depth", patch="patch_size")
    for name in (f"{prefix}pos_embed", f"{prefix}blocks.0.mlp.fc1.weight"):
        if name not in weights:
            raise CheckpointError(f"{where}: 1 weights are missing: {name}")
    cls, after = _tokens(weights, prefix)
    native = height_width(arguments.get("img_size") or raw_config.get("input_size"))
    grid, placed = _grid_and_placed(weights[f"{prefix}pos_embed"].shape[1], cls + after, native, shape.patch, where)
    clip = f"{prefix}norm_pre.weight" in weights
    vit = vit_config(
        shape,
        grid,
        heads=_heads(arguments.get("num_heads"), architecture, shape.width, notes),
        eps=1e-5 if clip else 1e-6,
        activation=_activation(weights, prefix, arguments.get("act_layer"), architecture),
        layer_scale=f"{prefix}blocks.0.ls1.gamma" in weights,
        cls=cls,
        registers=after,
        patch_bias=not clip,
        stem_norm=clip,
        final_norm=f"{prefix}norm.weight" in weights,
    )
    model = _with_head(vit, weights, prefix, config)
    if clip and not architecture:
        notes.append("no config says whether GELU or QuickGELU: taken as GELU")
    preprocess = _preprocess(raw_config, vit, clip, notes)
    return ModelSpec(model, _names(model, placed), prefix, preprocess, _labels(config, model), notes)


def _with_head(vit: ViTConfig, weights: Mapping[str, Tensor], prefix: str, config: Mapping[str, Any]) -> Config:
    head, normed = f"{prefix}head.weight", f"{prefix}fc_norm.weight" in weights
    if head not in weights:
        return vit
    pool = "cls" if vit.cls and not normed else "mean"
    if config.get("global_pool") in ("avg", "token"):
        pool = {"avg": "mean", "token": "cls"}[config["global_pool"]]
    if f"{prefix}head_dist.weight" in weights:
        pool = "distilled"
    classes, bias = weights[head].shape[0], weights.get(f"{prefix}head.bias")
    # CLIP's projection, as timm keeps it unless a tag such as laion2b_ft_in1k says that a classifier replaced it
    tag = str((config.get("pretrained_cfg") or {}).get("tag") or "_ft_")
    if vit.stem_norm and "_ft_" not in tag and (bias is None or not bias.any()):
        return EmbedderConfig(vit=vit, width=classes)
    return ClassifierConfig.model_validate(
        {"vit": vit, "classes": classes, "pool": pool, "pool_norm": normed, "head_bias": bias is not None}
    )


def _labels(config: Mapping[str, Any], model: Config) -> list[str] | None:
    if not isinstance(model, ClassifierConfig):
        return None
    named = config.get("label_names")
    if not isinstance(named, list) or len(named) != model.classes:
        return None
    described = config.get("label_descriptions")
    texts = described if isinstance(described, dict) else {}
    return [str(texts.get(name, name)) for name in named]


def _preprocess(raw_config: Mapping[str, Any], vit: ViTConfig, clip: bool, notes: list[str]) -> Preprocess:
    if not raw_config:
        notes.append("no config says how pictures are prepared: as is usual for this family")
    usual = OPENAI_CLIP if clip else IMAGENET if vit.block.layer_scale else {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    size = height_width(raw_config.get("input_size")) or (vit.grid[0] * vit.patch, vit.grid[1] * vit.patch)
    share = raw_config.get("crop_pct", 0.9)
    return Preprocess(
        size,
        "stretch" if raw_config.get("crop_mode") == "squash" else "crop",
        int(min(size) / share),
        read_interpolation(raw_config.get("interpolation", "bicubic"), notes),
        tuple(map(float, raw_config.get("mean", usual["mean"]))),
        tuple(map(float, raw_config.get("std", usual["std"]))),
    )


def _architecture(config: Config) -> str:
    """One of timm's that differs from ours only in what its arguments can say."""
    vit = vit_of(config)
    if isinstance(config, ClassifierConfig) and config.pool == "distilled":
        return "deit_base_distilled_patch16_224"
    if vit.block.activation == "swiglu":
        return "vit_giant_patch14_dinov2"
    return "vit_base_patch16_clip_224" if vit.stem_norm else "vit_base_patch16_224"


def _write(config: Config, labels: list[str] | None, preprocess: Preprocess) -> ExportSpec:
    vit, block = vit_of(config), vit_of(config).block
    embedded = config.width if isinstance(config, EmbedderConfig) else 0
    classes = config.classes if isinstance(config, ClassifierConfig) else embedded
    mean = isinstance(config, ClassifierConfig) and config.pool == "mean"
    distilled = isinstance(config, ClassifierConfig) and config.pool == "distilled"
    native = [vit.grid[0] * vit.patch, vit.grid[1] * vit.patch]
    raw_config = {
        "input_size": [vit.channels, *preprocess.size],
        "interpolation": preprocess.interpolation,
        "crop_pct": min(preprocess.size) / (preprocess.shortest or min(preprocess.size)),
        "crop_mode": "center" if preprocess.resize == "crop" else "squash",
        "mean": list(preprocess.mean),
        "std": list(preprocess.std),
        **({"tag": "clip"} if embedded else {}),
        "num_classes": classes,
        "first_conv": "patch_embed.proj",
        "classifier": ["head", "head_dist"] if distilled else "head",
    }
    arguments = {
        "img_size": native,
        "patch_size": vit.patch,
        "in_chans": vit.channels,
        "embed_dim": block.width,
        "depth": vit.depth,
        "num_heads": block.heads,
        "mlp_ratio": block.hidden * (2 if block.activation == "swiglu" else 1) / block.width,
        "init_values": 1e-5 if block.layer_scale else None,
        "final_norm": vit.final_norm or mean,
        "global_pool": "avg" if mean else "token",
    }
    if block.activation != "swiglu":
        arguments["act_layer"] = block.activation
    if not distilled:
        arguments |= {"class_token": vit.cls, "reg_tokens": vit.registers, "no_embed_class": True}
        arguments["fc_norm"] = mean and not vit.final_norm
    json = {
        "architecture": _architecture(config),
        "num_classes": classes,
        "num_features": block.width,
        "global_pool": arguments["global_pool"],
        **({"label_names": labels} if labels else {}),
        "pretrained_cfg": raw_config,
        "model_args": arguments,
    }
    also = {"head.bias": torch.zeros(classes)} if embedded else {}
    return ExportSpec(_names(config, placed=2 if distilled else 0), "", {"config.json": json}, also)


TIMM = Family("timm", "blocks.0.attn.qkv.weight", _looks_like, _describe, _write)
