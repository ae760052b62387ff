"""open_clip's checkpoints of SigLIP and SigLIP 2 (Zhai et al. 2023; Tschannen et al. 2025), as transformers would have
written them.

The picture tower is timm's, the text tower open_clip's own. Weights are renamed, and the config is rewritten: files as
of `saccade.checkpoints.open_clip`, where tokenizer_config.json says which token is padding.
"""

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from saccade.checkpoints.files import OpenedCheckpoint
from saccade.checkpoints.open_clip import (
    CONFIG,
    check_tower,
    model_config,
    native_side,
    rename_layer_weight,
    split_layer_weight,
    tower_config,
)
from saccade.errors import CheckpointError

_VISION = {"timm_pool": "map", "timm_proj": "none"}
_TEXT = {"embed_cls": False, "no_causal_mask": True, "pool_type": "last", "proj_type": "linear", "proj_bias": True,
         "hf_model_name": None, "ls_init_value": None}  # fmt: skip
_DEFAULTS = {"no_causal_mask": False, "pool_type": "argmax"}  # of open_clip, which SigLIP's configs change
_NAME = re.compile(r"vit_(base|large|so400m|giantopt)_patch(14|16|32)_siglip_(224|256|378|384|512)")
_HEADS = {1152: 16, 1536: 16}  # of other widths one for each 64
# timm's towers with the exact GELU; those of the other names have its approximation by tanh.
_EXACT = re.compile(r"vit_(base_patch16_\w+|large_patch16_siglip_(256|384)|so400m_patch14_\w+)")

# open_clip's names -> those of transformers.
_VISUAL = {
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
    "pos_embed": "embeddings.position_embedding.weight",
    "norm.weight": "post_layernorm.weight",
    "norm.bias": "post_layernorm.bias",
    "attn_pool.latent": "head.probe",
    "attn_pool.proj.weight": "head.attention.out_proj.weight",
    "attn_pool.proj.bias": "head.attention.out_proj.bias",
    "attn_pool.norm.weight": "head.layernorm.weight",
    "attn_pool.norm.bias": "head.layernorm.bias",
    "attn_pool.mlp.fc1.weight": "head.mlp.fc1.weight",
    "attn_pool.mlp.fc1.bias": "head.mlp.fc1.bias",
    "attn_pool.mlp.fc2.weight": "head.mlp.fc2.weight",
    "attn_pool.mlp.fc2.bias": "head.mlp.fc2.bias",
}  # fmt: skip
_POOLED = [f"visual.trunk.attn_pool.{part}.{kind}" for kind in ("weight", "bias") for part in ("q", "kv")]
_VISUAL_BLOCK = {
    "norm1": "layer_norm1", "attn.proj": "self_attn.out_proj", "norm2": "layer_norm2", "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}  # fmt: skip
_TEXTUAL = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
    "text_projection.weight": "head.weight",
    "text_projection.bias": "head.bias",
}


def is_open_siglip(source: OpenedCheckpoint) -> bool:
    """Whether the weights are those of a picture tower of timm that attention pools, and of open_clip's text tower."""
    return "visual.trunk.attn_pool.latent" in source.weights and "text.token_embedding.weight" in source.weights


def siglip_as_transformers(source: OpenedCheckpoint) -> OpenedCheckpoint:
    """The same checkpoint with transformers' config and names. Raises CheckpointError for other towers."""
    vision, text = (model_config(source).get(key) or {} for key in ("vision_cfg", "text_cfg"))
    check_tower(vision, _VISION, "vision_cfg", source.name)
    check_tower({**_DEFAULTS, **text}, _TEXT, "text_cfg", source.name)
    for key, known in (("act_kwargs", {"approximate": "tanh"}), ("norm_kwargs", {"eps": 1e-6})):
        if text.get(key):
            check_tower(text, {key: known}, "text_cfg", source.name)
    name = str(vision.get("timm_model_name"))
    if not _NAME.fullmatch(name):
        raise CheckpointError(
            f"{source.name}: {CONFIG}: vision_cfg has timm_model_name {name!r}, which is not supported; one as "
            "'vit_base_patch16_siglip_224' is"
        )
    weights = dict(_renamed(source))
    return replace(source, weights=weights, configs={"config.json": _config(weights, name, vision, text, source)})


