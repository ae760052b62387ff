"""Pictures to make a picture from: a sketch, a map of classes, a grey picture, or one of low resolution of a scene."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from saccade.data.scenes.palette import index_colour
from saccade.data.scenes.scenes import Scene
from saccade.data.scenes.stream import Stream
from saccade.errors import DataError

GuideKind = Literal["sketch", "label map", "grey", "low resolution"]
GUIDE = 6  # stream of random numbers of guides and holes; scenes to captions use 0 to 4, styles 5
LARGEST_FACTOR = 8  # of low resolution
_ENLARGED = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
_COLOURS = np.array([index_colour(i) for i in range(256)], np.uint8)


class Guide(NamedTuple):
    """kind: what was made of the scene. pixels: uint8 (y x 3), of the size of the scene."""

    kind: GuideKind
    pixels: np.ndarray


def draw_guide(scene: Scene, stream: Stream, kind: GuideKind | None = None) -> Guide:
    """A guide of a random kind, or of `kind`, with random parameters.

    Raises:
        DataError: an unknown kind.
    """
    kinds = get_args(GuideKind)
    chosen = stream.choice(kinds) if kind is None else kind
    if chosen == "sketch":
        return Guide(chosen, sketch(scene, 1 + stream.integer(2), ink=stream.integer(80)))
    if chosen == "label map":
        return Guide(chosen, label_map(scene))
    if chosen == "grey":
        return Guide(chosen, grey(scene))
    if chosen == "low resolution":
        factor = 2 + stream.integer(LARGEST_FACTOR - 1)
        return Guide(chosen, low_resolution(scene, factor, stream.choice(_ENLARGED)))
    raise DataError(f"kind={kind!r} was given; one of {', '.join(kinds)} expected")


def sketch(scene: Scene, thickness: int = 1, ink: int = 0) -> np.ndarray:
    """The visible contours of the objects on white, uint8 (y x 3). thickness: 1 or 2 pixels; ink: 0 (black) to 255."""
    instances = scene.instances
    line = np.zeros(instances.shape, bool)
    beside, below = instances[:, 1:] != instances[:, :-1], instances[1:] != instances[:-1]
    line[:, :-1] |= beside
    line[:-1] |= below
    if thickness > 1:
        line[:, 1:] |= beside
        line[1:] |= below
    return _rgb(np.where(line, np.uint8(ink), np.uint8(255)))


def label_map(scene: Scene) -> np.ndarray:
    """A flat colour for the class of each pixel, uint8 (y x 3): the colours of Pascal VOC, which index masks have; the
    background is black."""
    return _COLOURS[scene.semantic]


def grey(scene: Scene) -> np.ndarray:
    """The brightness of each pixel (Rec. 601 luma), uint8 (y x 3) with equal channels."""
    red, green, blue = scene.pixels.astype(np.uint32).transpose(2, 0, 1)
    return _rgb(((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8))


def low_resolution(scene: Scene, factor: int = 4, enlarged: Image.Resampling = Image.Resampling.BILINEAR) -> np.ndarray:
    """The picture averaged over squares of `factor` pixels and enlarged to its size, uint8 (y x 3)."""
    height, width, _ = scene.pixels.shape
    small = Image.fromarray(scene.pixels).reduce(factor)
    large = small.resize((small.width * factor, small.height * factor), enlarged)
    return np.array(large)[:height, :width].copy()  # squares at the far borders may be cut


def _rgb(plane: np.ndarray) -> np.ndarray:
    return plane[:, :, None].repeat(3, axis=2)
