"""timm's, DINOv2's authors' and open_clip's files against the plain models of plain_vits.py, and against transformers'
models whose weights are renamed by the mapping that those libraries document.

Differences are measured as max |ours - reference| over the root mean square of the reference, in fp32.
"""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from saccade.checkpoints import load_checkpoint, save_checkpoint
from saccade.errors import CheckpointError
from saccade.models import Classifier, ClassifierConfig, Embedder, ViT, preset

from .plain_vits import (
    open_clip_forward,
    open_clip_shapes,
    quick_gelu,
    random_weights,
    timm_forward,
    timm_shapes,
)

SHAPE = {"width": 24, "depth": 2, "hidden": 29, "patch": 5, "side": 7}
SIZES = [(35, 35), (35, 55), (15, 20), (38, 51)]
HEADS = 3


def difference(ours, theirs) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.pow(2).mean().sqrt())


def timm_config(architecture="vit_tiny_patch5_35", pool="token", classes=0, **changes) -> dict:
    fields = {"input_size": [3, 35, 35], "interpolation": "bicubic", "crop_pct": 0.875, "mean": [0.1, 0.2, 0.3]}
    fields |= {"std": [0.4, 0.5, 0.6], "num_classes": classes, "tag": "in1k", **changes}
    return {
        "architecture": architecture,
        "num_classes": classes,
        "global_pool": pool,
        "pretrained_cfg": fields,
        "model_args": {"num_heads": HEADS},
    }


# name: what the file holds, what its config says, how the reference computes
TIMM = {
    "class token": ({"classes": 11}, {"classes": 11}, {}),
    "encoder": ({}, {}, {}),
    "registers, every token has a position": ({"registers": 4, "placed": 5, "classes": 11}, {}, {}),
    "registers, only patches have one": ({"registers": 4, "placed": 0, "classes": 11}, {}, {}),
    "pooled, norm after": ({"fc_norm": True, "classes": 11}, {"pool": "avg"}, {"pool": "avg"}),
    "pooled, norm before": ({"classes": 11}, {"pool": "avg"}, {"pool": "avg"}),
    "pooled registers without class token": (
        {"cls": False, "registers": 4, "placed": 0, "fc_norm": True, "classes": 11, "scale": True},
        {"pool": "avg"},
        {"pool": "avg"},
    ),
    "pooled without class token or biases": (
        {"cls": False, "placed": 0, "classes": 11, "qkv_bias": False},
        {"pool": "avg"},
        {"pool": "avg"},
    ),
    "layer scale (deit 3)": ({"scale": True, "placed": 0, "classes": 11}, {}, {}),
    "distilled (deit)": ({"distilled": True, "placed": 2, "classes": 11}, {}, {}),
    "dinov2": ({"scale": True}, {"architecture": "vit_base_patch14_dinov2"}, {}),
    "dinov2 registers": ({"scale": True, "registers": 4, "placed": 0}, {}, {}),
    "dinov2 giant's mlp": ({"scale": True, "swiglu": True}, {}, {}),
    "clip": ({"clip": True, "classes": 11}, {}, {"eps": 1e-5}),
    "clip, quick gelu": (
        {"clip": True, "classes": 11},
        {"architecture": "vit_base_patch32_clip_quickgelu_224"},
        {"eps": 1e-5, "act": quick_gelu},
    ),
    "siglip pooled, tanh gelu": (
        {"cls": False, "placed": 0},
        {"architecture": "vit_so400m_patch16_siglip_gap_256", "pool": "avg"},
        {"act": lambda x: F.gelu(x, approximate="tanh")},
    ),
}


@pytest.fixture(params=TIMM)
def timm_case(request, tmp_path):
    shapes, config, how = TIMM[request.param]
    weights = random_weights(timm_shapes(**SHAPE, **shapes))
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(timm_config(**config)))
    return weights, how, tmp_path


@torch.no_grad()
def check(loaded, forward, weights, **how):
    assert ("head.weight" in weights or "proj" in weights) == (loaded.model is not loaded.vit)
    for size in SIZES:
        picture = torch.randn(2, 3, *size)
        tokens, head = forward(weights, picture, **how)
        assert difference(loaded.vit(picture), tokens) <= 1e-5, size
        assert head is None or difference(loaded.model(picture), head) <= 1e-5, size


def test_timm(timm_case):
    weights, how, folder = timm_case
    loaded = load_checkpoint(folder)
    check(loaded, timm_forward, weights, heads=HEADS, **how)
    assert loaded.preprocess.size == (35, 35)
    assert loaded.preprocess.shortest == 40
    assert loaded.preprocess.mean == (0.1, 0.2, 0.3)


