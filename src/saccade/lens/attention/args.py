"""The arguments of an attention call, brought to q (b h n k), k (b g m k), v (b g m c) and a mask."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade import ops
from saccade.lens.attention.kernels import KernelCall
from saccade.lens.attention.processes import DISTRIBUTED, distributed

TRANSFORMED = "it ran inside a torch.func transform (vmap, grad), whose tensors do not outlive it"
NO_NUMBERS = "it ran on tensors without numbers (meta or fake ones)"
Four = tuple[Tensor, Tensor, Tensor, Tensor | None]


@dataclass(eq=False)
class AttentionArgs:
    """The arguments of one attention call, as the model gave them, or as an edit rewrote them.

    borrowed: an edit gave it sources of another run. scores: the mask is the scores, and q and k are zeros. headless:
    why its second axis is not that of all heads, "" if it is; of separate operations that cannot always be told.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None = None
    scale: float | None = None
    causal: bool = False
    borrowed: bool = False
    dropout: float = 0.0
    scores: bool = False
    headless: str = ""

    @classmethod
    def of_kernel(cls, kernel: KernelCall) -> "AttentionArgs":
        """The arguments of a kernel that was called directly."""
        return cls(kernel.q, kernel.k, kernel.v, kernel.mask, kernel.scale, kernel.causal, dropout=kernel.dropout)


def _sdpa(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
) -> AttentionArgs:
    return AttentionArgs(query, key, value, _written(attn_mask, query.device), scale, is_causal, dropout=dropout_p)


def _written(mask: Tensor | None, device: torch.device) -> Tensor | None:
    """A mask with numbers. Those of a `CausalBias` are never written: its class and its two lengths are the mask."""
    # Its module imports PyTorch's compiler, which takes a second; no mask is of its class before it is imported.
    bias = sys.modules.get("torch.nn.attention.bias")
    if bias is None or not isinstance(mask, bias.CausalBias):
        return mask
    n, m = mask.seq_len_q, mask.seq_len_kv
    first = m - n if mask.variant == bias.CausalVariant.LOWER_RIGHT else 0
    return torch.ones(n, m, dtype=torch.bool, device=device).tril(first)


def _attend(q, k, v, mask=None, scale=None, causal=False) -> AttentionArgs:
    return AttentionArgs(q, k, v, mask, scale, causal)


# Functions that compute attention of q, k and v that they are given -> their arguments as `AttentionArgs`.
ATTENTION_FUNCTIONS: dict[Callable, Callable[..., AttentionArgs]] = {
    F.scaled_dot_product_attention: _sdpa,
    ops.attend: _attend,
}


@lru_cache(maxsize=4096)
def is_named_attention(func: Callable) -> bool:
    """Whether any other function is named like attention."""
    return "attention" in str(getattr(func, "__name__", func)).lower()


def why_not_kept(arguments: AttentionArgs) -> str:
    """Why q and k cannot be kept, or "" if they can."""
    if distributed(arguments.q) or distributed(arguments.k):
        return DISTRIBUTED
    if arguments.q.is_nested or arguments.k.is_nested:
        return "it attended over nested (ragged) tensors, which have no (b h n m) shape"
    if transformed():
        return TRANSFORMED
    return NO_NUMBERS if is_shape_only(arguments.q) else ""


def is_shape_only(t: Tensor) -> bool:
    """Whether a tensor has a shape only."""
    return t.is_meta or type(t).__name__ == "FakeTensor"


def transformed() -> bool:
    """Whether this runs inside a transform of torch.func."""
    return torch._C._functorch.maybe_current_level() is not None


def inside_vmap() -> bool:
    """Whether this runs inside vmap, below which there is another batch axis, or one call for each example."""
    levels = torch._C._functorch.get_interpreter_stack() or []
    return any(level.key() == torch._C._functorch.TransformType.Vmap for level in levels)


