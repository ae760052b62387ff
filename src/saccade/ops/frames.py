"""Films as groups of frames: the first frame alone, as a picture, then tubes of two frames.

The frames of a film that goes on from another have no first one: an even number of frames is tubes only.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor

TUBE = 2  # frames


def count_frame_groups(frames: int) -> int:
    """How many groups a number of frames makes: (1 + frames) / 2 where it is odd, frames / 2 where it is even."""
    return frames // TUBE + frames % TUBE


def group_frames(frames: int) -> list[range]:
    """The numbers of the frames of each group."""
    return [range(max(end - TUBE, 0), end) for end in range(frames, 0, -TUBE)][::-1]


def group_times(frames: int, first: int = 0, device: torch.device | None = None) -> Float[Tensor, "g"]:
    """When each group is shown, in units of a tube: frame i is at i / 2, and a tube in the middle of its frames.

    first: number of the first frame.
    """
    numbers = torch.arange(first, first + frames, dtype=torch.float32, device=device)
    lone = numbers[: frames % TUBE]
    return torch.cat([lone, rearrange(numbers[len(lone) :], "(g f) -> g f", f=TUBE).mean(dim=1)]) / TUBE


def repeat_per_frame(values: Shaped[Tensor, "b g *rest"], frames: int) -> Shaped[Tensor, "b f *rest"]:
    """The value of each frame's group."""
    lone = frames % TUBE
    return torch.cat([values[:, :lone], values[:, lone:].repeat_interleave(TUBE, dim=1)], dim=1)
