"""open_clip's checkpoints of text and pictures, as transformers would have written them.

The networks are the same, so that one implementation serves both: weights are renamed, and the config is rewritten.
Files: open_clip_config.json, open_clip_model.safetensors and tokenizer.json. Without the last one, the vocabulary that
comes with the package open_clip is read where it is installed.

Few texts are cut otherwise than by open_clip's own tokenizer, which first repairs them: HTML entities (&amp;),
ligatures, curly apostrophes, full-width digits.
"""

import gzip
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from saccade.checkpoints.clip import read_preprocess_cfg
from saccade.checkpoints.family import height_width
from saccade.checkpoints.files import OpenedCheckpoint
from saccade.data.preprocess import Preprocess
from saccade.errors import CheckpointError

CONFIG = "open_clip_config.json"
_VOCABULARY, _MERGES = "bpe_simple_vocab_16e6.txt.gz", 48894  # of those in the file, the ones in use
# What the networks of transformers do; a tower that is configured otherwise is another network.
_VISION = {"attentional_pool": False, "no_ln_pre": False, "pos_embed_type": "learnable", "pool_type": "tok",
           "final_ln_after_pool": False, "timm_model_name": None}  # fmt: skip
_TEXT = {"embed_cls": False, "no_causal_mask": False, "pool_type": "argmax", "final_ln_after_pool": False,
         "proj_type": "linear", "hf_model_name": None}  # fmt: skip
_BOTH = {"ls_init_value": None, "act_kwargs": None, "norm_kwargs": None, "scaled_cosine_attn": False}

