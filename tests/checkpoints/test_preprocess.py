"""Pictures prepared as transformers' image processors (their PIL backend) prepare them, read from their own files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.checkpoints.family import IMAGENET
from saccade.checkpoints.processors import read_processor, write_processor
from saccade.data.preprocess import Preprocess
from saccade.errors import DataError

transformers = pytest.importorskip("transformers")

CROPPED = {"size": {"shortest_edge": 40}, "crop_size": {"height": 37, "width": 31}}
PROCESSORS = {
    "vit": ("ViTImageProcessorPil", {"size": {"height": 37, "width": 31}}),
    "vit, nearest": ("ViTImageProcessorPil", {"size": {"height": 37, "width": 31}, "resample": 0}),
    "vit, lanczos": ("ViTImageProcessorPil", {"size": {"height": 37, "width": 31}, "resample": 1}),
    "vit, not normalised": ("ViTImageProcessorPil", {"do_normalize": False}),
    "deit": ("DeiTImageProcessorPil", {"size": {"height": 43, "width": 43}, "crop_size": {"height": 37, "width": 37}}),
    "dinov2": ("BitImageProcessorPil", {**CROPPED, "image_mean": list(IMAGENET["mean"])}),
    "clip": ("CLIPImageProcessorPil", CROPPED),
    "clip, crop beyond the picture": ("CLIPImageProcessorPil", {**CROPPED, "size": {"shortest_edge": 28}}),
    "clip as published": ("CLIPImageProcessorPil", {}),
    "deit as published": ("DeiTImageProcessorPil", {}),
}
PICTURES = [(53, 61), (61, 53), (17, 19), (47, 211), (211, 47), (40, 40)]  # (width, height)


def random_picture(size):
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", PROCESSORS)
def test_as_transformers_does(kind, tmp_path):
    name, changes = PROCESSORS[kind]
    processor = getattr(transformers, name)(**changes)
    processor.save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "preprocessor_config.json").read_text())
    notes: list[str] = []
    ours = read_processor(fields, Preprocess((1, 1)), "ViT", notes)
    assert notes == []
    for size in PICTURES:
        picture = random_picture(size)
        theirs = processor(picture, return_tensors="pt")["pixel_values"][0]
        mine = ours(picture)
        assert mine.dtype == torch.float32
        assert mine.shape == theirs.shape
        assert float((mine - theirs).abs().max()) <= 2e-6  # fp32's rounding: the pixels are the same
    assert read_processor(write_processor(ours), Preprocess((1, 1)), "ViT", notes) == ours


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # files written before transformers 4.26 give one number, which each processor reads in its own way
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 224}, Preprocess((224, 224))),
        (
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "resample": 3,
             "image_mean": [0, 0, 0], "image_std": [1, 1, 1]},
            Preprocess((224, 224), "crop", 224, "bicubic", (0, 0, 0), (1, 1, 1)),
        ),
        (
            {"feature_extractor_type": "DeiTFeatureExtractor", "size": 256, "crop_size": 224,
             "image_mean": [0, 0, 0], "image_std": [1, 1, 1]},
            Preprocess((224, 224), "stretch", 256, "bicubic", (0, 0, 0), (1, 1, 1)),
        ),
        ({}, Preprocess((5, 7))),
    ],
)  # fmt: skip
def test_old_and_absent_files(fields, expected):
    notes: list[str] = []
    assert read_processor(fields, Preprocess((5, 7)), "ViT", notes) == expected
    assert bool(notes) == (not fields)


def test_what_the_model_sees_is_a_picture():
    preprocess = Preprocess((37, 31), "crop", 40, "bicubic")
    seen = preprocess.resize_and_crop(random_picture((53, 61)))
    assert seen.size == (31, 37)
    pixels = torch.from_numpy(np.array(seen)).permute(2, 0, 1) / 255
    assert torch.allclose(preprocess(random_picture((53, 61))), (pixels - 0.5) / 0.5)


def test_another_size():
    preprocess = Preprocess((224, 224), "crop", 256)
    assert preprocess.with_size(448) == Preprocess((448, 448), "crop", 512)
    assert Preprocess((224, 224)).with_size(112) == Preprocess((112, 112))


def test_other_modes_and_grey_models():
    grey = Preprocess((7, 5), mean=(0.5,), std=(0.5,))
    assert grey(random_picture((11, 13))).shape == (1, 7, 5)
    for mode in ("L", "RGBA", "P", "CMYK", "1"):
        assert Preprocess((7, 5))(Image.new(mode, (11, 13))).shape == (3, 7, 5)


def test_very_long_pictures_stay_small():
    """Brought to a short side of 224 a strip of 1 x 20000 would have a billion pixels; its middle is what counts."""
    preprocess = Preprocess((224, 224), "crop", 256)
    strip = Image.new("RGB", (20000, 1), "white")
    assert preprocess(strip).shape == (3, 224, 224)
    assert preprocess.resize_and_crop(strip).getpixel((112, 112)) == (255, 255, 255)
    tall = Image.new("RGB", (1, 20000), "white")
    assert preprocess.resize_and_crop(tall).getpixel((0, 0)) == (255, 255, 255)


def test_no_pixels():
    with pytest.raises(DataError, match="nothing to see"):
        Preprocess((7, 5))(Image.new("RGB", (0, 3)))
