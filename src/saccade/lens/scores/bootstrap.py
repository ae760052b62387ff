"""How sure a score is: the bootstrap over pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

RESAMPLED = 2000  # times
AT_ONCE = 100  # of them


@dataclass(frozen=True)
class Measured:
    """A score over pictures. value: of what was given. low, high: 95 % interval of it. random: of what chance gives:
    maps of random numbers on the same grids, or heads drawn at random."""

    value: float
    low: float
    high: float
    random: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}), random {self.random:.3f}"


def interval(
    per_picture: Float[Tensor, "p s"], score: Callable[[Float[Tensor, "r s"]], Float[Tensor, "r"]], seed: int
) -> tuple[float, float]:
    """95 % interval of a score of p pictures: the bootstrap's percentiles (Efron & Tibshirani 1993, chapter 13).

    per_picture: what is summed up over pictures. score: made of such sums, of r draws at once.
    """
    pictures = len(per_picture)
    draws = torch.randint(pictures, (RESAMPLED, pictures), generator=torch.Generator().manual_seed(seed))
    sums = torch.cat([per_picture[some].sum(dim=1) for some in draws.split(AT_ONCE)])
    low, high = score(sums).quantile(torch.tensor([0.025, 0.975], dtype=per_picture.dtype)).tolist()
    return low, high


def measured(
    maps: Float[Tensor, "p s"],
    random: Float[Tensor, "p s"],
    score: Callable[[Float[Tensor, "r s"]], Float[Tensor, "r"]],
    seed: int,
) -> Measured:
    """The score of all pictures, its interval, and that of random maps."""
    value, chance = (float(score(each.sum(dim=0, keepdim=True))) for each in (maps, random))
    return Measured(value, *interval(maps, score, seed), chance)


def control_generator(seed: int) -> torch.Generator:
    """Of the random maps: not the numbers of `torch.manual_seed(seed)`, of which what they are compared with may be
    made."""
    return torch.Generator().manual_seed(seed + 0x5ACCADE)  # PyTorch's generator reads 32 bits
