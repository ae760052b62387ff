"""The attention layer: W_q turns the target into queries, W_k and W_v the source into keys and values."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers.norm import RMSNorm
from saccade.ops import attend, rotate
from saccade.ops.attention import in_autocast_dtype


class KeysValues(NamedTuple):
    """Keys and values of a source, with their positions applied."""

    keys: Float[Tensor, "b g m k"]
    values: Float[Tensor, "b g m k"]

    def followed_by(self, other: "KeysValues") -> "KeysValues":
        """Those of these tokens, then of the others."""
        return KeysValues(*(torch.cat(both, dim=2) for both in zip(self, other, strict=True)))


class Attention(nn.Module):
    """Multi-head attention of a target to a source (Vaswani et al. 2017, 3.2.2).

    Without a source the target attends to itself: self-attention is the case in which the target is its own
    source.

    kv_heads: heads of keys and values, a divisor of `heads` (grouped queries). source_width: width of the
    source's tokens where it differs. qk_norm: RMS-normalise queries and keys per head (Henry et al. 2020), which
    keeps scores bounded.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kv_heads: int | None = None,
        source_width: int | None = None,
        bias: bool = True,
        qk_norm: bool = False,
    ):
        super().__init__()
        kv_heads = heads if kv_heads is None else kv_heads
        source_width = width if source_width is None else source_width
        if heads < 1 or kv_heads < 1 or width % heads or heads % kv_heads:
            raise SaccadeError(
                f"a width of {width} with {heads} heads and {kv_heads} key-value heads does not divide evenly"
            )
        self.head_width = width // heads
        self.query = nn.Linear(width, width, bias=bias)  # W_q
        self.key = nn.Linear(source_width, kv_heads * self.head_width, bias=bias)  # W_k
        self.value = nn.Linear(source_width, kv_heads * self.head_width, bias=bias)  # W_v
        self.out = nn.Linear(width, width, bias=bias)
        self.query_norm = RMSNorm(self.head_width) if qk_norm else nn.Identity()
        self.key_norm = RMSNorm(self.head_width) if qk_norm else nn.Identity()

    def forward(
        self,
        target: Float[Tensor, "b n d"],
        source: Float[Tensor, "b m e"] | None = None,
        mask: Shaped[Tensor, "..."] | None = None,
        angles: Float[Tensor, "n half"] | None = None,
        source_angles: Float[Tensor, "m half"] | None = None,
        causal: bool = False,
        keys_values: KeysValues | None = None,
    ) -> Float[Tensor, "b n d"]:
        """mask, causal: as in `saccade.attend`. angles, source_angles: rotary positions of target and source
        (`saccade.ops.rotary_angles`). Without a source its angles are the target's; a source that is given brings
        its own, also where it is the target. keys_values: those of the source, where `keys_values` has computed them
        once for many targets."""
        if keys_values is None:
            if source is None:
                if not torch.is_grad_enabled():  # once for three projections; their gradients are summed in fp32
                    (target,) = in_autocast_dtype(target)
                source, source_angles = target, angles
            keys_values = self.keys_values(source, source_angles)
        q = self.query_norm(self._heads(self.query(target)))
        if angles is not None:
            q = rotate(q, angles)
        mixed = attend(q, *keys_values, mask=mask, causal=causal)
        return self.out(rearrange(mixed, "b h n k -> b n (h k)"))

    def keys_values(self, source: Float[Tensor, "b m e"], angles: Float[Tensor, "m half"] | None = None) -> KeysValues:
        """Keys and values of a source. angles: its rotary positions."""
        k = self.key_norm(self._heads(self.key(source)))
        return KeysValues(k if angles is None else rotate(k, angles), self._heads(self.value(source)))

    def _heads(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b h n k"]:
        return rearrange(x, "b n (h k) -> b h n k", k=self.head_width)
