"""What to make a picture from: a sketch, a map of classes, a grey picture, or one of low resolution of a scene; and
regions of a picture to paint anew, for inpainting and outpainting."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from saccade.data.scenes.colours import voc_colour
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.scenes import Scene
from saccade.data.scenes.textures import noise
from saccade.errors import DataError

GuideKind = Literal["sketch", "label map", "grey", "low resolution"]
GUIDE = 6  # stream of random numbers of guides and holes; scenes to captions use 0 to 4, styles 5
LARGEST_FACTOR = 8  # of low resolution
_ENLARGED = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
_COLOURS = np.array([voc_colour(i) for i in range(256)], np.uint8)


class ConditioningImage(NamedTuple):
    """kind: what was made of the scene. pixels: uint8 (y x 3), of the size of the scene."""

    kind: GuideKind
    pixels: np.ndarray


def sample_conditioning_image(scene: Scene, stream: RandomStream, kind: GuideKind | None = None) -> ConditioningImage:
    """A guide of a random kind, or of `kind`, with random parameters.

    Raises:
        DataError: an unknown kind.
    """
    kinds = get_args(GuideKind)
    chosen = stream.choice(kinds) if kind is None else kind
    if chosen == "sketch":
        return ConditioningImage(chosen, sketch(scene, 1 + stream.integer(2), ink=stream.integer(80)))
    if chosen == "label map":
        return ConditioningImage(chosen, label_map(scene))
    if chosen == "grey":
        return ConditioningImage(chosen, grey(scene))
    if chosen == "low resolution":
        factor = 2 + stream.integer(LARGEST_FACTOR - 1)
        return ConditioningImage(chosen, low_resolution(scene, factor, stream.choice(_ENLARGED)))
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


def sample_inpainting_mask(size: tuple[int, int], stream: RandomStream, scene: Scene | None = None) -> np.ndarray:
    """A random region, bool (y x), true where the picture is painted anew. It is neither empty nor everything.

    It is a rectangle, a blob, a strip along one border or all four (outpainting), or, with a scene, the bounding box of
    one of its objects with a margin.

    Args:
        size: (height, width) in pixels.
        scene: a scene of that size.

    Raises:
        DataError: a side under 2 pixels, or a scene of another size.
    """
    if min(size) < 2:
        raise DataError(f"a hole in {size[1]} x {size[0]} pixels was requested; sides of 2 or more pixels expected")
    if scene is not None and scene.objects.size != tuple(size):
        height, width = scene.objects.size
        raise DataError(
            f"the scene has {width} x {height} pixels; {size[1]} x {size[0]}, the size of the hole, expected"
        )
    while True:
        hole = _draw(size, stream, scene)
        if hole.any() and not hole.all():
            return hole


def _draw(size: tuple[int, int], stream: RandomStream, scene: Scene | None) -> np.ndarray:
    if scene is not None and len(scene.objects.boxes) and stream.bernoulli(0.4):
        return _object(size, stream, scene)
    return stream.choice((_rectangle, _blob, _strip))(size, stream)


def _rectangle(size: tuple[int, int], stream: RandomStream) -> np.ndarray:
    hole = np.zeros(size, bool)
    rows, columns = (_span(length, stream) for length in size)
    hole[rows, columns] = True
    return hole


def _span(length: int, stream: RandomStream) -> slice:
    """From a fifth to four fifths of a side, anywhere."""
    covered = max(1, int(length * stream.uniform(0.2, 0.8)))
    start = stream.integer(length - covered + 1)
    return slice(start, start + covered)


def _blob(size: tuple[int, int], stream: RandomStream) -> np.ndarray:
    """Discs with a ragged outline, one to four of them, that overlap or not."""
    height, width = size
    side = min(size)
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    ragged = noise(height, width, (stream.unit_uniform(), stream.unit_uniform()))
    hole = np.zeros(size, bool)
    for _ in range(1 + stream.integer(4)):
        across, down = x - width * stream.unit_uniform(), y - height * stream.unit_uniform()
        radius = side * stream.uniform(0.1, 0.32)
        hole |= across * across + down * down < (radius * radius) * (1 + 1.5 * ragged)
    return hole


def _strip(size: tuple[int, int], stream: RandomStream) -> np.ndarray:
    """All that is beyond a line near one border, or a margin along all four."""
    if stream.bernoulli(0.3):
        top, left, bottom, right = (max(1, int(length * stream.uniform(0.05, 0.3))) for length in (*size, *size))
        hole = np.ones(size, bool)
        hole[top : size[0] - bottom, left : size[1] - right] = False
        return hole
    hole = np.zeros(size, bool)
    turned = hole.T if stream.bernoulli(0.5) else hole
    depth = max(1, int(len(turned) * stream.uniform(0.15, 0.7)))
    turned[slice(None, depth) if stream.bernoulli(0.5) else slice(-depth, None)] = True
    return hole


def _object(size: tuple[int, int], stream: RandomStream, scene: Scene) -> np.ndarray:
    """The bounding box of one object, a tenth to a half larger at each side, by at least two pixels."""
    left, top, right, bottom = stream.choice(scene.objects.boxes.int().tolist())
    wide, tall = (max(2, int(side * stream.uniform(0.1, 0.5))) for side in (right - left, bottom - top))
    hole = np.zeros(size, bool)
    hole[max(0, top - tall) : bottom + tall, max(0, left - wide) : right + wide] = True
    return hole
