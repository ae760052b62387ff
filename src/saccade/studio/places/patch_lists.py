"""Where the patches of a picture lie that a processor gives as a list (SigLIP 2's NaFlex, Qwen-VL).

The processor is probed: it prepares a picture that grows brighter from top to bottom, one that does from left to right,
a black and a white one, all of the size of the picture. The brightness of a patch in the first two is its row and its
column; a patch that is the same in the last two is padding.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput, pixels_of
from saccade.errors import SaccadeError
from saccade.studio.places.shadow import PADDING, Grids

SAME = 2e-3  # of the range of brightness: patches of one row differ by less
OFF = 0.05  # of the side of the picture: how far a row may lie from where it is expected


def patch_places(
    prepare: Callable[[Image.Image], ModelInput], image: Image.Image, pixels: Float[Tensor, "... n c"], grids: Grids
) -> tuple[Int[Tensor, "... n c"], tuple[int, int]]:
    """The place of every number of a list of patches of the whole picture, and the grid. Raises SaccadeError where
    they are not all patches of one grid, each once."""
    down = Image.linear_gradient("L").resize(image.size)  # brighter from top to bottom
    across = Image.linear_gradient("L").rotate(90).resize(image.size)  # from left to right
    shown = [down, across, Image.new("L", image.size, 0), Image.new("L", image.size, 255)]
    rows, columns, black, white = (_means(prepare, each, pixels) for each in shown)
    spread = white - black
    real = spread.abs() > 0.5 * spread.abs().max()
    sides = [((each - black) / torch.where(real, spread, 1.0))[real] for each in (rows, columns)]
    (y, height), (x, width) = (_numbered(each) for each in sides)
    cells = y * width + x
    if not torch.equal(cells.sort().values, torch.arange(height * width)):
        raise SaccadeError(f"{len(cells)} patches are no whole grid of {height} rows and {width} columns")
    places = torch.full(real.shape, PADDING, dtype=torch.int32)
    places[real] = grids.codes(height, width).flatten()[cells]
    return places[..., None].expand(pixels.shape), (height, width)


def _means(prepare: Callable[[Image.Image], ModelInput], image: Image.Image, like: Tensor) -> Float[Tensor, "... n"]:
    given = pixels_of(prepare(image.convert("RGB"))).detach().float().cpu()
    if given.shape != like.shape:
        raise SaccadeError(f"pictures of one size become {tuple(like.shape)} and {tuple(given.shape)}")
    return given.mean(-1)


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
