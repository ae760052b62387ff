"""Parity with transformers: random models of every family, every parameter perturbed, saved there, loaded here.

Differences are measured as max |ours - theirs| over the root mean square of theirs, in fp32.
"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from saccade.checkpoints import load_checkpoint, save_checkpoint
from saccade.errors import CheckpointError

transformers = pytest.importorskip("transformers")

SHAPE = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 35, "patch_size": 5}
PLAIN = {**SHAPE, "intermediate_size": 53}
TEXT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 11, "vocab_size": 13,
        "bos_token_id": 0, "eos_token_id": 1}  # fmt: skip
# native, non-square and larger, smaller, and sizes that do not divide into patches
SIZES = [(35, 35), (35, 55), (15, 20), (38, 51)]


def _labels(count: int) -> dict:
    return {"id2label": {i: f"thing {i}" for i in range(count)}, "label2id": {f"thing {i}": i for i in range(count)}}


def _vit(model="ViTForImageClassification", **changes):
    return getattr(transformers, model)(transformers.ViTConfig(**{**PLAIN, **_labels(11), **changes}))


def _deit(model):
    return getattr(transformers, model)(transformers.DeiTConfig(**PLAIN, **_labels(11)))


def _dino(model="Dinov2Model", **changes):
    return getattr(transformers, model)(transformers.Dinov2Config(**SHAPE, **_labels(11), **changes))


def _registers(model="Dinov2WithRegistersModel", **changes):
    config = transformers.Dinov2WithRegistersConfig(**SHAPE, **_labels(11), num_register_tokens=5, **changes)
    return getattr(transformers, model)(config)


def _tower(model="CLIPVisionModel", **changes):
    return getattr(transformers, model)(transformers.CLIPVisionConfig(**PLAIN, projection_dim=19, **changes))


def _clip(model="CLIPModel"):
    config = transformers.CLIPConfig(vision_config=PLAIN, text_config=TEXT, projection_dim=19, **_labels(11))
    return getattr(transformers, model)(config)


MODELS = {
    "vit classifier": lambda: _vit(),
    "vit encoder with pooler": lambda: _vit("ViTModel"),
    "vit without query biases": lambda: _vit(qkv_bias=False),
    "vit, other activation and eps": lambda: _vit(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-3),
    "vit for grey pictures": lambda: _vit(num_channels=1),
    "deit, two heads": lambda: _deit("DeiTForImageClassificationWithTeacher"),
    "deit, one head": lambda: _deit("DeiTForImageClassification"),
    "deit encoder": lambda: _deit("DeiTModel"),
    "dinov2": lambda: _dino(),
    "dinov2 without mask token": lambda: _dino(use_mask_token=False),
    "dinov2 giant's mlp": lambda: _dino(use_swiglu_ffn=True),
    "dinov2 classifier": lambda: _dino("Dinov2ForImageClassification"),
    "dinov2 registers": lambda: _registers(),
    "dinov2 registers, giant's mlp": lambda: _registers(use_swiglu_ffn=True),
    "dinov2 registers classifier": lambda: _registers("Dinov2WithRegistersForImageClassification"),
    "clip tower": lambda: _tower(),
    "clip tower, gelu": lambda: _tower(hidden_act="gelu"),
    "clip tower with projection": lambda: _tower("CLIPVisionModelWithProjection"),
    "clip whole": lambda: _clip(),
    "clip classifier": lambda: _clip("CLIPForImageClassification"),
}


def perturbed(model):
    """Every parameter moved, so that nothing left at its first value (layer scale, biases, norms) can hide."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.eval()


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.pow(2).mean().sqrt())


@torch.no_grad()
def tokens_and_head(reference, picture):
    """Their tokens after the last norm, and what their head says of them (None without a head)."""
    kind = type(reference).__name__
    flexible = {} if "Dinov2" in kind else {"interpolate_pos_encoding": True}
    if kind == "CLIPModel":
        tower = reference.vision_model
        head = reference.visual_projection(tower(picture, **flexible).pooler_output)
    elif kind == "CLIPVisionModelWithProjection":
        tower, head = reference.vision_model, reference(picture, **flexible).image_embeds
    elif kind == "CLIPVisionModel":
        tower, head = reference, None
    elif "Classification" in kind:
        tower = reference.vision_model if "CLIP" in kind else getattr(reference, reference.base_model_prefix)
        head = reference(picture, **flexible).logits
    else:
        tower, head = reference, None
    tokens = tower(picture, **flexible).last_hidden_state
    if "CLIP" in kind and "Classification" not in kind:
        tokens = tower.post_layernorm(tokens)  # transformers normalises the class token only
    return tokens, head


@pytest.fixture(params=MODELS)
def saved(request, tmp_path):
    reference = perturbed(MODELS[request.param]())
    reference.save_pretrained(tmp_path / "theirs")
    return reference, tmp_path


