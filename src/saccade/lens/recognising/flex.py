"""FlexAttention (`torch.nn.attention.flex_attention`) that runs uncompiled: its mask and score functions as a mask."""

import math
from typing import Any

import torch
from torch import Tensor

from saccade.lens.recognising.resolve import AS_SCORES


def is_flex(func: Any) -> bool:
    """Whether an operation is FlexAttention."""
    return isinstance(func, torch._ops.HigherOrderOperator) and func.name() == "flex_attention"


NAMES = ("query", "key", "value", "score_mod", "block_mask", "scale", "kernel_options")
MORE = ("score_mod_other_buffers", "mask_mod_other_buffers")
Found = tuple[tuple[Tensor, Tensor, Tensor, Tensor | None, float], str]


def query_and_key(args: tuple, kwargs: dict) -> tuple[Tensor, Tensor]:
    """The query and key of a call."""
    given = dict(zip(NAMES, args, strict=False)) | kwargs
    return given["query"], given["key"]


def equivalent_call(args: tuple, kwargs: dict, out: Any) -> Found | str:
    """q, k, v, mask and scale of a call of FlexAttention, and a note on how it is kept; or why that is not known.

    Its functions are evaluated for every pair of tokens, as the uncompiled operation itself does. A score function
    that adds something becomes that mask; of any other the resulting scores are kept in place of q and k.
    """
    given = dict(zip((*NAMES, *MORE), args, strict=False)) | kwargs
    scale = given["scale"]
    q, k, v = (given[name].detach().to(out[0].dtype) for name in NAMES[:3])
    k, v = (t.expand(q.shape[0], -1, -1, -1) for t in (k, v))
    allowed, scores, modified = _evaluated(q, k, scale, given)
    bias = modified(torch.zeros_like(scores))
    final = torch.where(allowed, modified(scores), -math.inf)
    lse = out[1].float() * math.log(2.0)  # the operation returns it for base 2
    if lse.shape != final.shape[:3] or not torch.allclose(final.logsumexp(-1).float(), lse, atol=1e-3, rtol=1e-3):
        return "flex_attention returned another log-sum-exp than its functions give"
    if torch.allclose(torch.where(allowed, scores + bias, -math.inf), final, atol=1e-5, rtol=1e-5):
        if not bias.any():
            return (q, k, v, None if allowed.all() else _short(allowed), scale), ""
        return (q, k, v, _short(torch.where(allowed, bias, -math.inf)), scale), ""
    b, h, n, m = final.shape
    none = q.new_zeros(1, 1, 1, 1)
    v = v.repeat_interleave(h // v.shape[1], dim=1)
    why = "its score_mod does more than to add something"
    return (none.expand(b, h, n, 1), none.expand(b, h, m, 1), v, final, 1.0), AS_SCORES.format(n=n, m=m, why=why)


def _evaluated(q: Tensor, k: Tensor, scale: float, given: dict[str, Any]) -> tuple[Tensor, Tensor, Any]:
    """Which sources each target may attend to, the scaled scores, and the score function for all of them at once."""
    from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex
    from torch.nn.attention.flex_attention import _vmap_for_bhqkv

    high = torch.float64 if q.dtype == torch.float64 else torch.float32
    with torch.autocast(q.device.type, enabled=False):
        keys = k.to(high).repeat_interleave(q.shape[1] // k.shape[1], dim=1)
        scores = q.to(high) @ keys.mT * scale
    places = [torch.arange(size, device=q.device) for size in scores.shape]
    of_scores, of_masks = (given.get(f"{name}_mod_other_buffers", ()) for name in ("score", "mask"))

    def modified(s: Tensor) -> Tensor:
        score_mod = _vmap_for_bhqkv(given["score_mod"], prefix=(0,), suffix=(None,) * len(of_scores))
        with TransformGetItemToIndex():
            return score_mod(s, *places, *of_scores).to(high)

    mask_mod = _vmap_for_bhqkv(given["block_mask"][-1], prefix=(), suffix=(None,) * len(of_masks))
    with TransformGetItemToIndex():
        allowed = mask_mod(*places, *of_masks)
    return allowed.expand(scores.shape), scores, modified


def _short(mask: Tensor) -> Tensor:
    """A mask without the pictures, heads and targets over which it is constant."""
    for axis in range(3):
        one = mask.narrow(axis, 0, 1)
        if torch.equal(one.expand_as(mask), mask):
            mask = one
    return mask
