"""Where the patches of a picture lie that a processor gives as a list (SigLIP 2's NaFlex, Qwen-VL, Pix2Struct, Kimi).

The processor is probed: it prepares pictures of the size of the picture that grow brighter from top to bottom and from
left to right, two of noise, a black and a white one. The brightness of a patch in the first two, between those of the
last two, is its row and its column; a patch that is the same in both of noise is padding, and a number that is the same
in them for all patches is none of the picture's.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput, pixels_of
from saccade.errors import SaccadeError
from saccade.studio.places.tensor_places import PADDING, Grids

SAME = 2e-3  # of the range of brightness: patches of one row differ by less
OFF = 0.05  # of the side of the picture: how far a row may lie from where it is expected

Prepare = Callable[[Image.Image], ModelInput]


def patch_places(
    prepare: Prepare, image: Image.Image, pixels: Float[Tensor, "..."], grids: Grids
) -> tuple[Int[Tensor, "..."], tuple[int, int]]:
    """The place of every number of a list of patches of the whole picture, and the grid. pixels: (n numbers),
    (1 n numbers) or (n ...) of four axes. Raises SaccadeError where they are not all patches of one grid, each once."""
    changes = (_patches(prepare, noise, pixels) for noise in noises(image.size))
    changed = next(changes) != next(changes)
    real, own = changed.any(1), changed.any(0)
    if not bool(real.any()):
        raise SaccadeError("its input is the same for every picture, so that nothing tells where its patches lie")
    down = Image.linear_gradient("L").resize(image.size)  # brighter from top to bottom
    across = Image.linear_gradient("L").rotate(90).resize(image.size)  # from left to right
    shown = [down, across, *(Image.new("L", image.size, grey) for grey in (0, 255))]
    rows, columns, black, white = (_patches(prepare, each, pixels)[real][:, own] for each in shown)
    spread = white - black
    if bool(spread.abs().min() > 0.1 * (rows.max() - rows.min())):
        sides = [((each - black) / spread).mean(1) for each in (rows, columns)]
    else:  # the picture is normalized by its own mean, so that all of one colour are alike
        sides = [_relative(each.mean(1)) for each in (rows, columns)]
        _check_uncropped(prepare, image, pixels, real, own)
    (y, height), (x, width) = (_numbered(each) for each in sides)
    cells = y * width + x
    if not torch.equal(cells.sort().values, torch.arange(height * width)):
        raise SaccadeError(f"{len(cells)} patches are no whole grid of {height} rows and {width} columns")
    places = torch.full(changed.shape, PADDING, dtype=torch.int32)
    places[real] = grids.codes(height, width).flatten()[cells][:, None].expand(-1, changed.shape[1])
    places[:, ~own] = PADDING
    return places.view(pixels.shape), (height, width)


def noises(size: tuple[int, int]) -> list[Image.Image]:
    """Two pictures of (width, height) that differ in every pixel."""
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in (noise, noise + np.uint8(128))]


def probe_processor(prepare: Prepare, image: Image.Image, like: Tensor) -> Tensor:
    """The numbers that a processor makes of another picture. Raises SaccadeError if they have another shape."""
    given = pixels_of(prepare(image.convert("RGB"))).detach().float().cpu()
    if given.shape != like.shape:
        raise SaccadeError(f"pictures of one size become {tuple(like.shape)} and {tuple(given.shape)}")
    return given


def _patches(prepare: Prepare, image: Image.Image, like: Tensor) -> Float[Tensor, "n numbers"]:
    given = probe_processor(prepare, image, like)
    return given.flatten(0, -2) if given.ndim <= 3 else given.flatten(1)


def _relative(brightness: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """From the middle of the first row to that of the last one, if they are as many as they seem: brightness 0 to 1."""
    least, most = brightness.min(), brightness.max()
    side = (brightness - least) / (most - least).clamp_min(1e-12)
    count = int((side.sort().values.diff() > SAME).sum()) + 1
    return (side * (count - 1) + 0.5) / count


def _check_uncropped(prepare: Prepare, image: Image.Image, pixels: Tensor, real: Tensor, own: Tensor) -> None:
    """Raise SaccadeError unless a dark quarter and three dark quarters of the picture are as much of the patches."""
    width, height = image.size
    for share in (0.25, 0.75):
        for box in ((0, 0, round(share * width), height), (0, 0, width, round(share * height))):
            shown = Image.new("L", image.size, 255)
            shown.paste(0, box)
            found = _patches(prepare, shown, pixels)[real][:, own]
            bright = (found - found.min()) / (found.max() - found.min()).clamp_min(1e-12)
            if abs(1 - float(bright.mean()) - share) > OFF:
                raise SaccadeError("patches that do not cover the picture evenly")


def _numbered(side: Float[Tensor, "n"]) -> tuple[Int[Tensor, "n"], int]:
    """The row (or column) of each patch by its brightness, and their number."""
    order = side.argsort()
    steps = side[order].diff() > SAME
    number = torch.cat([torch.zeros(1, dtype=torch.long), steps.long().cumsum(0)])
    count = int(number[-1]) + 1
    numbers = torch.empty_like(number)
    numbers[order] = number
    expected = (numbers + 0.5) / count
    if not bool(((side - expected).abs() < OFF).all()):
        raise SaccadeError("patches that do not cover the picture evenly")
    return numbers, count
