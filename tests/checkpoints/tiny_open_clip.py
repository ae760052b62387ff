"""open_clip's CLIP, tiny and with random weights, in a folder as open_clip writes it."""

import json

import torch
from safetensors.torch import save_file

from . import tiny_matchers
from .tiny_matchers import PATCH, PIECES, SIDE

CONTEXT, PROJECTION, WIDTHS, LAYERS = 13, 11, {"visual.": 128, "": 64}, 3
MODEL = {
    "embed_dim": PROJECTION,
    "vision_cfg": {"image_size": SIDE, "layers": LAYERS, "width": 128, "patch_size": PATCH, "mlp_ratio": 2.0},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": len(PIECES), "width": 64, "heads": 4, "layers": LAYERS},
}
PREPROCESS = {"mean": [0.5] * 3, "std": [0.4] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


def shapes():
    """Of all weights, by name."""
    yield "logit_scale", ()
    yield "visual.class_embedding", (128,)
    yield "visual.positional_embedding", ((SIDE // PATCH) ** 2 + 1, 128)
    yield "visual.proj", (128, PROJECTION)
    yield "visual.conv1.weight", (128, 3, PATCH, PATCH)
    yield "positional_embedding", (CONTEXT, 64)
    yield "text_projection", (64, PROJECTION)
    yield "token_embedding.weight", (len(PIECES), 64)
    norms = ["visual.ln_pre", "visual.ln_post", "ln_final"]
    for prefix, width in WIDTHS.items():
        hidden = {128: 256, 64: 256}[width]
        for i in range(LAYERS):
            block = f"{prefix}transformer.resblocks.{i}."
            norms += [f"{block}ln_1", f"{block}ln_2"]
            yield f"{block}attn.in_proj_weight", (3 * width, width)
            yield f"{block}attn.in_proj_bias", (3 * width,)
            yield from _linear(f"{block}attn.out_proj", width, width)
            yield from _linear(f"{block}mlp.c_fc", hidden, width)
            yield from _linear(f"{block}mlp.c_proj", width, hidden)
    for norm in norms:
        width = 128 if norm.startswith("visual") else 64
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)


def _linear(name, out, into):
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def weights(nested=False):
    """nested: the layout of CustomTextCLIP, in which the text tower has a prefix."""
    made = {}
    for i, (name, shape) in enumerate(shapes()):
        random = torch.Generator().manual_seed(i)
        outer = name.startswith(("visual", "logit"))
        made[f"text.{name}" if nested and not outer else name] = torch.randn(shape, generator=random) * 0.2
    return made


def save(folder, nested=False, tokenizer=True, quick=False, **changes):
    """changes: of the config of either tower, such as vision_cfg={"pool_type": "avg"}."""
    folder.mkdir(exist_ok=True)
    save_file(weights(nested), folder / "open_clip_model.safetensors")
    towers = {name: {**MODEL[name], **changes.get(name, {})} for name in ("vision_cfg", "text_cfg")}
    config = {"model_cfg": {**MODEL, **towers, "quick_gelu": quick}, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    if tokenizer:
        tiny_matchers.tokenizer().save(str(folder / "tokenizer.json"))
    return folder
