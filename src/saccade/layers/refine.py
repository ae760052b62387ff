"""Convolutions that correct a prediction of pixels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Refine(nn.Module):
    """Correct predicted pictures by what the noised ones show within a few pixels, across the borders of patches:
    linear maps of tokens predict each patch apart. Three convolutions, modulated by time; U-ViT has one (Bao et al.
    2023, 3.1, figure 2). Starts at 0.

    hidden: channels between the convolutions. width: of the embedding of time.
    """

    def __init__(self, channels: int, hidden: int, width: int):
        super().__init__()
        self.first = nn.Conv2d(2 * channels, hidden, 3, padding=1)
        self.modulation = nn.Linear(width, 2 * hidden)
        self.second = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.out = nn.Conv2d(hidden, channels, 3, padding=1)
        for parameter in (*self.modulation.parameters(), *self.out.parameters()):
            nn.init.zeros_(parameter)

    def forward(
        self, prediction: Float[Tensor, "n c y x"], z: Float[Tensor, "n c y x"], condition: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n c y x"]:
        """z: the noised pictures. condition: embedding of the time of each."""
        shift, scale = self.modulation(F.silu(condition))[:, :, None, None].chunk(2, dim=1)
        seen = torch.cat([prediction, z.to(prediction)], dim=1).contiguous(memory_format=torch.channels_last)
        x = F.silu(torch.addcmul(shift, self.first(seen), 1 + scale))
        return prediction + self.out(F.silu(self.second(x)))