def _channels(reference) -> int:
    return getattr(reference.config, "num_channels", 3)


@torch.no_grad()
def test_same_outputs(saved):
    reference, folder = saved
    loaded = load_checkpoint(folder / "theirs")
    assert not loaded.model.training
    for size in SIZES:
        picture = torch.randn(2, _channels(reference), *size)
        tokens, head = tokens_and_head(reference, picture)
        assert difference(loaded.vit(picture), tokens) <= 1e-5, size
        assert (head is None) == (loaded.model is loaded.vit)
        assert head is None or difference(loaded.model(picture), head) <= 1e-5, size


def test_round_trip(saved):
    """Written by us, read by transformers without a weight missing or left over, with the same outputs."""
    reference, folder = saved
    loaded = load_checkpoint(folder / "theirs")
    save_checkpoint(loaded.model, folder / "ours", loaded.family, loaded.labels, loaded.preprocess)
    kind = type(reference)
    if kind.__name__ == "CLIPModel":
        kind = transformers.CLIPVisionModelWithProjection  # the image tower alone comes back
    back, loading_info = kind.from_pretrained(folder / "ours", output_loading_info=True)
    expected = {"pooler.dense.weight", "pooler.dense.bias"} if hasattr(back, "pooler") else set()
    assert set(loading_info["missing_keys"]) == expected
    assert not loading_info["unexpected_keys"]
    assert not loading_info["mismatched_keys"]
    picture = torch.randn(2, _channels(reference), 35, 35)
    for theirs, ours in zip(tokens_and_head(reference, picture), tokens_and_head(back, picture), strict=True):
        if theirs is not None:
            assert difference(ours, theirs) <= 1e-5
    again = load_checkpoint(folder / "ours")
    assert again.model.config == loaded.model.config
    assert again.labels == loaded.labels
    assert again.preprocess == loaded.preprocess


@torch.no_grad()
def test_bf16(saved):
    """In bf16 ours is as far from the fp32 outputs as transformers' own bf16, give or take a half."""
    reference, folder = saved
    picture = torch.randn(2, _channels(reference), 35, 55)
    exact, _ = tokens_and_head(reference, picture)
    theirs, _ = tokens_and_head(reference.to(torch.bfloat16), picture.bfloat16())
    ours = load_checkpoint(folder / "theirs").vit.to(torch.bfloat16)(picture.bfloat16())

    def error(tokens):
        return float((tokens.float() - exact).pow(2).mean().sqrt())

    assert error(ours) <= 1.5 * error(theirs)


@pytest.mark.parametrize(
    "kind", ["vit classifier", "deit, two heads", "dinov2 registers, giant's mlp", "dinov2 classifier", "clip whole"]
)
def test_every_weight_counts(kind, tmp_path):
    """A weight too many is refused, and one too few, unless it is among the few that the family does not read."""
    MODELS[kind]().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = load_file(path)
    save_file({**whole, "stowaway.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="stowaway"):
        load_checkpoint(tmp_path)
    may_go = ("mask_token", "text_", "logit_scale", "visual_projection", ".0.")  # .0.: as in block 1
    for key in whole:
        if not any(part in key for part in may_go):
            save_file({name: tensor for name, tensor in whole.items() if name != key}, path)
            with pytest.raises(CheckpointError):
                load_checkpoint(tmp_path)


def test_labels(tmp_path):
    perturbed(_vit()).save_pretrained(tmp_path)
    assert load_checkpoint(tmp_path).labels == [f"thing {i}" for i in range(11)]
    config = json.loads((tmp_path / "config.json").read_text())
    del config["id2label"]["3"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = load_checkpoint(tmp_path)
    assert loaded.labels is None
    assert any("10 classes" in note for note in loaded.notes)


def test_shards(tmp_path):
    """A checkpoint in several files is the same model."""
    reference = perturbed(_vit())
    reference.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    picture = torch.randn(1, 3, 35, 35)
    with torch.no_grad():
        assert difference(load_checkpoint(tmp_path).model(picture), reference(picture).logits) <= 1e-5
    next(iter(tmp_path.glob("*.safetensors"))).unlink()
    with pytest.raises(ValueError, match="is missing, one of the"):
        load_checkpoint(tmp_path)


def test_a_file_without_config(tmp_path):
    """Everything but the heads is read off the tensors; heads of 64, as usual."""
    reference = perturbed(_vit("ViTModel", hidden_size=192))
    reference.save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    picture = torch.randn(1, 3, 35, 35)
    with torch.no_grad():
        assert difference(loaded.model(picture), reference(picture).last_hidden_state) <= 1e-5
    assert any("3, as usual" in note for note in loaded.notes)
