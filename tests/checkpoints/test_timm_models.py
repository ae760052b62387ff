"""Models of timm in their own class: the same numbers as timm's, from safetensors alone."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import saccade
from saccade.checkpoints.files import open_checkpoint
from saccade.checkpoints.timm_models import is_timm_model, load_timm_model
from saccade.data import Picture
from saccade.errors import CheckpointError
from saccade.studio.look import look
from saccade.tasks import load

PICTURE = Picture(Image.effect_mandelbrot((50, 40), (-2, -1, 1, 1), 9).convert("RGB"), "picture")
ARGUMENTS = {"img_size": 35, "patch_size": 7, "embed_dim": 24, "depth": 3, "num_heads": 2, "num_classes": 5}
LABELS = [f"kind {i}" for i in range(5)]

try:
    import timm
except (ImportError, RuntimeError):  # with torchvision of another torch, timm raises RuntimeError
    pytest.skip("timm cannot be imported", allow_module_level=True)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(5)
    model = timm.create_model("eva02_tiny_patch14_224", **ARGUMENTS).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    config = {"labels": LABELS, "pretrained_cfg": {"crop_pct": 0.8, "mean": [0.4] * 3, "std": [0.5] * 3}}
    timm.models.save_for_hf(model, tmp_path / "net", model_config=config, model_args=ARGUMENTS, safe_serialization=True)
    for pickled in (tmp_path / "net").glob("*.bin"):
        pickled.unlink()
    return tmp_path / "net"


def change(folder, **entries):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def maps_of(model, inputs):
    """Every map (n n), mean over heads, of the same model with its attention written out."""
    found = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, given, out: found.append(given[0][0].mean(0)))
    with torch.no_grad():
        out = model(inputs)
    return found, out[0]


@pytest.mark.parametrize("prefix", ["", "timm:"])
def test_the_page_has_the_numbers_of_timms_model(folder, tmp_path, prefix):
    view = look(load(f"{prefix}{folder}"), PICTURE)
    model = timm.create_model("eva02_tiny_patch14_224", **ARGUMENTS).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    data = {"input_size": (3, 35, 35), "crop_pct": 0.8, "mean": (0.4,) * 3, "std": (0.5,) * 3}
    inputs = timm.data.create_transform(**data, interpolation="bicubic", is_training=False)(PICTURE.image)[None]
    maps, logits = maps_of(model, inputs)
    chain = torch.eye(26)
    for weights in maps:
        chain = (weights + torch.eye(26)) / 2 @ chain
    assert (view.grid, list(view.prefix), len(view.trace)) == ((5, 5), ["cls"], len(maps))
    torch.testing.assert_close(view.heat.flatten(), chain[0, 1:], rtol=0, atol=1e-5)
    best = logits.softmax(0).sort(descending=True)
    assert [label for label, _ in view.predictions] == [LABELS[i] for i in best.indices]
    assert [p for _, p in view.predictions] == pytest.approx(best.values.tolist(), abs=1e-5)
    box = (9 / 53 * 50, 4 / 43 * 40, 44 / 53 * 50, 39 / 43 * 40)
    crop = PICTURE.image.resize(view.picture.size, Image.Resampling.BICUBIC, box=box)
    assert np.abs(np.array(view.picture, float) - np.array(crop, float)).mean() < 4
    assert view.save(tmp_path / "look.html").layers_kept == 3


def test_a_module_of_timm_brings_its_preprocessing(folder):
    model = load(folder).model
    assert torch.equal(saccade.look(model, PICTURE, labels=LABELS).heat, look(load(folder), PICTURE).heat)


def test_classes_are_named_by_the_config_by_imagenet_or_by_number(folder):
    config = json.loads((folder / "config.json").read_text())
    change(folder, label_names=["a", "b", "c", "d", "e"], label_descriptions={"b": "a bee"})
    assert load(folder).labels == ["a", "a bee", "c", "d", "e"]
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if not k.startswith("label")}))
    task = load(folder)
    assert task.labels[0] == "class 0"
    assert any("does not name its 5 classes" in note for note in task.notes)
    for tag, first in (("a_ft_in1k", "tench, Tinca tinca"), ("pets", "class 0")):
        model = timm.create_model("eva02_tiny_patch14_224", **ARGUMENTS | {"num_classes": 1000})
        save = {"pretrained_cfg": {"tag": tag}}
        arguments = ARGUMENTS | {"num_classes": 1000}
        timm.models.save_for_hf(model, folder, model_config=save, model_args=arguments, safe_serialization=True)
        assert load(folder).labels[0] == first


def test_what_is_refused(folder):
    config, weights = (folder / "config.json").read_text(), load_file(folder / "model.safetensors")
    arguments = json.loads(config)["model_args"]
    for entries, message in (
        ({"architecture": "hf-hub:timm/eva"}, "knows no architecture 'hf-hub:timm/eva'"),
        ({"architecture": "no_such_net"}, "knows no architecture 'no_such_net'"),
        ({"model_args": arguments | {"checkpoint_path": "x.pth"}}, "model_args holds checkpoint_path"),
        ({"model_args": arguments | {"pretrained_cfg": {}}}, "model_args holds pretrained_cfg"),
        ({"model_args": [1]}, r"model_args is \[1\]"),
        ({"model_args": arguments | {"no_such": 1}}, "timm cannot build eva02_tiny_patch14_224"),
        (
            {"num_classes": 3, "model_args": {k: v for k, v in arguments.items() if k != "num_classes"}},
            "timm cannot build eva02_tiny_patch14_224",
        ),
    ):
        change(folder, **entries)
        with pytest.raises(CheckpointError, match=message):
            load_timm_model(open_checkpoint(folder))
        (folder / "config.json").write_text(config)
    for changed in (
        {k: v for k, v in weights.items() if k != "head.bias"},
        weights | {"more": torch.ones(2)},
        weights | {"head.bias": torch.ones(3)},
    ):
        save_file(changed, folder / "model.safetensors")
        with pytest.raises(CheckpointError, match="timm cannot build eva02_tiny_patch14_224"):
            load_timm_model(open_checkpoint(folder))


def test_places_of_other_weights_in_the_config_are_ignored(folder):
    expected = look(load(folder), PICTURE).heat
    described = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    other = {"url": "https://example.org/x.pth", "file": "/x.bin", "hf_hub_id": "a/b", "source": "hf-hub"}
    change(folder, pretrained_cfg=described | other | {"custom_load": True, "unknown": 1})
    assert torch.equal(look(load(folder), PICTURE).heat, expected)
    assert not is_timm_model(open_checkpoint(folder / "model.safetensors").__class__("none", {}))
