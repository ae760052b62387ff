"""Weights and runs that were saved before parameters were renamed."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from saccade.models.segmenter import SegmenterConfig
from saccade.tasks import bundled, load
from saccade.train.optim import moving_average
from saccade.train.state import copy_state, load_state, write_state

from ..studio import segmenters
from . import finder, tiny

# today's names -> those of the first releases
DETECTOR = {
    r"proposal_head\.dense\.": "propose.within.",
    r"proposal_head\.query\.": "propose.chosen.",
    r"proposal_head\.refine\.": "propose.shift.",
    r"query_projection\.": "query.",
    r"label_embedding\.": "known.",
    r"position_embedding\.": "place.",
    r"box_bias\.": "bias.",
    r"heads\.(\d+)\.refine\.": r"heads.\1.shift.",
    r"relation_head\.": "relate.",
}
SEGMENTER = {
    r"class_tokens$": "classes",
    r"patch_head\.": "of_patches.",
    r"pixel_head\.": "of_pixels.",
    r"pixel_decoder\.": "pixels.",
}


def detector() -> nn.Module:
    return finder.task().model


def segmenter() -> nn.Module:
    return segmenters.task().model


def rename(file: Path, names: dict[str, str], prefix: str = "") -> None:
    """Write a file of weights with their old names."""
    weights = load_file(file)
    for new, old in names.items():
        found = {key: re.sub(f"^{prefix}{new}", f"{prefix}{old}", key) for key in weights}
        assert any(key != name for key, name in found.items()), new
        weights = {found[key]: value for key, value in weights.items()}
    save_file(weights, file)


@pytest.mark.parametrize(("make", "names"), [(detector, DETECTOR), (segmenter, SEGMENTER)])
def test_a_run_goes_on_from_a_state_with_old_names(tmp_path, make, names):
    torch.manual_seed(0)
    model = make()
    modules = {"weights": model, "average": moving_average(model, 0.9)}
    write_state(tmp_path, copy_state(3, modules, [], {}))
    place = tmp_path / "step-000000003"
    rename(place / "weights.safetensors", names)
    rename(place / "average.safetensors", names, prefix=r"module.")
    sums = {file.name: sha256(file.read_bytes()).hexdigest() for file in place.iterdir() if file.name != "sha256.json"}
    (place / "sha256.json").write_text(json.dumps(sums))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = {"weights": make(), "average": moving_average(make(), 0.9)}
    for module in other.values():
        for value in module.state_dict().values():
            value.zero_()
    assert load_state(tmp_path, other, []) is not None
    assert all(torch.equal(value, before[name]) for name, value in other["weights"].state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in other["average"].module.state_dict().items())


@pytest.mark.parametrize(("make", "names"), [(finder.task, DETECTOR), (segmenters.task, SEGMENTER)])
def test_a_folder_with_old_names_opens(tmp_path, make, names):
    task = make()
    task.save(tmp_path / "old")
    tiny.without_digests(tmp_path / "old")
    rename(tmp_path / "old" / "model.safetensors", names)
    again = load(tmp_path / "old")
    for name, value in task.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


@pytest.mark.parametrize(("name", "key"), [("scenes", "label_embedding.weight"), ("shapes", "class_tokens")])
def test_the_bundled_weights_keep_their_old_names(name, key):
    if name not in bundled():
        pytest.skip("not bundled in this copy of the library")
    task = load(name)
    file = Path(load.__globals__["__file__"]).parents[1] / "weights" / name / "model.safetensors"
    old = {"label_embedding.weight": "known.weight", "class_tokens": "classes"}[key]
    assert torch.equal(task.model.state_dict()[key], load_file(file)[old].float())


def test_an_old_config_names_its_pixel_channels_fine():
    config = segmenters.task().model.config.model_dump()
    old = {"fine" if name == "pixel_channels" else name: value for name, value in config.items()}
    assert SegmenterConfig.model_validate(old).pixel_channels == config["pixel_channels"]