_TOWER = {
    "ln_1": "layer_norm1",
    "attn.out_proj": "self_attn.out_proj",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_NAMES = {
    "logit_scale": "logit_scale",
    "logit_bias": "logit_bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # as it is spelt
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
}
_TRANSPOSED = ("visual.proj", "text_projection")
_BUFFERS = ("attn_mask", "input_resolution", "context_length", "vocab_size")  # OpenAI's files hold them too


def is_open_clip(source: OpenedCheckpoint) -> bool:
    """Whether the weights are open_clip's of both towers; the text tower's names begin with text. or with nothing."""
    return "visual.conv1.weight" in source.weights and not {
        "token_embedding.weight", "text.token_embedding.weight"
    }.isdisjoint(source.weights)  # fmt: skip


def as_transformers(source: OpenedCheckpoint) -> OpenedCheckpoint:
    """The same checkpoint with transformers' config and names. Raises CheckpointError, in one line, for towers that are
    not CLIP's."""
    config = model_config(source)
    vision, text = (config.get(key) or {} for key in ("vision_cfg", "text_cfg"))
    check_tower(vision, _VISION | _BOTH, "vision_cfg", source.name)
    check_tower(text, _TEXT | _BOTH, "text_cfg", source.name)
    weights = dict(_renamed(source))
    activation = "quick_gelu" if config.get("quick_gelu") else "gelu"
    return replace(source, weights=weights, configs={"config.json": _config(weights, vision, text, activation, source)})


def model_config(source: OpenedCheckpoint) -> Mapping[str, Any]:
    """What open_clip's config says of the model. Raises CheckpointError without it."""
    config = source.config(CONFIG).get("model_cfg")
    if not isinstance(config, Mapping):
        raise CheckpointError(
            f"{source.name}: no {CONFIG} with a model_cfg, which says how many heads and which activation it has"
        )
    return config


def open_clip_preprocess(source: OpenedCheckpoint, notes: list[str]) -> Preprocess:
    """As `preprocess_cfg` says. Appends to `notes`."""
    config = source.config(CONFIG)
    native = height_width(config["model_cfg"]["vision_cfg"].get("image_size")) or (224, 224)
    return read_preprocess_cfg(config.get("preprocess_cfg") or {}, native, notes)


def clip_tokenizer(source: OpenedCheckpoint) -> Any:
    """CLIP's tokenizer with the vocabulary that the installed open_clip brings. Raises CheckpointError without it, and
    for a model whose tokenizer is another."""
    named = (source.config(CONFIG)["model_cfg"].get("text_cfg") or {}).get("hf_tokenizer_name")
    other = f" of {named}" if isinstance(named, str) else ""
    found = None if other else importlib.util.find_spec("open_clip")
    path = None if found is None or found.origin is None else Path(found.origin).parent / _VOCABULARY
    if path is None or not path.is_file():
        install = "" if other else "pip install open_clip_torch brings it; or "
        raise CheckpointError(
            f"{source.name}: no tokenizer.json{other}, which says how text is cut into tokens: {install}copy that"
            f"{other or ' of openai/clip-vit-base-patch32'} on the hub into the folder"
        )
    from transformers import CLIPTokenizer

    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    alphabet = _byte_letters()
    ends = [letter + "</w>" for letter in alphabet]
    merges: Any = [tuple(line.split()) for line in lines[1 : 1 + _MERGES]]  # after a line on the version
    tokens = [*alphabet, *ends, *map("".join, merges), "<|startoftext|>", "<|endoftext|>"]
    made = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
    return made.backend_tokenizer


def _byte_letters() -> list[str]:
    """The letter that stands for each byte, in the order of CLIP's vocabulary: printable ones for themselves, then the
    others from letter 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [*map(chr, printable), *(chr(256 + i) for i in range(256 - len(printable)))]


def check_tower(config: Mapping[str, Any], usual: Mapping[str, Any], what: str, where: str) -> None:
    """Raises CheckpointError for a tower whose config differs from `usual`. what: its name in the config."""
    for name, value in usual.items():
        if config.get(name, value) != value:
            raise CheckpointError(
                f"{where}: {CONFIG}: {what} has {name} {config[name]!r}, which is not supported; {value!r} is"
            )


def _renamed(source: OpenedCheckpoint) -> Iterator[tuple[str, Tensor]]:
    for key in source.weights:
        name = key.removeprefix("text.")
        if name in _BUFFERS:
            continue
        tensor = source.weights[key]
        if name in _NAMES:
            yield _NAMES[name], tensor.T.contiguous() if name in _TRANSPOSED else tensor
        else:
            yield from rename_layer_weight(name, tensor, source.name)


def rename_layer_weight(name: str, tensor: Tensor, where: str) -> Iterator[tuple[str, Tensor]]:
    """One weight of a layer of open_clip's own transformer under transformers' names."""
    found = re.fullmatch(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)", name)
    tower, layer, part, kind = found.groups() if found else (None, "", "", "")
    ours = f"{'vision' if tower else 'text'}_model.encoder.layers.{layer}"
    if part not in ("attn.in_proj", *_TOWER):
        raise CheckpointError(f"{where}: the weight {name} is of no part of CLIP, so that it cannot be read here")
    yield from split_layer_weight(ours, _TOWER.get(part), kind, tensor)


def split_layer_weight(layer: str, part: str | None, kind: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A weight of a layer under transformers' names. part: its name there; None for queries, keys and values in one,
    which transformers keeps apart. kind: "weight" or "bias"."""
    if part is not None:
        yield f"{layer}.{part}.{kind}", tensor
        return
    for each, third in zip("qkv", tensor.chunk(3), strict=True):
        yield f"{layer}.self_attn.{each}_proj.{kind}", third


def _config(
    weights: Mapping[str, Tensor],
    vision: Mapping[str, Any],
    text: Mapping[str, Any],
    activation: str,
    source: OpenedCheckpoint,
) -> dict[str, Any]:
    """config.json: sizes from the weights, and from open_clip's config what these do not tell."""
    embedding = weights["text_model.embeddings.token_embedding.weight"]
    places = weights["text_model.embeddings.position_embedding.weight"]
    patches = weights["vision_model.embeddings.patch_embedding.weight"]
    end = len(embedding) - 1  # open_clip reads a text off at its highest token, which is the mark of its end
    return {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "projection_dim": len(weights["visual_projection.weight"]),
        "vision_config": {
            **tower_config(weights, "vision_model", activation, source.name),
            "num_attention_heads": len(patches) // (vision.get("head_width") or 64),
            "patch_size": patches.shape[-1],
            "image_size": native_side(vision, source.name),
        },
        "text_config": {
            **tower_config(weights, "text_model", activation, source.name),
            "num_attention_heads": text.get("heads") or 8,
            "vocab_size": len(embedding),
            "max_position_embeddings": len(places),
            "bos_token_id": end - 1,
            "eos_token_id": end,
            "pad_token_id": end,
        },
    }


def native_side(vision: Mapping[str, Any], where: str) -> int:
    """Side of the pictures in pixels. Raises CheckpointError if they are not square."""
    height, width = height_width(vision.get("image_size")) or (224, 224)
    if height != width:
        raise CheckpointError(f"{where}: pictures of {height} x {width} pixels are not supported; squares are")
    return height


def tower_config(weights: Mapping[str, Tensor], tower: str, activation: str, where: str) -> dict[str, Any]:
    """What transformers' config says of a tower, from its weights. tower: vision_model or text_model."""
    layers = {key.split(".")[3] for key in weights if key.startswith(f"{tower}.encoder.layers.")}
    first = weights.get(f"{tower}.encoder.layers.0.mlp.fc1.weight")
    if first is None:
        raise CheckpointError(f"{where}: the weights of the layers of its {tower} are missing")
    return {
        "num_hidden_layers": len(layers),
        "hidden_size": first.shape[1],
        "intermediate_size": first.shape[0],
        "hidden_act": activation,
        "layer_norm_eps": 1e-5,
    }