def test_timm_round_trip(timm_case, tmp_path):
    """Written by us, the plain reference computes the same from the file, and we load the same model."""
    weights, how, folder = timm_case
    loaded = load_checkpoint(folder)
    save_checkpoint(loaded.model, tmp_path / "ours", "timm", loaded.labels, loaded.preprocess)
    back = load_file(tmp_path / "ours" / "model.safetensors")
    assert {name for name in weights if "qkv.bias" not in name} <= back.keys()
    picture = torch.randn(2, 3, 35, 55)
    for theirs, ours in zip(*(timm_forward(w, picture, heads=HEADS, **how) for w in (weights, back)), strict=True):
        assert theirs is None or difference(ours, theirs) <= 1e-5
    again = load_checkpoint(tmp_path / "ours")
    assert again.model.config == loaded.model.config
    assert again.preprocess == loaded.preprocess


@pytest.mark.parametrize(
    ("shapes", "lacks", "said"),
    [
        ({"clip": True}, "norm.", "vit_pe_"),
        ({"cls": False, "placed": 0, "classes": 11, "qkv_bias": False, "fc_norm": True}, "-", "vit_..._rpn_"),
        ({"classes": 11}, "-", ""),
        ({"clip": True, "classes": 11}, "-", ""),
    ],
)
def test_a_timm_file_without_a_config(shapes, lacks, said, tmp_path):
    """What a file cannot tell apart is refused; what only unusual models share with a plain one is noted."""
    weights = random_weights(timm_shapes(**{**SHAPE, "width": 192}, **shapes))
    path = tmp_path / "weights.safetensors"
    save_file({name: t for name, t in weights.items() if not name.startswith(lacks)}, path)
    if said:
        with pytest.raises(CheckpointError, match=f"fit a plain vision transformer and .*{said}"):
            load_checkpoint(path)
    else:
        assert any("no config names the architecture" in note for note in load_checkpoint(path).notes)


ORIGINAL = {
    "plain": ({}, {"antialias": False, "offset": 0.1}),
    "registers": ({"registers": 4}, {"antialias": True}),
    "giant's mlp": ({"swiglu": True, "registers": 4}, {"antialias": True}),
}


@pytest.mark.parametrize("kind", ORIGINAL)
def test_original_dinov2(kind, tmp_path):
    """A bare file, as the authors' are: no config, so the heads follow from the width."""
    shapes, how = ORIGINAL[kind]
    weights = random_weights(timm_shapes(**{**SHAPE, "width": 192}, scale=True, original=True, **shapes))
    path = tmp_path / "dinov2.safetensors"
    save_file(weights, path)
    loaded = load_checkpoint(path)
    assert loaded.family == "dinov2"
    check(loaded, timm_forward, weights, heads=3, **how)
    save_checkpoint(loaded.model, tmp_path / "ours", "dinov2")
    back = load_file(tmp_path / "ours" / "model.safetensors")
    assert back.keys() == weights.keys()
    picture = torch.randn(2, 3, 15, 20)
    reference, ours = (timm_forward(w, picture, heads=3, **how)[0] for w in (weights, back))
    assert difference(ours, reference) <= 1e-5
    assert load_checkpoint(tmp_path / "ours").model.config == loaded.model.config


TEXT = {"token_embedding.weight": (13, 8), "transformer.resblocks.0.ln_1.weight": (8,), "ln_final.weight": (8,),
        "text_projection": (8, 19), "positional_embedding": (5, 8), "logit_scale": ()}  # fmt: skip


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("text", ["beside", "under text.", "none"])
def test_open_clip(quick, text, tmp_path):
    tower = random_weights(open_clip_shapes(**SHAPE, out=19))
    words = {"beside": TEXT, "under text.": {f"text.{name}": shape for name, shape in TEXT.items()}, "none": {}}[text]
    file = {f"visual.{name}": tensor for name, tensor in tower.items()} | random_weights(words)
    save_file(file, tmp_path / "open_clip_model.safetensors")
    vision = {"image_size": 35, "layers": 2, "width": 24, "head_width": 8, "patch_size": 5}
    prepared = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": {"embed_dim": 19, "vision_cfg": vision, "quick_gelu": quick}, "preprocess_cfg": prepared}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    act = quick_gelu if quick else F.gelu
    loaded = load_checkpoint(tmp_path)
    check(loaded, open_clip_forward, tower, heads=3, act=act)
    assert loaded.preprocess.mean == (0.1, 0.2, 0.3)
    save_checkpoint(loaded.model, tmp_path / "ours", "open_clip", preprocess=loaded.preprocess)
    back = load_file(tmp_path / "ours" / "open_clip_model.safetensors")
    assert back.keys() == {f"visual.{name}" for name in tower}
    back = {name.removeprefix("visual."): tensor for name, tensor in back.items()}
    picture = torch.randn(1, 3, 35, 35)
    reference, ours = (open_clip_forward(w, picture, heads=3, act=act)[1] for w in (tower, back))
    assert difference(ours, reference) <= 1e-5
    again = load_checkpoint(tmp_path / "ours")
    assert again.model.config == loaded.model.config
    assert again.preprocess == loaded.preprocess


