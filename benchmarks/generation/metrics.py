"""Distances between a picture and the true one, uint8 (y x c), of values 0 to 255, or of regions of them."""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import distance_transform_edt

from saccade.tasks.generate.fidelity import PEAK, Pixels
from saccade.tasks.segment.boundaries import boundary_pixels

Region = Bool[np.ndarray, "y x"]


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