def kernel_inputs(arguments: AttentionArgs, kernel: KernelCall | None) -> Four:
    """q (b h n k), k (b g m k), v (b g m c) and the mask as the kernel saw them: in its dtype, without its padding.

    kernel: None if no fused kernel took the call (PyTorch's own products did); then the dtype is autocast's.
    """
    if kernel is None:
        return as_four_axes(arguments)
    mask = arguments.mask
    if mask is not None and kernel.mask is not None and mask.dtype != torch.bool:
        mask = mask.to(kernel.mask.dtype)
    return _unpadded(arguments.q, kernel.q), _unpadded(arguments.k, kernel.k), _unpadded(arguments.v, kernel.v), mask


def as_four_axes(arguments: AttentionArgs) -> Four:
    """The same from the arguments alone, in the dtype that autocast makes of them.

    Three axes are (b n k) with one head, two (n k); more than four are folded into b. Batches are broadcast.
    """
    most = max(arguments.q.ndim, arguments.k.ndim, arguments.v.ndim)
    q, k, v = (_autocast(t)[(None,) * (most - t.ndim)] for t in (arguments.q, arguments.k, arguments.v))
    mask = arguments.mask
    if mask is not None and mask.dtype != torch.bool:
        mask = _autocast(mask)
    if most <= 3:
        q, k, v = (t[(None,) * (3 - most)].unsqueeze(1) for t in (q, k, v))
        if mask is not None and mask.ndim == 3:
            mask = mask.unsqueeze(1)
    lead = torch.broadcast_shapes(q.shape[:-3], k.shape[:-3], v.shape[:-3])
    if mask is not None and mask.ndim > 4:
        alike = all(size == 1 for size in mask.shape[:-3])
        mask = mask.expand(*([1] * len(lead) if alike else lead), *mask.shape[-3:]).flatten(0, -4)
    q, k, v = (t.expand(*lead, *t.shape[-3:]) for t in (q, k, v))
    if q.shape[-3] == 1:  # one head of queries for several of keys
        q = q.expand(*lead, k.shape[-3], -1, -1)
    return q.flatten(0, -4), k.flatten(0, -4), v.flatten(0, -4), mask


def heads_as_targets(module: nn.Module, given: Sequence[Tensor], q: Tensor, k: Tensor) -> bool:
    """Whether the targets of q (b g n k) are the heads of one token that share a head of keys, and not n tokens.

    transformers lays them out so, to decode with grouped queries and a mask without repeating the keys. given: the
    inputs of the module that attends, of which the first is (b 1 width) then.
    """
    groups = getattr(module, "num_key_value_groups", 1)
    one = bool(given) and given[0].ndim == 3 and given[0].shape[1] == 1
    return one and q.ndim == 4 and q.shape[2] == groups > 1 and q.shape[1] == k.shape[1]


def with_one_target(q: Tensor, lse: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Such queries, log-sum-exp and mask with all heads and one target: (b h 1 k), (b h 1), broadcastable to
    (b h 1 m)."""
    b, g, n, _ = q.shape
    if mask is not None and mask.ndim == 4 and mask.shape[2] > 1:
        mask = mask.expand(-1, g, -1, -1).reshape(-1, g * n, 1, mask.shape[3])
    return q.reshape(b, g * n, 1, -1), None if lse is None else lse.reshape(b, g * n, 1), mask


def _unpadded(given: Tensor, computed: Tensor) -> Tensor:
    """The kernel's tensor without the padding of its width; the argument where the kernel's heads are repeated."""
    if computed.shape[:-1] == given.shape[:-1]:
        return computed if computed.shape == given.shape else computed[..., : given.shape[-1]]
    return given.to(computed.dtype)


def _autocast(t: Tensor) -> Tensor:
    device = t.device.type
    if not torch.amp.is_autocast_available(device):  # meta
        return t
    if torch.is_autocast_enabled(device) and t.is_floating_point() and t.dtype != torch.float64:
        return t.to(torch.get_autocast_dtype(device))
    return t
