"""How near pictures are to true ones, beside the formulas of the papers."""

import math

import numpy as np
import pytest
import torch

from saccade.tasks.generate.fidelity import feature_distances, psnr, ssim


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_psnr():
    truth = np.full((5, 7, 3), 250, np.uint8)
    assert psnr(truth - 25, truth) == pytest.approx(20 * math.log10(255 / 25))
    one = truth.copy()
    one[2, 3, 1] = 0
    assert psnr(one, truth) == pytest.approx(10 * math.log10(255**2 * 105 / 250**2))
    assert psnr(truth, truth) == pytest.approx(58.92, abs=0.01)
    region = np.zeros((5, 7), bool)
    region[0, 0] = True
    assert psnr(one[region], truth[region]) == psnr(truth, truth)


def test_ssim_is_that_of_the_paper():
    x, y = noise(13, 17, 3), noise(13, 17, 3, seed=1)
    y = (0.6 * x + 0.4 * y).astype(np.uint8)
    away = np.arange(-5, 6)
    weights = np.exp(-(away[:, None] ** 2 + away**2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = 6.5025, 58.5225
    expected = []
    for top, left, channel in np.ndindex(3, 7, 3):
        a, b = (each[top : top + 11, left : left + 11, channel].astype(np.float64) for each in (x, y))
        ma, mb = (weights * a).sum(), (weights * b).sum()
        va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
        covariance = (weights * (a - ma) * (b - mb)).sum()
        expected.append((2 * ma * mb + c1) * (2 * covariance + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert ssim(x, y) == pytest.approx(np.mean(expected), abs=1e-12)
    assert 0.1 < ssim(x, y) < 0.95
    assert ssim(x, x) == pytest.approx(1)


def test_feature_distance_is_of_tokens_at_the_same_place():
    tokens = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert feature_distances(tokens, 4 * tokens) == pytest.approx([0, 0], abs=1e-6)
    other = tokens.clone()
    other[0, 2] *= -1
    assert feature_distances(tokens, other) == pytest.approx([2 / 5, 0], abs=1e-6)
