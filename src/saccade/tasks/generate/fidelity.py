"""How near a picture is to the true one: PSNR, SSIM and the distance of features.

Pictures are uint8 (y x 3), of values 0 to 255.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.ndimage import convolve1d
from torch import Tensor

from saccade.tasks.generate.neighbours import Pictures
from saccade.tasks.generate.perceptual import token_distances
from saccade.tasks.loading import load
from saccade.tasks.segment.task import SegmentTask

PEAK = 255.0
ROUNDING = 1 / 12  # mean squared error of rounding to whole values
RADIUS, SIGMA = 5, 1.5  # of SSIM's window
BATCH = 25

Pixels = UInt8[np.ndarray, "y x c"]


def psnr(picture: UInt8[np.ndarray, "*s"], truth: UInt8[np.ndarray, "*s"]) -> float:
    """Peak signal-to-noise ratio in decibels: 10 log10(255^2 / MSE), the MSE over all pixels and channels.

    The MSE is at least 1/12, that of rounding, so that equal pictures have 58.9 dB in place of an infinite ratio.
    """
    error = np.square(picture.astype(np.float64) - truth.astype(np.float64)).mean()
    return float(10 * np.log10(PEAK**2 / max(error, ROUNDING)))


def ssim(picture: Pixels, truth: Pixels) -> float:
    """Structural similarity (Wang et al. 2004, eq. 13), -1 to 1, averaged over positions and RGB channels.

    As in the paper: means, variances and covariances are weighted by an 11 x 11 Gaussian of standard deviation 1.5,
    without Bessel's correction, C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2, and only positions whose window lies inside
    the picture count. Sides of at least 11 pixels are expected.
    """
    x, y = picture.astype(np.float64), truth.astype(np.float64)
    mx, my = _blurred(x), _blurred(y)
    xx, yy, xy = (_blurred(a * b) - ma * mb for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my)))
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    similarity = (2 * mx * my + c1) * (2 * xy + c2) / ((mx**2 + my**2 + c1) * (xx + yy + c2))
    return float(similarity.mean())


def patch_encoder() -> SegmentTask:
    """The model of the feature distance."""
    encoder = load("shapes")
    assert isinstance(encoder, SegmentTask)
    return encoder


@torch.no_grad()
def patch_tokens(pictures: Pictures, encoder: SegmentTask) -> Float[Tensor, "n m d"]:
    """The patch tokens of each picture after the last block of the encoder."""
    vit = encoder.vit.eval()
    inputs = torch.stack([encoder.preprocess(Image.fromarray(each)) for each in pictures])
    return torch.cat([vit(some)[:, vit.prefix :].float() for some in inputs.split(BATCH)])


def feature_distances(tokens: Float[Tensor, "n m d"], others: Float[Tensor, "n m d"]) -> list[float]:
    """`token_distances` as numbers."""
    return token_distances(tokens, others).tolist()


def fidelity_scores(pictures: Pictures, truth: Pictures, encoder: SegmentTask) -> dict[str, list[float]]:
    """Of each picture to the true one, by the names "SSIM", "PSNR" and "feature distance"."""
    tokens, true = (patch_tokens(some, encoder) for some in (pictures, truth))
    return {
        "SSIM": [ssim(*two) for two in zip(pictures, truth, strict=True)],
        "PSNR": [psnr(*two) for two in zip(pictures, truth, strict=True)],
        "feature distance": feature_distances(tokens, true),
    }


def _blurred(values: Float[np.ndarray, "y x c"]) -> Float[np.ndarray, "rows columns c"]:
    """Weighted means of the windows that lie inside."""
    window = np.exp(-0.5 * np.square(np.arange(-RADIUS, RADIUS + 1) / SIGMA))
    window /= window.sum()
    for axis in (0, 1):
        values = convolve1d(values, window, axis)
    return values[RADIUS:-RADIUS, RADIUS:-RADIUS]
