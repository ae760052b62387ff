"""The cross-attention block: the target looks at itself, then at a source."""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from saccade.layers.attention import Attention
from saccade.layers.block import BlockConfig, LayerScaleDropPath
from saccade.layers.mlp import mlp_of
from saccade.layers.norm import NORMS


class CrossBlock(nn.Module):
    """Pre-norm residual block: self-attention, cross-attention to the source, MLP (Vaswani et al. 2017, figure 1, the
    decoder's layer).

    source_width: width of the source's tokens, which are expected normalised.
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
        self.attention_branch = LayerScaleDropPath(c.width, c.layer_scale, c.drop_path)
        self.cross_branch = LayerScaleDropPath(c.width, c.layer_scale, c.drop_path)
        self.mlp_branch = LayerScaleDropPath(c.width, c.layer_scale, c.drop_path)

    def forward(
        self,
        x: Float[Tensor, "p n d"],
        source: Float[Tensor, "b m e"],
        mask: Bool[Tensor, "p 1 1 n"] | None = None,
        angles: Float[Tensor, "n half"] | None = None,
    ) -> Float[Tensor, "p n d"]:
        """p is a multiple of b: p / b consecutive targets share a source, whose keys and values are computed once.

        mask, angles: of the self-attention. The cross-attention has no positions: the source's tokens carry them.
        """
        x = x + self.attention_branch(self.self_attention(self.attention_norm(x), mask=mask, angles=angles))
        x = x + self.cross_branch(self._look(self.cross_norm(x), source))
        return x + self.mlp_branch(self.mlp(self.mlp_norm(x)))

    def _look(self, target: Float[Tensor, "p n d"], source: Float[Tensor, "b m e"]) -> Float[Tensor, "p n d"]:
        together = rearrange(target, "(b t) n d -> b (t n) d", b=source.shape[0])
        seen = self.cross_attention(together, source)
        return rearrange(seen, "b (t n) d -> (b t) n d", n=target.shape[1])
