"""open_clip's SigLIP, tiny and with random weights, in a folder as open_clip writes it."""

import json

import torch
from safetensors.torch import save_file

from . import tiny_matchers
from .tiny_matchers import PATCH, PIECES, SIDE

CONTEXT, LAYERS, WIDTH, HIDDEN = 13, 3, 128, 256
NAME, APPROXIMATE = "vit_base_patch16_siglip_224", "vit_base_patch32_siglip_256"
MODEL = {
    "embed_dim": WIDTH,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {"image_size": SIDE, "timm_model_name": NAME, "timm_pool": "map", "timm_proj": "none"},
    "text_cfg": {
        "context_length": CONTEXT, "vocab_size": len(PIECES), "width": WIDTH, "heads": 4, "layers": LAYERS,
        "mlp_ratio": 2.0, "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6},
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP", "tokenizer_kwargs": {"clean": "canonicalize"},
    },
}  # fmt: skip
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}


def shapes():
    """Of all weights, by name."""
    trunk, pool, text = "visual.trunk.", "visual.trunk.attn_pool.", "text."
    yield "logit_scale", ()
    yield "logit_bias", ()
    yield f"{trunk}pos_embed", (1, (SIDE // PATCH) ** 2, WIDTH)
    yield f"{trunk}patch_embed.proj.weight", (WIDTH, 3, PATCH, PATCH)
    yield f"{trunk}patch_embed.proj.bias", (WIDTH,)
    yield f"{pool}latent", (1, 1, WIDTH)
    yield f"{text}token_embedding.weight", (len(PIECES), WIDTH)
    yield f"{text}positional_embedding", (CONTEXT, WIDTH)
    linear = {f"{pool}q": (WIDTH, WIDTH), f"{pool}kv": (2 * WIDTH, WIDTH), f"{pool}proj": (WIDTH, WIDTH)}
    linear |= {f"{pool}mlp.fc1": (HIDDEN, WIDTH), f"{pool}mlp.fc2": (WIDTH, HIDDEN)}
    linear[f"{text}text_projection"] = (WIDTH, WIDTH)
    norms = [f"{trunk}norm", f"{pool}norm", f"{text}ln_final"]
    for i in range(LAYERS):
        visual, textual = f"{trunk}blocks.{i}.", f"{text}transformer.resblocks.{i}."
        norms += [f"{visual}norm1", f"{visual}norm2", f"{textual}ln_1", f"{textual}ln_2"]
        linear |= {f"{visual}attn.qkv": (3 * WIDTH, WIDTH), f"{visual}attn.proj": (WIDTH, WIDTH)}
        linear |= {f"{visual}mlp.fc1": (HIDDEN, WIDTH), f"{visual}mlp.fc2": (WIDTH, HIDDEN)}
        linear |= {f"{textual}attn.out_proj": (WIDTH, WIDTH)}
        linear |= {f"{textual}mlp.c_fc": (HIDDEN, WIDTH), f"{textual}mlp.c_proj": (WIDTH, HIDDEN)}
        yield f"{textual}attn.in_proj_weight", (3 * WIDTH, WIDTH)
        yield f"{textual}attn.in_proj_bias", (3 * WIDTH,)
    for name, (out, into) in linear.items():
        yield f"{name}.weight", (out, into)
        yield f"{name}.bias", (out,)
    for name in norms:
        yield f"{name}.weight", (WIDTH,)
        yield f"{name}.bias", (WIDTH,)


def weights():
    return {
        name: torch.randn(shape, generator=torch.Generator().manual_seed(i)) * 0.1
        for i, (name, shape) in enumerate(shapes())
    }


def save(folder, settings=True, **changes):
    """changes: of the config of either tower, such as vision_cfg={"timm_pool": "avg"}."""
    folder.mkdir(exist_ok=True)
    save_file(weights(), folder / "open_clip_model.safetensors")
    towers = {name: {**MODEL[name], **changes.get(name, {})} for name in ("vision_cfg", "text_cfg")}
    config = {"model_cfg": {**MODEL, **towers}, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    tiny_matchers.tokenizer().save(str(folder / "tokenizer.json"))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}))
    return folder
