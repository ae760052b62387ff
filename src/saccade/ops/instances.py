"""Masks of single objects: the score of a query at a pixel depends on where the pixel lies in the query's box."""

import torch
from jaxtyping import Float
from torch import Tensor

FAR = 3.0  # half sides of a box: a pixel that is farther away counts as this far
GEOMETRY = 6  # 1, x, y, x², y², xy


def box_offsets(points: Float[Tensor, "n p 2"], boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n p 2"]:
    """Points (x, y) relative to the centre of a box, in half sides: -1 and 1 are its edges. boxes: centre x, centre y,
    width, height, in the unit of the points."""
    centre, half = boxes[:, None, :2], boxes[:, None, 2:] / 2
    return ((points - centre) / half.clamp(min=1e-6)).clamp(-FAR, FAR)


def mask_logits(
    queries: Float[Tensor, "n c"], pixels: Float[Tensor, "n p e"], offsets: Float[Tensor, "n p 2"]
) -> Float[Tensor, "n p"]:
    """Logits of n objects, each at p pixels: above 0 inside the object.

    A query holds three vectors q of e numbers, then GEOMETRY coefficients g: c = 3 e + GEOMETRY. With the features f
    of a pixel and its offset (x, y) from the query's box, the logit is

        (q0 + x q1 + y q2) · f / √e  +  g · (1, x, y, x², y², xy)

    The first term is an attention score whose query moves with the pixel, so that pixels of equal features in different
    objects differ (relative coordinates: CondInst, Tian et al. 2020, 3.2); the second, a conic, places the object
    (Neven et al. 2019, 3.1.2). Computed in float32.
    """
    e = pixels.shape[-1]
    with torch.autocast(queries.device.type, enabled=False):
        queries, pixels, offsets = queries.float(), pixels.float(), offsets.float()
        x, y = offsets.unbind(-1)
        moving = queries[:, : 3 * e].unflatten(1, (3, e)) * e**-0.5
        q0, q1, q2 = (pixels @ moving.mT).unbind(-1)  # (n p) each
        places = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], dim=-1)
        return q0 + x * q1 + y * q2 + (places @ queries[:, 3 * e :, None])[..., 0]
