"""The block of a diffusion transformer: the target looks at itself, then at its sources."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from saccade.layers.attention import Attention, KeysValues
from saccade.layers.block import BlockConfig
from saccade.layers.mlp import mlp_of
from saccade.layers.modulation import MODULATION_CHUNKS, modulate, repeat_over_tokens
from saccade.layers.norm import NORMS


class DiTBlock(nn.Module):
    """Self-attention, cross-attention to the sources, MLP, with modulation by time (PixArt-α, Chen et al. 2024, figure
    4). The cross-attention is not modulated, and starts at 0.

    source_width: width of the sources' tokens, which are expected normalized.
    """

    def __init__(self, config: BlockConfig, source_width: int):
        super().__init__()
        norm, c = NORMS[config.norm], config
        self.attention_norm = norm(c.width, eps=c.eps)
        self.self_attention = Attention(c.width, c.heads, bias=c.bias, qk_norm=c.qk_norm)
        self.cross_norm = norm(c.width, eps=c.eps)
        self.cross_attention = Attention(c.width, c.heads, source_width=source_width, bias=c.bias, qk_norm=c.qk_norm)
        self.mlp_norm = norm(c.width, eps=c.eps)
        self.mlp = mlp_of(c.width, c.hidden, c.activation, c.bias)
        self.table = nn.Parameter(torch.zeros(MODULATION_CHUNKS * c.width))
        for parameter in self.cross_attention.out.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        modulation: Float[Tensor, "b g e"],
        source: KeysValues,
        mask: Shaped[Tensor, "..."] | None = None,
        angles: Float[Tensor, "n half"] | None = None,
        past: KeysValues | None = None,
    ) -> Float[Tensor, "b n d"]:
        """modulation: of each group of frames. source: keys and values of the sources, by
        `cross_attention.keys_values`. mask: of the cross-attention, as in `saccade.attend`. angles: of the
        self-attention. past: keys and values of earlier frames, by `past_keys_values`, that the self-attention sees
        too."""
        parts = repeat_over_tokens(modulation + self.table, x.shape[1]).chunk(MODULATION_CHUNKS, dim=-1)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = parts
        seen = modulate(self.attention_norm(x), shift, scale)
        keys_values = None if past is None else past.followed_by(self.self_attention.keys_values(seen, angles))
        x = x + gate * self.self_attention(seen, angles=angles, keys_values=keys_values)
        x = x + self.cross_attention(self.cross_norm(x), mask=mask, keys_values=source)
        return x + mlp_gate * self.mlp(modulate(self.mlp_norm(x), mlp_shift, mlp_scale))

    def past_keys_values(
        self,
        x: Float[Tensor, "b n d"],
        modulation: Float[Tensor, "b g e"],
        angles: Float[Tensor, "n half"] | None = None,
    ) -> KeysValues:
        """Keys and values, for the self-attention of later frames, of the tokens of earlier ones."""
        shift, scale = repeat_over_tokens(modulation + self.table, x.shape[1]).chunk(MODULATION_CHUNKS, dim=-1)[:2]
        return self.self_attention.keys_values(modulate(self.attention_norm(x), shift, scale), angles)
