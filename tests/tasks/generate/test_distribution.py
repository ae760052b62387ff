"""Features of pictures, and the scenes that pictures are compared with."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.scenes import Scenes, is_held_out
from saccade.tasks.generate import distribution
from saccade.tasks.generate.distribution import DistributionMetrics, mean_patch_tokens, random_scenes_like
from saccade.tasks.loading import load

WORLD = Scenes(7, (48, 64), 3, objects=(1, 2), apart=True)


@pytest.fixture(scope="module")
def encoder():
    return load("shapes")


def test_features_are_means_of_patches_and_do_not_depend_on_the_batch(encoder, monkeypatch):
    pictures = random_scenes_like(WORLD, 5, 1, "all")
    with torch.no_grad():
        tokens = encoder.vit(encoder.preprocess(Image.fromarray(pictures[3]))[None])
    found = mean_patch_tokens(pictures, encoder)
    assert torch.allclose(found[3], tokens[0, encoder.vit.prefix :].mean(dim=0), atol=1e-5)
    monkeypatch.setattr(distribution, "BATCH", 2)
    assert torch.allclose(mean_patch_tokens(pictures, encoder), found, atol=1e-5)


def test_references_are_scenes_of_the_same_kind():
    pictures = random_scenes_like(WORLD, 5, 11, "held-out")
    assert pictures.shape == (5, 48, 64, 3)
    same = Scenes(5, (48, 64), 11, objects=(1, 2), apart=True, combinations="held-out")
    assert all(is_held_out(same.scene(i).description.objects, same.scene(i).description.relations) for i in range(5))
    assert np.array_equal(pictures[4], same.scene(4).pixels)


def test_real_scenes_score_as_real_and_noise_as_none(encoder, monkeypatch):
    monkeypatch.setattr(distribution, "REFERENCES", 13)
    real = [WORLD.picture(i).image for i in range(7)]
    noise = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (48, 64, 3), dtype=np.uint8)) for i in range(7)]
    same = DistributionMetrics.of(real, real, WORLD, encoder)
    assert same.scores["precision"] == same.scores["recall"] == 1
    name = "nearest training-like / held-out distance"
    assert same.scores[name] == same.scores[f"{name}, real scenes"]
    none = DistributionMetrics.of(noise, real, WORLD, encoder)
    assert none.scores["precision"] == none.scores["recall"] == 0
    assert none.scores["precision, real scenes"] == same.scores["precision, real scenes"] > 0
    assert none.to_dict()["encoder"] == "shapes"
    few = DistributionMetrics.of(noise[:3], real[:3], WORLD, encoder)
    assert set(few.scores) == {name, f"{name}, real scenes"}
