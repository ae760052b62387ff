"""Images and tokens: equal patches, each flattened to a vector (Dosovitskiy et al. 2021, eq. 1).

For sizes that are not a multiple of the patch size the grid consists of whole patches only, and the remaining pixels,
at most patch - 1 at the right and at the bottom, are ignored (as in a convolution with stride = patch).
Tasks resize images first so that nothing is lost.
"""

from einops import rearrange
from jaxtyping import Shaped
from torch import Tensor

from saccade.errors import SaccadeError


def grid_of(height: int, width: int, patch: int) -> tuple[int, int]:
    """(rows, columns) of whole patches in a picture of height x width pixels. At least one patch must fit."""
    if patch < 1:
        raise SaccadeError(f"a patch must be at least 1 pixel, not {patch}")
    if height < patch or width < patch:
        raise SaccadeError(
            f"a picture of {width} x {height} pixels is smaller than one patch of {patch} x {patch}: enlarge it or "
            "use a smaller patch"
        )
    return height // patch, width // patch


def patchify(picture: Shaped[Tensor, "b c y x"], patch: int) -> Shaped[Tensor, "b n p"]:
    """Cut a picture into n = rows * columns patches, row by row; p = patch * patch * c, channels last.

    patch 1 makes every pixel a token.
    """
    rows, columns = grid_of(picture.shape[2], picture.shape[3], patch)
    whole = picture[:, :, : rows * patch, : columns * patch]
    return rearrange(whole, "b c (r p) (s q) -> b (r s) (p q c)", p=patch, q=patch)


def unpatchify(tokens: Shaped[Tensor, "b n p"], grid: tuple[int, int], patch: int) -> Shaped[Tensor, "b c y x"]:
    """Put patches back into a picture: the inverse of `patchify` for sizes that divide."""
    rows, columns = grid
    if tokens.shape[1] != rows * columns or tokens.shape[2] % patch**2:
        raise SaccadeError(
            f"tokens of shape {tuple(tokens.shape)} do not make {rows} x {columns} patches of {patch} x {patch}"
        )
    return rearrange(tokens, "b (r s) (p q c) -> b c (r p) (s q)", r=rows, p=patch, q=patch)


def tile_starts(length: int, side: int, step: int) -> list[int]:
    """Offsets of tiles of `side` that cover `length` evenly, each at most `step`, 1 or more, after the one before."""
    steps = -(-(length - side) // max(1, step)) if length > side else 0
    return [round(i * (length - side) / steps) if steps else 0 for i in range(steps + 1)]
