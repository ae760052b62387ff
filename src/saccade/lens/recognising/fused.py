"""PyTorch's fused layers: queries and keys computed once more from the arguments of the operation, beside it.

`nn.TransformerEncoderLayer` and `nn.MultiheadAttention` run as one operation without gradients ("fast path"), which
returns no queries and keys. Its arguments are the input and all weights, so these are projected here as the operation
does it, and some rows of the output are computed from them and compared with the operation's own.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten
LAYER, ATTENTION = aten._transformer_encoder_layer_fwd.default, aten._native_multi_head_attention.default
WHOLE = (LAYER, ATTENTION)
ROWS = 3  # tokens of the output that are compared, in the first and in the last picture


@dataclass(eq=False)
class Projected:
    """q, k, v (b h n k) of one fused layer. allowed: broadcastable to (b h n m), True where a target may attend."""

    q: Tensor
    k: Tensor
    v: Tensor
    allowed: Tensor | None
    x: Tensor  # (b n d) what went in, padded where it was nested
    real: Tensor | None  # (b n) True where there is a token, of nested input
    self_attention: bool = True


def projected(func: Any, args: tuple, kwargs: dict, out: Any) -> Projected | str:
    """What a fused layer attended with, or why it cannot be determined."""
    given = bind_arguments(func, args, kwargs)
    if func is LAYER:
        query = key = value = given["src"]
        heads = given["num_heads"]
    else:
        query, key, value, heads = given["query"], given["key"], given["value"], given["num_head"]
    if not all(t is query or not t.is_nested for t in (key, value)):
        return "PyTorch's fused attention of several nested (ragged) tensors, which have no (b h n m) shape"
    x, real = _padded(query)
    if func is LAYER and given["norm_first"]:
        inner = F.layer_norm(x, x.shape[-1:], given["norm_weight_1"], given["norm_bias_1"], given["eps"])
    else:
        inner = x
    sources = [inner if t is query else t for t in (key, value)]
    width = given["embed_dim"]
    weights, biases = given["qkv_weight"].split(width), given["qkv_bias"].split(width)
    q, k, v = (
        F.linear(t, w, b).unflatten(-1, (heads, -1)).transpose(1, 2)
        for t, w, b in zip((inner, *sources), weights, biases, strict=True)
    )
    allowed = _allowed(given["mask"], given["mask_type"], q.shape, k.shape[2])
    if isinstance(allowed, str):
        return allowed
    if real is not None:
        both = real[:, None, :, None] & real[:, None, None, :]  # a target that is not there attends to nothing
        allowed = both if allowed is None else allowed & both
    found = Projected(q, k, v, allowed, x, real, key is query)
    if not _agrees(found, func, given, out):
        return "PyTorch's fused layer gave another output than its queries, keys and values do as they are known here"
    return found


def bind_arguments(func: Any, args: tuple, kwargs: dict) -> dict[str, Any]:
    """The arguments of an operation by the names of its schema."""
    schema = func._schema.arguments
    defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
    return defaults | {a.name: value for a, value in zip(schema, args, strict=False)} | kwargs


def _padded(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """A nested tensor as (b n d) and where it has tokens (b n)."""
    if not x.is_nested:
        return x, None
    lengths = torch.tensor([len(part) for part in x.unbind()], device=x.device)
    padded = torch.nested.to_padded_tensor(x, 0.0)
    return padded, torch.arange(padded.shape[1], device=x.device) < lengths[:, None]


def _allowed(mask: Tensor | None, kind: int | None, q: torch.Size, m: int) -> Tensor | str | None:
    """The mask of the operation, in which any number but 0 forbids, as what is allowed (b|1 h|1 n|1 m).

    kind: 0 (n m), 1 padding (b m), 2 (b h n m), as in `nn.MultiheadAttention.merge_masks`.
    """
    if mask is None:
        return None
    shape = {0: (1, 1, q[2], m), 1: (q[0], 1, 1, m), 2: (q[0], q[1], q[2], m)}.get(2 if kind is None else kind)
    if shape is None or mask.numel() != math.prod(shape):
        return f"PyTorch's fused layer took a mask of {tuple(mask.shape)} and kind {kind}, which is not known"
    return ~mask.bool().reshape(shape)


def _agrees(found: Projected, func: Any, given: dict[str, Any], out: Any) -> bool:
    """Whether some tokens of the output follow from what was found. Tokens that may attend to nothing are left out."""
    output = out if func is LAYER else out[0]
    output = _padded(output)[0]
    b, _, n, width = found.q.shape
    for picture in {0, b - 1} if b * n else ():
        rows = torch.tensor(sorted({i * (n - 1) // max(1, ROWS - 1) for i in range(ROWS)}), device=found.q.device)
        scores = found.q[picture][:, rows].float() @ found.k[picture].float().mT / math.sqrt(width)
        some = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        if found.allowed is not None:
            allowed = found.allowed.expand(b, scores.shape[0], n, -1)[picture][:, rows]
            scores, some = scores.masked_fill(~allowed, -math.inf), allowed.any(-1).all(0)
        mixed = (scores.softmax(-1) @ found.v[picture].float()).transpose(0, 1).flatten(1)
        y = F.linear(mixed, given["proj_weight"].float(), given["proj_bias"].float())
        y = y if func is ATTENTION else _rest_of_layer(found.x[picture, rows].float(), y, given)
        expected, got = y[some], output[picture, rows].float()[some]
        if len(expected):
            eps = 1e-3 if output.dtype == torch.float32 else 5e-2
            if not bool((expected - got).abs().max() <= eps * max(1.0, float(expected.abs().max()))):
                return False
    return True


def _rest_of_layer(x: Tensor, y: Tensor, given: dict[str, Any]) -> Tensor:
    """An encoder layer after its attention (Xiong et al. 2020, figure 1)."""
    bend = F.gelu if given["use_gelu"] else F.relu

    def norm(t: Tensor, i: int) -> Tensor:
        weight, bias = (given[f"norm_{what}_{i}"].float() for what in ("weight", "bias"))
        return F.layer_norm(t, t.shape[-1:], weight, bias, given["eps"])

    def mlp(t: Tensor) -> Tensor:
        inner = bend(F.linear(t, given["ffn_weight_1"].float(), given["ffn_bias_1"].float()))
        return F.linear(inner, given["ffn_weight_2"].float(), given["ffn_bias_2"].float())

    if given["norm_first"]:
        x = x + y
        return x + mlp(norm(x, 2))
    x = norm(x + y, 1)
    return norm(x + mlp(x), 2)
