"""From what the networks of public segmenters answer to the class of every pixel, as transformers reads them."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

# What a network answers, its image processor, and (height, width) of the picture -> scores (c y x).
Read = Callable[[Any, Any, tuple[int, int]], Tensor]
MAX_SCORES = 2**28  # scores held in full size at a time: 1 GiB in fp32


def argmax_mask(scores: Float[Tensor, "c y x"], size: tuple[int, int], limit: int = MAX_SCORES) -> UInt8[Tensor, "h w"]:
    """The class of each pixel of a picture of `size` (height, width): scores are resized bilinearly, then the largest
    is taken, the first of equals. At most 256 classes.

    Not more than `limit` resized scores are held: 150 classes of a 12 megapixel photograph would be 7 GB.
    """
    some = max(1, limit // (size[0] * size[1]))
    best = mask = None
    for first in range(0, len(scores), some):
        part = F.interpolate(scores[None, first : first + some], size=size, mode="bilinear", align_corners=False)[0]
        highest, index = part.max(dim=0)
        index = (index + first).to(torch.uint8)
        if best is None or mask is None:
            best, mask = highest, index
        else:
            better = highest > best
            best, mask = torch.where(better, highest, best), torch.where(better, index, mask)
    assert mask is not None
    return mask


def pixel_scores(out: Any, processor: Any, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
    """The network's own logits a class."""
    return out.logits[0].float()


def query_scores(out: Any, processor: Any, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
    """Each query's class and mask multiplied, summed over queries (Cheng et al. 2021, section 3.4)."""
    classes = out.logits if "logits" in out else out.class_queries_logits
    masks = out.pred_masks if "pred_masks" in out else out.masks_queries_logits
    return _summed(classes.float(), masks.float())[0]


def mask2former_scores(out: Any, processor: Any, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
    """As `query_scores`, with masks resized to 384 x 384 first for every picture size, as in transformers."""
    masks = F.interpolate(out.masks_queries_logits.float(), size=(384, 384), mode="bilinear", align_corners=False)
    return _summed(out.class_queries_logits.float(), masks)[0]


def eomt_scores(out: Any, processor: Any, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
    """As `query_scores`, of each of the squares that EoMT's processor cuts the picture into along its longer side;
    where squares overlap, their mean (Kerssies et al. 2025)."""
    from transformers.image_transforms import get_size_with_aspect_ratio

    short, long = processor.size["shortest_edge"], processor.size["longest_edge"]
    masks = F.interpolate(out.masks_queries_logits.float(), size=(short, long or short), mode="bilinear")
    scores = _summed(out.class_queries_logits.float(), masks)
    if not out.patch_offsets:
        return scores[0]
    total = scores.new_zeros(scores.shape[1], *get_size_with_aspect_ratio(size, short, long))
    times = torch.zeros_like(total)
    for square, (_, start, end) in zip(scores, out.patch_offsets, strict=True):
        where = (slice(None), slice(start, end)) if size[0] > size[1] else (..., slice(start, end))
        total[where] += square
        times[where] += 1
    return total / times.clamp(min=1)


def _summed(classes: Float[Tensor, "b q c+1"], masks: Float[Tensor, "b q y x"]) -> Float[Tensor, "b c y x"]:
    """The last class says that a query stands for nothing."""
    return torch.einsum("bqc, bqhw -> bchw", classes.softmax(dim=-1)[..., :-1], masks.sigmoid())
