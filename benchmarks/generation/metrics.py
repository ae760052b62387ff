"""Distances between a picture and the true one, uint8 (y x c), of values 0 to 255, or of regions of them."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import convolve1d, distance_transform_edt

from saccade.tasks.segment.boundaries import boundary_pixels

PEAK = 255.0
ROUNDING = 1 / 12  # mean squared error of rounding to whole values
RADIUS, SIGMA = 5, 1.5  # of SSIM's window

Pixels = UInt8[np.ndarray, "y x c"]
Region = Bool[np.ndarray, "y x"]


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


def colour_matched(picture: Pixels, style: Pixels) -> Pixels:
    """The picture with each channel's mean and standard deviation replaced by those of `style` (Reinhard et al. 2001,
    eq. 10-11, in RGB)."""
    x, y = picture.astype(np.float64), style.astype(np.float64)
    scale = y.std(axis=(0, 1)) / np.maximum(x.std(axis=(0, 1)), 1e-9)
    matched = (x - x.mean(axis=(0, 1))) * scale + y.mean(axis=(0, 1))
    return np.clip(np.rint(matched), 0, PEAK).astype(np.uint8)


def contours(instances: UInt8[np.ndarray, "y x"]) -> Region:
    """The innermost pixels of all objects. instances: 0 for the background, else another value for each object."""
    return boundary_pixels(instances) & (instances > 0)


def boundary_f(found: Region, truth: Region, tolerance: float) -> float:
    """The F measure of contour pixels (Martin et al. 2004; DAVIS, Perazzi et al. 2016, section 4): precision is the
    fraction of the found ones within a Euclidean distance of `tolerance` pixels of a true one, recall the reverse.

    Unlike in Martin et al. matches are not one to one. 1 where there are none in both, 0 where only one has some.
    """
    if not found.any() or not truth.any():
        return float(found.any() == truth.any())
    precision, recall = (
        float((distance_transform_edt(~other)[mine] <= tolerance).mean())
        for mine, other in ((found, truth), (truth, found))
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def seam(picture: Pixels, hole: Region) -> float:
    """Mean absolute difference, 0 to 255, between neighbouring pixels (of four) on different sides of the border of
    `hole`, which is neither empty nor everything."""
    differences = []
    for pixels, region in ((picture, hole), (picture.swapaxes(0, 1), hole.T)):
        steps = np.abs(np.diff(pixels.astype(np.float64), axis=0)).mean(axis=2)
        differences.append(steps[region[1:] != region[:-1]])
    return float(np.concatenate(differences).mean())


def absolute_difference(picture: Pixels, truth: Pixels) -> Float[np.ndarray, "y x c"]:
    """Of each value, 0 to 255."""
    return np.abs(picture.astype(np.float64) - truth.astype(np.float64))


def _blurred(values: Float[np.ndarray, "y x c"]) -> Float[np.ndarray, "rows columns c"]:
    """Weighted means of the windows that lie inside."""
    window = np.exp(-0.5 * np.square(np.arange(-RADIUS, RADIUS + 1) / SIGMA))
    window /= window.sum()
    for axis in (0, 1):
        values = convolve1d(values, window, axis)
    return values[RADIUS:-RADIUS, RADIUS:-RADIUS]
