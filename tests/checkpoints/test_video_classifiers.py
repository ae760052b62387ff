"""Video classifiers of transformers, beside transformers itself."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.checkpoints.video_classifiers import load_video_classifier
from saccade.errors import CheckpointError

from . import tiny_video_classifiers as tiny


def frames(count, size=(41, 31)):
    """Pillow images of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, size[1], size[0], 3), np.uint8)
    return [Image.fromarray(each) for each in pixels]


@pytest.mark.parametrize("name", [name for name in tiny.CONFIGS if name != "timesformer-space"])
@pytest.mark.parametrize("renamed", [False, True])
def test_logits_are_those_of_transformers(tmp_path, name, renamed):
    model, processor = tiny.save(name, tmp_path)
    if renamed:
        tiny.rename_processor(tmp_path)
    classifier = load_video_classifier(tmp_path)
    clip = frames(classifier.num_frames)
    with torch.no_grad():
        expected = model(**processor(clip, return_tensors="pt")).logits
    assert expected.std() > 1e-3
    torch.testing.assert_close(classifier.logits(classifier.preprocess(clip)), expected, atol=1e-5, rtol=0)
    assert classifier.classes == tiny.NAMES
    assert classifier.notes == []


def test_layout_of_tokens(tmp_path):
    tiny.save("vivit", tmp_path)
    classifier = load_video_classifier(tmp_path)
    assert (classifier.num_frames, classifier.tubelet_size, classifier.patch, classifier.prefix) == (
        6,
        2,
        (8, 8),
        ["cls"],
    )
    assert not classifier.mean_pooled


def test_without_a_processor_the_usual_one_is_used_with_a_note(tmp_path):
    tiny.save("videomae", tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    classifier = load_video_classifier(tmp_path)
    assert "no preprocessor_config.json" in classifier.notes[0]
    with pytest.raises(CheckpointError, match="makes frames of 224 x 224 pixels, its network takes 24 x 24"):
        classifier.preprocess(frames(6))


def test_space_only_is_refused(tmp_path):
    tiny.save("timesformer-space", tmp_path)
    with pytest.raises(CheckpointError, match="attention_type is space_only"):
        load_video_classifier(tmp_path)


def test_missing_weights_and_other_families_are_refused(tmp_path):
    tiny.save("vivit", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(CheckpointError, match="weights are missing"):
        load_video_classifier(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    with pytest.raises(CheckpointError, match="expected one of videomae, vivit, timesformer"):
        load_video_classifier(tmp_path)


def test_damaged_weights_are_refused(tmp_path):
    tiny.save("timesformer", tmp_path)
    classifier = load_video_classifier(tmp_path)
    torch.nn.init.constant_(classifier.model.classifier.bias, float("nan"))
    with pytest.raises(CheckpointError, match="not a number"):
        classifier.logits(classifier.preprocess(frames(5)))
