"""PyTorch's multi_head_attention_forward with its inner attention in the open.

No function mode sees the attention inside it, because PyTorch takes the mode off for the whole function. Its own code
is run with two of the names it uses rebound: the attention it calls, and the question whether a mode is on.
"""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from saccade import ops
from saccade.errors import SaccadeError
from saccade.lens.attention.args import AttentionArgs

PLAIN = F.multi_head_attention_forward
SIGNATURE = inspect.signature(PLAIN)
ATTENTION, MODES = "scaled_dot_product_attention", "has_torch_function"  # as PyTorch's code names them

Attend = Callable[..., tuple[Tensor, AttentionArgs]]


def multi_head_attention(attend: Attend, args: tuple, kwargs: dict) -> tuple[Tensor, Tensor | None]:
    """`F.multi_head_attention_forward(*args, **kwargs)` with `attend` for its fused call, need_weights or not.

    attend: of (q, k, v, mask, dropout, causal) returns the output and the call that was made of it. The weights that
    need_weights=True returns are those of that call before dropout: n x m, as PyTorch's.

    Raises SaccadeError if this version of PyTorch writes the function in another way.
    """
    bound = SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    needed = bound.arguments["need_weights"]
    if needed:  # where weights are needed PyTorch goes by the mask and not by the hint that it is causal
        bound.arguments.update(need_weights=False, is_causal=False)
    made: list[AttentionArgs] = []

    def attention(*call: Any, **options: Any) -> Tensor:
        out, arguments = attend(*call, **options)
        made.append(arguments)
        return out

    out, _ = _with(attention)(*bound.args, **bound.kwargs)
    if len(made) != 1:
        raise SaccadeError("torch.nn.functional.multi_head_attention_forward of this PyTorch cannot be edited: " + HOW)
    if not needed:
        return out, None
    (arguments,) = made
    weights = ops.attention_weights(arguments.q, arguments.k, arguments.mask, arguments.scale, arguments.causal)
    weights = weights.mean(dim=1) if bound.arguments["average_attn_weights"] else weights
    return out, weights if bound.arguments["query"].dim() == 3 else weights.squeeze(0)


HOW = f"expected it to call {ATTENTION} once"


def _with(attention: Callable) -> Callable:
    names = {**PLAIN.__globals__, ATTENTION: attention, MODES: lambda tensors: False}
    own = FunctionType(PLAIN.__code__, names, PLAIN.__name__, PLAIN.__defaults__, PLAIN.__closure__)
    own.__kwdefaults__ = PLAIN.__kwdefaults__
    return own
