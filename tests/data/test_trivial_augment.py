"""Each operation of TrivialAugment against Pillow's."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from saccade.data import trivial_augment as module

SIZE = (19, 23)


def pictures(b: int = 5) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    low = torch.randint(0, 256, (b, 3, 5, 6), generator=g).float()
    return torch.nn.functional.interpolate(low, SIZE, mode="bilinear").round() / 255


def pillow(x: torch.Tensor) -> Image.Image:
    return Image.fromarray((x * 255).round().byte().permute(1, 2, 0).numpy())


def close(result: torch.Tensor, reference: Image.Image, levels: float) -> None:
    expected = torch.from_numpy(np.array(reference)).permute(2, 0, 1).float()
    assert (result * 255 - expected).abs().max() <= levels


ENHANCERS = {
    module.brightness: ImageEnhance.Brightness,
    module.colour: ImageEnhance.Color,
    module.contrast: ImageEnhance.Contrast,
    module.sharpness: ImageEnhance.Sharpness,
}


@pytest.mark.parametrize("operation", ENHANCERS)
@pytest.mark.parametrize("m", [-1.0, -0.3, 0.0, 0.5, 1.0])
def test_enhancers(operation, m: float):
    x = pictures()
    result = operation(x, torch.full((5, 1, 1, 1), m))
    for one, picture in zip(result, x, strict=True):
        close(one, ENHANCERS[operation](pillow(picture)).enhance(1 + 0.9 * m), 2)  # Pillow's base is rounded to bytes


@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8])
def test_posterize(bits: int):
    x = pictures()
    for one, picture in zip(module.posterize(x, torch.full((5, 1, 1, 1), (8 - bits) / 4)), x, strict=True):
        close(one, ImageOps.posterize(pillow(picture), bits), 1e-3)


@pytest.mark.parametrize("m", [0.3, -0.3, 0.9])
def test_solarize(m: float):
    x = pictures()
    for one, picture in zip(module.solarize(x, torch.full((5, 1, 1, 1), m)), x, strict=True):
        close(one, ImageOps.solarize(pillow(picture), round((1 - abs(m)) * 255 + 0.5)), 1e-3)


def test_autocontrast_and_equalize():
    x = pictures()
    x[0, 1] = 0.4  # a flat channel
    flat = torch.zeros(5, 1, 1, 1)
    for one, picture in zip(module.autocontrast(x, flat), x, strict=True):
        close(one, ImageOps.autocontrast(pillow(picture)), 1)
    for one, picture in zip(module.equalize(x, flat), x, strict=True):
        close(one, ImageOps.equalize(pillow(picture)), 1e-3)


def affine(name: str, m: float, x: torch.Tensor) -> torch.Tensor:
    kind = torch.full((len(x),), list(module.MAX_STRENGTH).index(name))
    return module._warp(x, module._affine(kind, torch.full((len(x),), m), x.shape[3] / x.shape[2]))


@pytest.mark.parametrize("m", [-0.7, 0.4, 1.0])
def test_affine_maps(m: float):
    x = pictures()
    rows, columns = SIZE
    cy, cx = rows / 2, columns / 2
    tan = {"shear x": (1, 0.3 * m, -0.3 * m * cy, 0, 1, 0), "shear y": (1, 0, 0, 0.3 * m, 1, -0.3 * m * cx)}
    shift = {"move x": (1, 0, m * 10 / 32 * columns, 0, 1, 0), "move y": (1, 0, 0, 0, 1, m * 10 / 32 * rows)}
    for name, coefficients in {**tan, **shift}.items():
        for one, picture in zip(affine(name, m, x), x, strict=True):
            reference = pillow(picture).transform(
                pillow(picture).size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
            )
            inside = slice(8, -8), slice(9, -9)  # Pillow does not blend with what lies outside
            expected = torch.from_numpy(np.array(reference)).permute(2, 0, 1).float()
            assert (one * 255 - expected)[:, *inside].abs().max() <= 1.5, name
    for one, picture in zip(affine("rotate", m, x), x, strict=True):
        reference = pillow(picture).rotate(-30 * m, Image.Resampling.BILINEAR)
        expected = torch.from_numpy(np.array(reference)).permute(2, 0, 1).float()
        assert (one * 255 - expected)[:, 6:-6, 7:-7].abs().max() <= 1.5


def test_each_picture_draws_its_own():
    x = pictures(1).expand(211, -1, -1, -1)
    result = module.trivial_augment(x, torch.Generator().manual_seed(0))
    assert result.shape == x.shape
    assert 0 <= result.min() < result.max() <= 1
    assert len({one.numpy().tobytes() for one in result}) > 100
    same = (result - x).abs().amax((1, 2, 3)) < 1e-6
    assert 5 < same.sum() < 60  # identity, and operations of little strength
