"""Configs that claim what their weights cannot be, and configs that name other repositories."""

import json
import socket

import pytest
import torch
from safetensors.torch import save_file

import saccade
from saccade.checkpoints.files import check_config_sizes, open_checkpoint
from saccade.errors import CheckpointError

HUGE = 10**9
VIT = {
    "model_type": "vit", "image_size": 16, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 24,
}  # fmt: skip


def folder(root, config):
    save_file({"a": torch.zeros(2, 3)}, root / "model.safetensors")
    (root / "config.json").write_text(json.dumps(config))
    return root


@pytest.mark.parametrize(
    "claim",
    [
        {"num_hidden_layers": HUGE}, {"depths": [2, HUGE]}, {"num_labels": HUGE}, {"decoder_layers": 257},
        {"vision_config": {"num_hidden_layers": 1e9}}, {"backbone_config": [{"stages": HUGE}]}, {"num_queries": HUGE},
    ],
)  # fmt: skip
def test_networks_that_the_weights_cannot_be_are_not_built(claim, tmp_path):
    with pytest.raises(CheckpointError, match=rf"config.json: {next(iter(claim)).split('_config')[0]}|: (num_|stages)"):
        open_checkpoint(folder(tmp_path, VIT | claim))


def test_numbers_that_are_no_counts():
    fine = {"eos_token_id": HUGE, "seed": HUGE, "num_hidden_layers": 48, "layer_norm_eps": 1e-6, "vocab_size": 256_000}
    check_config_sizes(fine, 1, 100, "config.json")
    check_config_sizes({"num_hidden_layers": 300, "num_labels": 2 << 20}, 301, 3 << 20, "config.json")


@pytest.mark.parametrize("family", ["detr", "rt_detr", "mask2former", "siglip"])
def test_a_local_folder_never_reaches_for_the_network(family, tmp_path, monkeypatch):
    def refused(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    other = {"backbone": "some/other", "use_pretrained_backbone": True, "use_timm_backbone": False}
    config = VIT | other | {"model_type": family, "_name_or_path": "some/other", "auto_map": {"AutoModel": "a/b--c.D"}}
    with pytest.raises(CheckpointError) as error:
        saccade.load(folder(tmp_path, config))
    assert "the network was used" not in str(error.value)
