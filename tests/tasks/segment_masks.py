"""Masks with what is hard to write down: holes, areas that touch at a corner, single pixels, edges of the picture."""

import torch

from saccade.data.segments import IGNORE_INDEX


def ring() -> torch.Tensor:
    """uint8 (13 17): class 1 with a hole of 0, in it an island of 2; 3 touches itself at corners only; 4 is nowhere."""
    mask = torch.zeros(13, 17, dtype=torch.uint8)
    mask[1:10, 2:11] = 1
    mask[3:8, 4:9] = 0
    mask[5, 6] = 2
    for i in range(5):
        mask[i + 8, 12 + i] = 3
    mask[0, 0] = mask[12, 0] = 2
    return mask


def noise(classes: int, seed: int = 0, size: tuple[int, int] = (23, 31), ignored: bool = False) -> torch.Tensor:
    """uint8 (y x): every class in many specks."""
    made = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, classes, size, generator=made, dtype=torch.uint8)
    if ignored:
        mask[torch.rand(size, generator=made) < 0.1] = IGNORE_INDEX
    return mask
