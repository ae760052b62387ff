"""What a person may point at by mistake: each is one line that says what was found and what was expected."""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from saccade.checkpoints import load_checkpoint, save_checkpoint
from saccade.errors import CheckpointError

from .plain_vits import open_clip_shapes, random_weights, timm_shapes

SHAPE = {"width": 64, "depth": 2, "hidden": 29, "patch": 5, "side": 7}


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(random_weights(timm_shapes(**SHAPE, classes=11)), path)
    return path


def refused(spec, *expected):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(spec)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    for part in expected:
        assert part in message
    return message


@pytest.mark.parametrize("name", ["model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_pickles_are_refused_unopened(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"\x80\x04")
    refused(path, name, "pickle", "safetensors.torch.save_file")
    refused(tmp_path, name, "pickle", "safetensors.torch.save_file")


@pytest.mark.parametrize("size", [0, 5, 200, -100])
def test_truncated(size, model_file):
    whole = model_file.read_bytes()
    model_file.write_bytes(whole[:size])
    refused(model_file, str(model_file), "not a complete safetensors file", "fetch it again")


def test_not_safetensors_at_all(model_file):
    model_file.write_bytes(b"<html>not found</html>" * 20)
    refused(model_file, "not a complete safetensors file")


def test_lfs_pointer(model_file):
    model_file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    refused(model_file, "Git LFS pointer", "git lfs pull")


def test_nothing_there(tmp_path):
    refused(tmp_path / "no such model", "no such file or folder", "hf:owner/name")
    refused(tmp_path, "no weights in this folder", "model.safetensors")
    (tmp_path / "photo.jpg").write_bytes(b"")
    refused(tmp_path / "photo.jpg", "expected a .safetensors file, found .jpg")


def test_several_weight_files(tmp_path):
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"x": torch.zeros(1)}, tmp_path / name)
    refused(tmp_path, "several weight files", "a.safetensors, b.safetensors")


def test_special_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    refused(tmp_path / "pipe.safetensors", "not a regular file")


@pytest.mark.parametrize(
    ("spec", "message"),
    [("", "is empty"), (" ", "is empty"), ("~nosuchuser/x", "no such user"), ("x" * 300, "cannot be opened")],
)
def test_names_of_nothing(spec, message):
    refused(spec, message)


def test_blocks_are_counted_from_the_first_without_gaps(tmp_path):
    weights = random_weights(timm_shapes(**SHAPE, classes=11))
    for number in ("999999999", "9" * 5000, "3", "02"):
        save_file({**weights, f"blocks.{number}.mlp.fc2.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
        refused(tmp_path, "3 blocks", "blocks.2.mlp.fc2.weight")


def test_text_model(tmp_path):
    weights = {f"bert.encoder.layer.0.attention.self.{name}.weight": torch.zeros(4, 4) for name in ("query", "key")}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refused(tmp_path, "config says bert", "found weights like bert.encoder", "expected one of")


def test_empty_file(tmp_path):
    save_file({}, tmp_path / "model.safetensors")
    refused(tmp_path, "found weights like nothing")


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\xff\xfe", "3", "[" * 100_000])
def test_broken_config(content, model_file):
    (model_file.parent / "config.json").write_text(content, encoding="latin-1")
    refused(model_file.parent, "config.json")


@pytest.mark.parametrize(
    "config",
    [
        {"model_args": {"num_heads": 7}},
        {"model_args": {"num_heads": 0}},
        {"model_args": {"depth": 5}},
        {"model_args": [1]},
        {"pretrained_cfg": {"mean": "grey"}},
        {"pretrained_cfg": {"crop_pct": 0}},
        {"pretrained_cfg": "none"},
    ],
)
def test_config_that_does_not_fit(config, model_file):
    (model_file.parent / "config.json").write_text(json.dumps({"architecture": "vit", **config}))
    refused(model_file.parent)


def test_heads_that_cannot_be_known(tmp_path):
    save_file(random_weights(timm_shapes(**{**SHAPE, "width": 24})), tmp_path / "model.safetensors")
    refused(tmp_path, "number of heads", "config.json")


def test_an_index_that_leads_out(tmp_path):
    for file in ("../other.safetensors", "/etc/other.safetensors"):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": file}}))
        refused(tmp_path, "outside the folder")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {}}))
    refused(tmp_path, "weight_map")


def test_a_weight_of_another_shape(model_file):
    weights = random_weights(timm_shapes(**SHAPE, classes=11))
    save_file({**weights, "blocks.1.attn.proj.weight": torch.zeros(64, 63)}, model_file)
    refused(model_file, "blocks.1.attn.proj.weight", "(64, 63)", "(64, 64)")
    save_file({**weights, "patch_embed.proj.weight": torch.zeros(64, 3, 5, 6)}, model_file)
    refused(model_file, "5 x 6 pixels")
    save_file({**weights, "pos_embed": torch.zeros(1, 46, 64)}, model_file)
    refused(model_file, "46 positions")


def test_an_image_tower_that_pools_otherwise(tmp_path):
    tower = random_weights(open_clip_shapes(**SHAPE, out=19))
    save_file({f"visual.{name}": tensor for name, tensor in tower.items()}, tmp_path / "open_clip_model.safetensors")
    config = {"model_cfg": {"vision_cfg": {"pool_type": "avg"}}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    refused(tmp_path, "pool_type 'avg'")


def test_saving_over_a_file(model_file):
    model = load_checkpoint(model_file).model
    with pytest.raises(CheckpointError, match="is a file"):
        save_checkpoint(model, model_file, "timm")
