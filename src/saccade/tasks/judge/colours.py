"""The colour of an object, from its pixels, by fixed rules.

A texture's second tone is the first one scaled towards black or mixed with white, and light scales both. HSV's hue is
invariant to these changes, and tells eight of the ten colours apart by itself. White has no hue, and brown has that
of orange, but is darker and less saturated.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import binary_erosion

# The upper end of each colour's hues in degrees, halfway between the extremes of neighbouring colours in drawn scenes.
HUES = (
    (8, "red"),
    (44, "orange"),
    (88, "yellow"),
    (153, "green"),
    (203, "turquoise"),
    (254, "blue"),
    (303, "purple"),
    (348, "pink"),
    (360, "red"),
)
MAX_WHITE_SATURATION = 0.2  # drawn scenes: white up to 0.06, all others from 0.35
MIN_WHITE_VALUE = 0.55  # of the brightest fifth of the pixels; below it, an object without hue is grey or black
MAX_BROWN = 1.37  # saturation + chroma; drawn scenes: brown up to 1.27, orange from 1.48
MIN_INNER = 12  # pixels that remain when the outline is left out


def object_colour(pixels: UInt8[np.ndarray, "y x 3"], mask: Bool[np.ndarray, "y x"]) -> str | None:
    """The name, in `saccade.data.scenes.colours.COLOURS`, of the colour of the pixels in `mask`; None for grey and
    black. `mask` must not be empty.

    The pixels of the outline, which mix with the background, are left out where enough others remain.
    """
    inner = binary_erosion(mask)
    rgb = pixels[inner if inner.sum() >= MIN_INNER else mask].astype(np.float64) / 255
    value = rgb.max(axis=1)
    chroma = value - rgb.min(axis=1)
    saturation = chroma.sum() / max(value.sum(), 1e-9)
    if saturation <= MAX_WHITE_SATURATION:
        return "white" if np.quantile(value, 0.8) >= MIN_WHITE_VALUE else None
    degrees = mean_hue(rgb)
    name = next(name for end, name in HUES if degrees <= end)
    if name == "orange" and saturation + np.quantile(chroma, 0.8) <= MAX_BROWN:
        return "brown"
    return name


def mean_hue(rgb: Float[np.ndarray, "n 3"]) -> float:
    """The hue of the summed colour vectors, in degrees from 0 to 360: pixels count by their chroma."""
    red, green, blue = rgb.sum(axis=0)
    return float(np.degrees(np.arctan2(np.sqrt(3) / 2 * (green - blue), red - (green + blue) / 2)) % 360)
