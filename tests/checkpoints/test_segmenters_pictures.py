"""How public segmenters' pictures are prepared, and what their classes are called, as their files say."""

import json
import shutil
from functools import cache

import pytest
import torch
from PIL import Image

import saccade
from saccade.checkpoints.segmenters import load_segmenter
from saccade.errors import CheckpointError

pytest.importorskip("transformers")
from .tiny_segmenters import NAMES, changed, write

PICTURE = Image.new("RGB", (83, 61), (200, 90, 30))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a family, made once."""
    return cache(lambda family: write(family, tmp_path_factory.mktemp("segmenters") / family))


def pictures_as(folder, to, **changes):
    """A copy of a checkpoint with other fields of how pictures are prepared (None: without it)."""
    shutil.copytree(folder, to)
    before = json.loads((folder / "preprocessor_config.json").read_text())
    after = {key: value for key, value in {**before, **changes}.items() if value is not None}
    (to / "preprocessor_config.json").write_text(json.dumps(after))
    return to


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("segformer", {"image_processor_type": "Sapiens2ImageProcessor"}, "offers only with torchvision"),
        ("segformer", {"image_processor_type": "EomtImageProcessor"}, "prepared by EomtImageProcessor"),
        ("eomt", {"image_processor_type": "SegformerImageProcessor"}, "expected one of EomtImageProcessor"),
        ("segformer", {"size": "big"}, "does not say how to prepare pictures"),
    ],
)
def test_pictures_that_cannot_be_prepared_as_the_checkpoint_says(family, changes, message, saved, tmp_path):
    with pytest.raises(CheckpointError, match=message) as e:
        saccade.load(pictures_as(saved(family), tmp_path / "a", **changes))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("old", ["SegformerFeatureExtractor", "SegformerImageProcessorFast"])
def test_older_names_and_fields(old, saved, tmp_path):
    """reduce_labels is of masks to train on: what a network says indexes its own names."""
    field = "feature_extractor_type" if "Feature" in old else "image_processor_type"
    changes = {"image_processor_type": None, "size": 64, "reduce_labels": True, "do_reduce_labels": None}
    older = saccade.load(pictures_as(saved("segformer"), tmp_path / "a", **{**changes, field: old}))
    now = saccade.load(saved("segformer"))
    assert torch.equal(older.predict(PICTURE).mask, now.predict(PICTURE).mask)
    assert older.labels == now.labels == NAMES


def test_the_processor_of_another_family(saved, tmp_path):
    """Reading stays the network's own: Mask2Former's masks are resized before they are summed."""
    other = load_segmenter(
        pictures_as(saved("mask2former"), tmp_path / "a", image_processor_type="MaskFormerImageProcessor")
    )
    assert type(other.processor).__name__ == "MaskFormerImageProcessorPil"
    assert torch.equal(other.scores(PICTURE), load_segmenter(saved("mask2former")).scores(PICTURE))
    assert other.scores(PICTURE).shape == (7, 384, 384)


def test_a_missing_preprocessor_config_is_noted(saved, tmp_path):
    folder = changed(saved("upernet"), tmp_path / "a")
    (folder / "preprocessor_config.json").unlink()
    ours = load_segmenter(folder)
    assert type(ours.processor).__name__ == "SegformerImageProcessorPil"
    assert "no preprocessor_config.json: pictures are prepared as is usual for this family" in ours.notes


def test_a_config_inside_that_of_a_processor_goes_before(saved, tmp_path):
    """transformers writes it so where there is a tokenizer too, as OneFormer's."""
    folder = changed(saved("oneformer"), tmp_path / "a")
    inside = json.loads((folder / "preprocessor_config.json").read_text())
    changes = {"image_processor": {**inside, "size": {"height": 32, "width": 96}}, "task_seq_length": 77}
    (folder / "processor_config.json").write_text(json.dumps(changes))
    assert load_segmenter(folder).preprocess(PICTURE)["pixel_values"].shape == (1, 3, 32, 96)
    (folder / "preprocessor_config.json").unlink()
    assert not any("preprocessor_config" in note for note in load_segmenter(folder).notes)


@pytest.mark.parametrize(
    ("family", "changes", "word"),
    [
        ("mobilevit", {}, "cuts out the picture's middle"),
        ("mobilevit", {"do_center_crop": False}, None),
        ("eomt", {}, None),
        ("eomt", {"do_split_image": False, "do_pad": True}, "adds a margin"),
        ("dpt", {"do_pad": True, "size_divisor": 96}, "adds a margin"),
        ("mask2former", {"pad_size": {"height": 99, "width": 99}}, "adds a margin"),
        ("detr", {}, None),
    ],
)
def test_masks_that_are_laid_over_more_or_less_than_the_picture(family, changes, word, saved, tmp_path):
    notes = saccade.load(pictures_as(saved(family), tmp_path / "a", **changes)).notes
    assert [note for note in notes if "its mask is stretched" in note and (word or "") in note] == [
        note for note in notes if "image processor" in note
    ]
    assert any("image processor" in note for note in notes) == (word is not None)


def test_names_of_classes(saved, tmp_path):
    folder = saved("segformer")
    twice = {str(i): "N/A" if i in (1, 4) else name for i, name in enumerate(NAMES)}
    found = saccade.load(changed(folder, tmp_path / "a", id2label=twice, label2id=None))
    assert found.labels == ["sky", "N/A", "말", "tree", "N/A (4)", "water", "wall"]
    assert found.predict(PICTURE).classes == tuple(found.labels)
    unnamed = saccade.load(
        changed(folder, tmp_path / "b", id2label={str(i): f"LABEL_{i}" for i in range(7)}, label2id=None)
    )
    assert unnamed.labels == [f"class {i}" for i in range(7)]
    assert any("does not name its 7 classes" in note for note in unnamed.notes)


def test_numbers_without_a_name(saved, tmp_path):
    """As many names as classes, but one of them for a number past the end."""
    odd = {str(i): name for i, name in enumerate(NAMES[:6])} | {"9": "past"}
    assert saccade.load(changed(saved("segformer"), tmp_path / "a", id2label=odd, label2id=None)).labels == [
        *NAMES[:6],
        "class 6",
    ]
