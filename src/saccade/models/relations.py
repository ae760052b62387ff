"""How found objects relate, read from the attention by which their queries looked at one another."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saccade.ops.boxes import iou, to_corners

RARE = -3.0  # logit of 5 %: most pairs are not related


class RelationHead(nn.Module):
    """A logit for each (subject, object, kind of relation).

    The decoder's self-attention already compares every two queries; its queries stand for the subject and its keys for
    the object, from all blocks (EGTR, Im et al. 2024, 3.2). How the two boxes lie is added, because "near" and "above"
    are decided by it.
    """

    def __init__(self, width: int, blocks: int, relations: int, hidden: int = 96):
        super().__init__()
        self.subject = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(blocks))
        self.object = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(blocks))
        self.geometry = nn.Linear(_GEOMETRY, hidden)
        last = nn.Linear(hidden, relations)
        nn.init.constant_(last.bias, RARE)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), last)

    def forward(
        self,
        looks: list[tuple[Float[Tensor, "b n d"], Float[Tensor, "b n d"]]],
        boxes: Float[Tensor, "b n 4"],
    ) -> Float[Tensor, "b n n r"]:
        """looks: queries and keys of the self-attention of each block. boxes: centred, in shares of the picture."""
        subject = sum(layer(q) for layer, (q, _) in zip(self.subject, looks, strict=True))
        object_ = sum(layer(k) for layer, (_, k) in zip(self.object, looks, strict=True))
        pairs = subject[:, :, None] + object_[:, None, :] + self.geometry(pair_geometry(boxes))
        return self.mix(pairs)


_GEOMETRY = 9


def pair_geometry(boxes: Float[Tensor, "b n 4"]) -> Float[Tensor, "b n n 9"]:
    """How the second box of each pair lies from the first: the shift of centres, the gaps between facing edges on
    either axis (negative: they overlap) in both directions, the logarithms of width and height ratios, and IoU."""
    corners = to_corners(boxes)
    a, b = boxes[:, :, None], boxes[:, None, :]
    shift = b[..., :2] - a[..., :2]
    size = (b[..., 2:] / a[..., 2:].clamp(min=1e-4)).clamp(min=1e-4).log()
    first, second = corners[:, :, None], corners[:, None, :]
    gaps = torch.cat([second[..., :2] - first[..., 2:], first[..., :2] - second[..., 2:]], dim=-1)
    return torch.cat([shift, gaps, size, iou(first, second)[..., None]], dim=-1)
