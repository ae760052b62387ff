"""Where the tokens of attention in windows lie in the picture (Swin: Liu et al. 2021, section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from saccade.errors import SaccadeError

Grid = tuple[int, int, int]  # how many pictures, rows and columns there are, in tokens
PADDED = -1


@dataclass(frozen=True, eq=False)
class Windows:
    """Where each token of a call lies.

    places: of each (folded batch, target) its picture, row and column, all -1 for padding. grid: how many pictures,
    rows and columns there are, in tokens. sources: the same of the sources, on a finer grid, where the queries were
    pooled (Hiera: Ryali et al. 2023); None where both lie in the same places.
    """

    places: Int[Tensor, "b n 3"]
    grid: Grid
    sources: "Windows | None" = None

    @classmethod
    def checked(cls, places: Tensor, grid: Sequence[int], b: int, n: int) -> "Windows":
        """The layout of b windows of n tokens. Raises ValueError if it cannot be one."""
        p, y, x = (int(size) for size in grid)
        if places.shape != (b, n, 3) or places.dtype != torch.int64 or min(p, y, x) < 1:
            raise ValueError(f"places of shape {tuple(places.shape)} on a grid of {(p, y, x)}")
        real = places[(places >= 0).all(dim=-1)]
        sizes = torch.tensor([p, y, x])
        if bool((places >= 0).any(dim=-1).sum() != len(real)) or bool((real >= sizes).any()):
            raise ValueError(f"places outside of a grid of {(p, y, x)}")
        if len(real.unique(dim=0)) != len(real):
            raise ValueError("several tokens at one place")
        return cls(places, (p, y, x))

    @classmethod
    def of_numbers(cls, numbers: Int[Tensor, "b n"], grid: Grid) -> "Windows":
        """By the number of the place of each token, counted picture by picture and row by row; -1 for padding."""
        places = torch.stack(torch.unravel_index(numbers.long().clamp(min=0), grid), dim=-1)
        return cls(places.masked_fill(numbers[..., None] < 0, PADDED), grid)

    def find(self, picture: int, row: int, column: int) -> tuple[int, int]:
        """The folded batch and the token at a place. Raises SaccadeError if there is none."""
        place = (picture, row, column)
        if not all(0 <= i < size for i, size in zip(place, self.grid, strict=True)):
            raise SaccadeError(f"picture, row, column {place}: there are {self.grid} of them, counted from 0")
        number = int(self.tokens[place])
        if number < 0:
            raise SaccadeError(f"picture, row, column {place} is in no window of this call")
        return divmod(number, self.places.shape[1])

    def row(self, folded: int, weights: Float[Tensor, "h m"], picture: int | None = None) -> Float[Tensor, "h y x"]:
        """What a token of one window attends to, laid on its picture. picture: which, where the tokens of several lie
        in one sequence."""
        sources = self.sources or self
        places = sources.places[folded].to(weights.device)
        real = places[:, 0] >= 0 if picture is None else places[:, 0] == picture
        out = weights.new_zeros(len(weights), *sources.grid[1:])
        out[:, places[real, 1], places[real, 2]] = weights[:, real]
        return out

    def picture(self, values: Shaped[Tensor, "b h n"]) -> Shaped[Tensor, "p h y x"]:
        """A number for each target, such as `call.entropy()`, laid on the pictures; 0 where no token lies."""
        flat = values.movedim(1, -1).flatten(0, 1)  # (b n) h
        laid = flat[self.tokens.clamp(min=0).to(flat.device)] * (self.tokens >= 0).to(flat)[..., None]
        return laid.movedim(-1, 1)

    @cached_property
    def tokens(self) -> Int[Tensor, "p y x"]:
        """The number of the token at each place, counted over the folded batch; -1 where none lies."""
        real = self.places[..., 0] >= 0
        tokens = torch.full(self.grid, -1)
        tokens[tuple(self.places[real].T)] = real.flatten().nonzero()[:, 0]
        return tokens