def canonicalizing_tokenizer(source: OpenedCheckpoint, tokenizer: Any) -> Any:
    """The tokenizer, which lowers texts and removes punctuation first where open_clip does (`canonicalize_text`)."""
    text = model_config(source).get("text_cfg") or {}
    options = dict(text.get("tokenizer_kwargs") or {})
    clean = options.pop("clean", "whitespace")
    if options or clean not in ("canonicalize", "whitespace"):
        raise CheckpointError(
            f"{source.name}: {CONFIG}: text_cfg has tokenizer_kwargs {text['tokenizer_kwargs']!r}, which are not "
            "supported; {'clean': 'canonicalize'} is"
        )
    from tokenizers import Regex, normalizers

    spaces = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    if clean == "canonicalize":
        marks = "".join(f"\\{each}" for each in string.punctuation.replace("_", ""))
        lower = [normalizers.Replace("_", " "), normalizers.Replace(Regex(f"[{marks}]"), ""), normalizers.Lowercase()]
        spaces = [*lower, *spaces]
    own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
    tokenizer.normalizer = normalizers.Sequence([*spaces, *own])
    return tokenizer


def _renamed(source: OpenedCheckpoint) -> Iterator[tuple[str, Tensor]]:
    for key in source.weights:
        tensor = source.weights[key]
        visual, text = key.removeprefix("visual.trunk."), key.removeprefix("text.")
        if key in ("logit_scale", "logit_bias"):
            yield key, tensor.reshape(1)
        elif key == "visual.trunk.pos_embed":
            yield f"vision_model.{_VISUAL[visual]}", tensor[0]
        elif key.startswith("visual.trunk.") and visual in _VISUAL:
            yield f"vision_model.{_VISUAL[visual]}", tensor
        elif key.startswith("text.") and text in _TEXTUAL:
            yield f"text_model.{_TEXTUAL[text]}", tensor
        elif key.startswith("text."):
            yield from rename_layer_weight(text, tensor, source.name)
        elif key not in _POOLED:
            yield from _of_block(key, tensor, source.name)
    yield from _pool(source)


def _pool(source: OpenedCheckpoint) -> Iterator[tuple[str, Tensor]]:
    """Queries, keys and values of the pooling in one, as torch.nn.MultiheadAttention has them."""
    for kind in ("weight", "bias"):
        names = [name for name in _POOLED if name.endswith(kind)]
        if all(name in source.weights for name in names):
            yield f"vision_model.head.attention.in_proj_{kind}", torch.cat([source.weights[name] for name in names])


def _of_block(key: str, tensor: Tensor, where: str) -> Iterator[tuple[str, Tensor]]:
    found = re.fullmatch(r"visual\.trunk\.blocks\.(\d+)\.(.+)\.(weight|bias)", key)
    block, part, kind = found.groups() if found else ("", "", "")
    ours = f"vision_model.encoder.layers.{block}"
    if part not in ("attn.qkv", *_VISUAL_BLOCK):
        raise CheckpointError(f"{where}: the weight {key} is of no part of SigLIP, so that it cannot be read here")
    yield from split_layer_weight(ours, _VISUAL_BLOCK.get(part), kind, tensor)


def _config(
    weights: Mapping[str, Tensor],
    name: str,
    vision: Mapping[str, Any],
    text: Mapping[str, Any],
    source: OpenedCheckpoint,
) -> dict[str, Any]:
    """config.json: sizes from the weights, and from open_clip's config what these do not tell."""
    embedding = weights["text_model.embeddings.token_embedding.weight"]
    patches = weights["vision_model.embeddings.patch_embedding.weight"]
    visual = "gelu" if _EXACT.fullmatch(name) else "gelu_pytorch_tanh"
    textual = "gelu_pytorch_tanh" if text.get("act_kwargs") else "gelu"
    return {
        "model_type": "siglip",
        "architectures": ["SiglipModel"],
        "vision_config": {
            **tower_config(weights, "vision_model", visual, source.name),
            "num_attention_heads": _HEADS.get(len(patches), max(1, len(patches) // 64)),
            "patch_size": patches.shape[-1],
            "image_size": native_side(vision, source.name),
            "layer_norm_eps": 1e-6,
        },
        "text_config": {
            **tower_config(weights, "text_model", textual, source.name),
            "num_attention_heads": text.get("heads") or 8,
            "vocab_size": len(embedding),
            "max_position_embeddings": len(weights["text_model.embeddings.position_embedding.weight"]),
            "projection_size": len(weights["text_model.head.weight"]),
            "layer_norm_eps": 1e-6 if text.get("norm_kwargs") else 1e-5,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": None,
        },
    }