def test_open_clip_tower_alone(tmp_path):
    """A file of the image tower without the prefix and without config: GELU is assumed, with a note."""
    tower = random_weights(open_clip_shapes(**{**SHAPE, "width": 64}, out=19))
    save_file(tower, tmp_path / "tower.safetensors")
    loaded = load_checkpoint(tmp_path / "tower.safetensors")
    check(loaded, open_clip_forward, tower, heads=1, act=F.gelu)
    assert any("QuickGELU" in note for note in loaded.notes)


def test_transformers_dinov2_renamed(tmp_path):
    """One model of transformers' in its own file, in the authors' names and in timm's: the same outputs."""
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, image_size=35, patch_size=5
    )
    reference = transformers.Dinov2WithRegistersModel(config).eval()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    reference.save_pretrained(tmp_path)
    theirs = load_file(tmp_path / "model.safetensors")
    swaps = {"patch_embeddings.projection": "patch_embed.proj", "embeddings.": "", "position_embeddings": "pos_embed",
             "encoder.layer.": "blocks.", "attention.output.dense": "attn.proj", "layer_scale1.lambda1": "ls1.gamma",
             "layer_scale2.lambda1": "ls2.gamma", "layernorm.": "norm."}  # fmt: skip
    authors = {}
    for name, tensor in theirs.items():
        for old, new in swaps.items():
            name = name.replace(old, new)
        authors[name] = tensor
    for i in range(2):
        for s in ("weight", "bias"):
            parts = [authors.pop(f"blocks.{i}.attention.attention.{part}.{s}") for part in ("query", "key", "value")]
            authors[f"blocks.{i}.attn.qkv.{s}"] = torch.cat(parts)
    timm = {name: tensor for name, tensor in authors.items() if name not in ("mask_token", "register_tokens")}
    timm |= {
        "reg_token": authors["register_tokens"],
        "cls_token": authors["cls_token"] + authors["pos_embed"][:, :1],
        "pos_embed": authors["pos_embed"][:, 1:].contiguous(),
    }
    for family, weights in {"dinov2": authors, "timm": timm}.items():
        (tmp_path / family).mkdir()
        save_file(weights, tmp_path / family / "model.safetensors")
        loaded = load_checkpoint(tmp_path / family)
        assert loaded.family == family
        for size in SIZES:
            picture = torch.randn(2, 3, *size)
            with torch.no_grad():
                assert difference(loaded.model(picture), reference(picture).last_hidden_state) <= 1e-5


def test_architectures_of_timm_that_compute_otherwise(tmp_path):
    """Files with the same names of weights whose network is another are refused, not computed wrongly."""
    save_file(random_weights(timm_shapes(**SHAPE, classes=11)), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(timm_config("vit_base_patch16_rpn_224")))
    with pytest.raises(CheckpointError, match="normalises after"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "architecture",
    ["qwen3_vit_88m", "vit_pe_spatial_base_patch16_512", "vit_base_patch16_rope_ape_224", "naflexvit_base"],
)
def test_rotary_positions_of_timm_leave_no_weights(tmp_path, architecture):
    save_file(random_weights(timm_shapes(**SHAPE, classes=11)), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(timm_config(architecture)))
    with pytest.raises(CheckpointError, match=f"{architecture} is no plain vision transformer of timm"):
        load_checkpoint(tmp_path)


def test_clip_projection_as_timm_head(tmp_path):
    """timm keeps CLIP's projection as its head, with a bias of zeros: it is not a classifier's."""
    weights = random_weights(timm_shapes(**SHAPE, classes=11, clip=True))
    weights["head.bias"] = torch.zeros(11)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(timm_config("vit_base_patch32_clip_224", tag="laion2b")))
    loaded = load_checkpoint(tmp_path)
    assert isinstance(loaded.model, Embedder)
    check(loaded, timm_forward, weights, heads=HEADS, eps=1e-5)
    save_checkpoint(loaded.model, tmp_path / "ours", "timm", preprocess=loaded.preprocess)
    assert load_file(tmp_path / "ours" / "model.safetensors").keys() == weights.keys()
    assert load_checkpoint(tmp_path / "ours").model.config == loaded.model.config
    (tmp_path / "config.json").write_text(json.dumps(timm_config("vit_base_patch32_clip_224", tag="laion2b_ft_in1k")))
    assert isinstance(load_checkpoint(tmp_path).model, Classifier)


def test_a_model_that_a_family_cannot_hold(tmp_path):
    with pytest.raises(CheckpointError, match="no place for"):
        save_checkpoint(ViT(preset("tiny")), tmp_path / "a", "vit")
    classic = Classifier(ClassifierConfig(vit=preset("vit-s/16", depth=1), classes=3))
    with pytest.raises(CheckpointError, match="antialias True would come back as False"):
        save_checkpoint(classic, tmp_path / "a", "vit")
    with pytest.raises(CheckpointError, match="no family"):
        save_checkpoint(classic, tmp_path / "a", "bert")
    assert not (tmp_path / "a").exists()
    save_checkpoint(classic, tmp_path / "a", "timm", labels=["a", "b", "c"])
    assert load_checkpoint(tmp_path / "a").labels == ["a", "b", "c"]
