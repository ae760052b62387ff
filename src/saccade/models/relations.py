"""Relations between detected objects, from the self-attention of their queries."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saccade.ops.boxes import cxcywh_to_xyxy, iou

PRIOR_LOGIT = -3.0  # a probability of 5 %: most pairs are not related
_GEOMETRY = 9  # features of `pair_geometry`


class RelationHead(nn.Module):
    """A logit for each (subject, object, relation).

    The self-attention of the decoder already compares every pair of queries. Its query vectors represent the subject
    and its key vectors the object, from all blocks (EGTR, Im et al. 2024, 3.2). The relative geometry of the two boxes
    is added, since it decides relations such as "above" and "inside".
    """

    def __init__(self, width: int, blocks: int, relations: int, hidden: int = 96):
        super().__init__()
        self.subject = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(blocks))
        self.object = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(blocks))
        self.geometry = nn.Linear(_GEOMETRY, hidden)
        last = nn.Linear(hidden, relations)
        nn.init.constant_(last.bias, PRIOR_LOGIT)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), last)

    def forward(
        self,
        queries_and_keys: list[tuple[Float[Tensor, "b n d"], Float[Tensor, "b n d"]]],
        boxes: Float[Tensor, "b n 4"],
    ) -> Float[Tensor, "b n n r"]:
        """queries_and_keys: of the self-attention of each block. boxes: centre x, centre y, width, height, relative to
        the image."""
        subject = sum(layer(q) for layer, (q, _) in zip(self.subject, queries_and_keys, strict=True))
        object_ = sum(layer(k) for layer, (_, k) in zip(self.object, queries_and_keys, strict=True))
        pairs = subject[:, :, None] + object_[:, None, :] + self.geometry(pair_geometry(boxes))
        return self.mix(pairs)


def pair_geometry(boxes: Float[Tensor, "b n 4"]) -> Float[Tensor, "b n n 9"]:
    """Geometry of the second box of each pair relative to the first: the offset of the centres (2), the gaps between
    facing edges along both axes in both directions, negative where the boxes overlap (4), the log ratios of widths and
    heights (2), and the IoU (1)."""
    corners = cxcywh_to_xyxy(boxes)
    a, b = boxes[:, :, None], boxes[:, None, :]
    offset = b[..., :2] - a[..., :2]
    size = (b[..., 2:] / a[..., 2:].clamp(min=1e-4)).clamp(min=1e-4).log()
    first, second = corners[:, :, None], corners[:, None, :]
    gaps = torch.cat([second[..., :2] - first[..., 2:], first[..., :2] - second[..., 2:]], dim=-1)
    return torch.cat([offset, gaps, size, iou(first, second)[..., None]], dim=-1)
