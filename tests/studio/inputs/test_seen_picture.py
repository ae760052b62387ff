"""The picture as a model saw it."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.studio.inputs.seen_picture import seen_picture

IMAGE = Image.effect_mandelbrot((230, 170), (-2, -1, 1, 1), 30).convert("RGB")


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


def crop(image):
    """Shorter side to 43, centre of 31 x 29 (height 29)."""
    return (tensor(image.resize((58, 43), Image.Resampling.BICUBIC).crop((14, 7, 45, 36))) - 0.4) / 0.3


def stretch(image):
    return tensor(image.resize((37, 37), Image.Resampling.BILINEAR)) * 2 - 1


def letterbox(image):
    canvas = Image.new("RGB", (41, 41), (90, 90, 90))
    canvas.paste(image.resize((41, 30)), (0, 5))
    return tensor(canvas)


def whole(image):
    return tensor(image)


def standardized(image):
    pixels = tensor(image.resize((31, 29)))
    return (pixels - pixels.mean()) / pixels.std().clamp_min(1e-3)


@pytest.mark.parametrize(
    ("prepare", "box"),
    [
        (crop, (14 / 58 * 230, 7 / 43 * 170, 45 / 58 * 230, 36 / 43 * 170)),
        (stretch, (0, 0, 230, 170)),
        (whole, (0, 0, 230, 170)),
    ],
)
def test_a_rectangle_is_cut_from_the_picture_itself(prepare, box):
    seen = seen_picture(prepare, IMAGE, prepare(IMAGE))
    height, width = prepare(IMAGE).shape[2:]
    assert seen.width == pytest.approx(max(width, box[2] - box[0]), abs=2)
    assert seen.width / seen.height == pytest.approx(width / height, rel=0.02)
    expected = IMAGE.resize(seen.size, Image.Resampling.BICUBIC, box=box)
    assert np.abs(np.array(seen, float) - np.array(expected, float)).mean() < 4


def test_bars_of_a_letterbox_are_seen():
    seen = np.array(seen_picture(letterbox, IMAGE, letterbox(IMAGE)), float)
    assert seen.shape == (41, 41, 3)
    assert np.abs(seen[5:35] - np.array(IMAGE.resize((41, 30)), float)).max() <= 1
    assert (seen[:5] == 128).all()  # what is the same for all pictures is grey


def test_what_cannot_be_undone_is_stretched():
    for prepare in (standardized, lambda image: torch.randn(1, 3, 7, 5, generator=torch.Generator().manual_seed(1))):
        pixels = prepare(IMAGE)
        seen = torch.from_numpy(np.array(seen_picture(prepare, IMAGE, pixels))).permute(2, 0, 1).double()
        expected = (pixels[0] - pixels.min()) / (pixels.max() - pixels.min()) * 255
        torch.testing.assert_close(seen, expected.double(), rtol=0, atol=0.5001)


def test_another_picture_is_not_cut_from_this_one():
    other = Image.effect_noise(IMAGE.size, 90).convert("RGB")
    seen = np.array(seen_picture(crop, IMAGE, crop(other)), float)
    assert np.abs(seen - np.array(other.resize((58, 43), Image.Resampling.BICUBIC).crop((14, 7, 45, 36)))).max() <= 1


def test_a_random_crop_is_not_cut_from_elsewhere():
    smooth = Image.linear_gradient("L").convert("RGB").resize((230, 170))
    lefts = iter([3, 3, 3, 8, 8, 8])

    def prepare(image):
        left = next(lefts)
        return tensor(image.crop((left, left, left + 100, left + 100)).resize((35, 35)))

    pixels = prepare(smooth)
    seen = seen_picture(prepare, smooth, pixels)
    assert seen.size == (35, 35)
    assert np.abs(np.array(seen, float) / 255 - pixels[0].permute(1, 2, 0).numpy()).max() < 0.01
