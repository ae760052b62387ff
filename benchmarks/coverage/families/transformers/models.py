"""Tiny models with random weights of every vision family of the installed transformers, made by rule.

The families are those of the library's own auto-mappings. Each is its config class with every size shrunk by the table
`SIZES`; what needs more than that stands in `families/transformers/overrides.py`.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, ResNetConfig
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.coverage.families import torchvision_stub  # noqa: F401  # before transformers looks for it
from benchmarks.coverage.families.transformers.overrides import OVERRIDES, PARTS

EVERY = re.compile(".*")
WIDTH, HEADS = 64, 4
MOST = 40_000_000  # parameters: more means that a size was not shrunk
PICTURES = re.compile("pixel|image|visual|video|vision|patches")

# The first pattern that fits the whole name of a size gives its value, if that is smaller.
SIZES: list[tuple[str, int]] = [
    (r".*(key_value|kv)_heads", 2),
    (r".*heads?|encoder_attention_heads|.*_n_head", HEADS),
    (r"(global_)?head_dim|v_head_dim|qk_(rope|nope)_head_dim|d_kv|attention_head_size|head_size", WIDTH // HEADS),
    (r".*lora_rank", 32),
    (r"num_experts_per_tok|moe_k|moe_topk|top_k_experts", 2),
    (r"n_group|topk_group|num_expert_groups?|n_groups", 1),
    (r"(num|n|moe_num)_(routed_|local_)?experts|.*num_experts", 4),
    (r"first_k_dense_replace|moe_layer_start_index", 1),
    (r"(.*_)?vocab_size(_.*)?|.*vocabulary_size|num_embeddings", 160),
    (r".*(intermediate|ffn|mlp|feedforward|ff)_?(size|dim|channels)|intermediate_size_mlp|d_ff|dim_feedforward", 96),
    (r"((num|n)_)?(.*_)?(layers?|blocks|depth|num_stacks)|num_layers_.*|num_.*_layers", 2),
    (r"num_frames|frames_per_clip|temporal_.*size|num_frames_.*", 4),
    (r"(num|n)_(object_|cls_|mask_|segmentation_)?queries|num_query_tokens|num_latents|n_latents|.*num_queries", 16),
    (r"num_denoising", 0),
    (r".*(hidden|embed|embedding|projection|proj|model|mask|conv|fpn|feature|latents?|out|output|text|cross)_?"
     r"(size|dims?|channels|hidden_size|width)(_.*)?|d_model|n_embd|dim|width|embed_dim|.*_hidden_size|"
     r"hidden_size_.*|.*_embed_dim|decoder_hidden_dim|encoder_hidden_dim|q_dim|d_latents", WIDTH),
    (r"max_(.*_)?position_embeddings|max_position_.*|n_positions|max_seq_len.*|.*context_length", 512),
]  # fmt: skip
NEVER = re.compile(
    r".*_token_id|.*rate|.*ratio|.*scale|num_labels|num_channels|in_channels|.*_std|.*_eps|use_.*|.*_in_chans|out_indices|"
    r"chunk_size.*|skip_.*|.*_dropout|.*depth_bin.*|(min|max)_depth|num_output_channels|num_encoder_blocks|num_stages|mask_in_chans|mlp_ratio|.*kernel.*"
)
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "sep_token_id": 3}


class NotTiny(Exception):
    """A model that stays too large."""


def families(wanted: re.Pattern = EVERY) -> dict[str, list[str]]:
    """Every model type in an auto-mapping one of whose classes takes pictures, and those classes: with heads first.

    wanted: only types whose whole name fits it.
    A type that is only a part of another (its config is made to stand in that of a whole model) is left to its whole.
    """
    found: dict[str, dict[str, None]] = {}
    names = [name for name in dir(modeling_auto) if re.fullmatch(r"MODEL_.*MAPPING_NAMES", name)]
    for name in sorted(names, key=lambda name: (_rank(name), name)):
        for kind, classes in getattr(modeling_auto, name).items():
            if not wanted.fullmatch(kind):
                continue
            for cls in [classes] if isinstance(classes, str) else classes:
                if _takes_pictures(cls):
                    found.setdefault(kind, {})[cls] = None
    return {kind: list(classes) for kind, classes in sorted(found.items()) if not _is_part(kind)}


def _rank(mapping: str) -> int:
    """Heads that run most of a model come first."""
    order = ("IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "UNIVERSAL", "OBJECT_DETECTION", "MASK_GENERATION", "ZERO_SHOT")
    if mapping == "MODEL_MAPPING_NAMES":
        return len(order) + 1
    return next((i for i, word in enumerate(order) if word in mapping), len(order))


def _takes_pictures(name: str) -> bool:
    try:
        parameters = inspect.signature(getattr(transformers, name).forward).parameters
    except (AttributeError, ImportError):  # no such class, or one that needs a library that is not there
        return False
    return any(PICTURES.search(p) for p in parameters)


def _is_part(kind: str) -> bool:
    return kind in CONFIG_MAPPING and bool(CONFIG_MAPPING[kind].base_config_key)


def tiny_config(kind: str) -> PreTrainedConfig:
    """The config of a family with every size shrunk."""
    parts = {name: part() for name, part in PARTS.get(kind, {}).items()}
    return shrink(CONFIG_MAPPING[kind](**parts), OVERRIDES.get(kind))


def shrink(config: PreTrainedConfig, given: dict[str, Any] | None = None) -> PreTrainedConfig:
    """A config of the same class with its sizes, and those of the configs in it, made small. given: values that are
    taken as they are; a dict for a config in it goes down to that."""
    given = dict(given or {})
    usual = _usual(type(config))
    changes: dict[str, Any] = {}
    for name, value in _fields(config):
        if getattr(value, "model_type", None) == "timm_backbone":  # any backbone serves, and this one is always there
            changes[name] = _resnet(len(value.out_indices))
        elif isinstance(value, PreTrainedConfig):
            changes[name] = shrink(value, given.pop(name, None) if isinstance(given.get(name), dict) else None)
        elif (small := _small(name, value)) != usual.get(name, None if usual else small):
            changes[name] = small
    for adapt in (_pictures, _widths, _layers, _features, _ropes):
        changes |= adapt(config, changes)
    return type(config)(**changes | given)


def _usual(cls: type[PreTrainedConfig]) -> dict[str, Any]:
    """The values that a class has of itself, which need not be given."""
    try:
        return vars(cls())
    except (TypeError, ValueError):  # a class that cannot be without the configs in it
        return {}


def _fields(config: PreTrainedConfig) -> Iterator[tuple[str, Any]]:
    skipped = {"transformers_version", "id2label", "label2id", "layer_types", "stage_names"}
    for name, value in vars(config).items():
        if not name.startswith("_") and name not in skipped:
            yield name, value


def _small(name: str, value: Any) -> Any:
    if name in SPECIAL and isinstance(value, (int, list)):
        return SPECIAL[name]
    if re.fullmatch(r".*(token_id|token_index|_token_idx)", name) and isinstance(value, int):
        return token_of(name)
    if value is None and name in ("image_token_id", "image_token_index", "video_token_index"):
        return token_of(name)
    if isinstance(value, bool) or value is None or NEVER.fullmatch(name):
        return value
    if name == "depths" and isinstance(value, (list, tuple)):
        return type(value)(min(d, 2) for d in value)
    if name == "decoder_in_channels" and isinstance(value, (list, tuple)):
        return type(value)([WIDTH] * len(value))
    if isinstance(value, int):
        return min(value, next((small for pattern, small in SIZES if re.fullmatch(pattern, name)), value))
    return value


def token_of(name: str) -> int:
    """A number below the tiny vocabulary for each kind of special token, the same in every config of a model."""
    stem = re.sub(r"_(id|index|idx)$", "", name).replace("_", "")
    return 8 + sum(ord(letter) * (i + 1) for i, letter in enumerate(stem)) % 90


def _resnet(stages: int) -> PreTrainedConfig:
    sizes = [16, 24, 32, 48]
    return ResNetConfig(embedding_size=16, hidden_sizes=sizes, depths=[1] * 4, out_indices=[1, 2, 3, 4][-stages:])


def _widths(config: PreTrainedConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """A first width that its heads divide, and as many heads of keys as of queries where it was so."""
    values = vars(config)
    heads, kv = values.get("num_heads"), values.get("num_key_value_heads")
    found = {}
    if isinstance(heads, (list, tuple)) and "embed_dim" in changes:
        found["embed_dim"] = 8 * heads[0]
    if kv is not None and kv == values.get("num_attention_heads") and "num_key_value_heads" in changes:
        found["num_key_value_heads"] = HEADS
    return found


def _features(config: PreTrainedConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """As many feature maps as a backbone gives; one a layer where layers are not counted by stages."""
    given = list(getattr(config, "out_indices", None) or [])
    if len(given) < 2:
        return {}
    if "num_hidden_layers" in changes or (hasattr(config, "num_hidden_layers") and not hasattr(config, "depths")):
        return {"num_hidden_layers": len(given), "out_indices": list(range(1, len(given) + 1))}
    return {"out_indices": given}


def _pictures(config: PreTrainedConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """Four patches a side, or 64 pixels."""
    size, patch = getattr(config, "image_size", None), getattr(config, "patch_size", None)
    if size is None:
        return {}
    found: dict[str, Any] = {}
    if isinstance(patch, int) and patch > 16:
        found["patch_size"] = patch = 16
    side = 4 * patch if isinstance(patch, int) and patch > 2 and 64 % patch else 64
    found["image_size"] = type(size)([side] * len(size)) if isinstance(size, (list, tuple)) else side
    return found


def _layers(config: PreTrainedConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """As many layers as show every kind of layer once, where a model mixes several."""
    kinds = getattr(config, "layer_types", None)
    name = next((n for n in ("num_hidden_layers", "num_layers", "depth") if n in changes), None)
    if not kinds or name is None or len(set(kinds)) < 2:
        return {}
    last = max(list(kinds).index(kind) for kind in set(kinds))
    return {name: max(2, last + 1), "layer_types": list(kinds)[: max(2, last + 1)]}


def _ropes(config: PreTrainedConfig, changes: dict[str, Any]) -> dict[str, Any]:
    """Sections of a rotary embedding that sum to half the width of a small head."""
    ropes = getattr(config, "rope_parameters", None) if "rope_parameters" in vars(config) else None
    sectioned = "mrope_section" in getattr(config, "ignore_keys_at_rope_validation", ())
    if (
        not isinstance(ropes, dict)
        or any(isinstance(v, dict) for v in ropes.values())
        or not (sectioned or "mrope_section" in ropes)
    ):
        return {}
    half = int(WIDTH // HEADS * ropes.get("partial_rotary_factor", 1.0)) // 2
    small = [half // 4, half // 4, half - half // 4 * 2]
    if len(ropes.get("mrope_section", small)) == 4:
        small = [half // 4] * 4
    return {"rope_parameters": ropes | {"mrope_section": small}}


def tiny_model(cls: type[PreTrainedModel], config: PreTrainedConfig, how: str | None = None) -> PreTrainedModel:
    """A model in evaluation with random weights that let signals through, so that its maps have structure.

    how: the attention implementation; None for that which the library chooses."""
    with torch.device("meta"):
        blank = cls._from_config(type(config).from_dict(config.to_dict()))
    total = sum(p.numel() for p in blank.parameters())
    if total > MOST:
        raise NotTiny(f"it has {total:,} parameters, of which the rules here shrink too few")
    torch.manual_seed(0)
    config._attn_implementation = how
    model = cls(config) if how is None else cls._from_config(config, attn_implementation=how)
    return model.float().eval()


@torch.no_grad()
def liven(model: nn.Module) -> None:
    """Random weights of unit gain instead of the 0.02 that libraries start with, under which all maps are flat."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if p.ndim < 2 or not p.is_floating_point() or not p.numel():
                continue
            fan = p[0].numel() if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)) else 4
            if isinstance(module, nn.MultiheadAttention) or "proj" in name or p.ndim == 3:
                fan = p.shape[-1]
            p.copy_(torch.randn(p.shape, generator=generator) * fan**-0.5)
