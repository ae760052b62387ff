"""The decoder: queries (objects, classes) attend to one another, then to the image."""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from saccade.layers.attention import Attention
from saccade.layers.block import BlockConfig
from saccade.layers.mlp import mlp_of
from saccade.layers.norm import NORMS
from saccade.ops.boxes import edge_offsets


class DecoderBlock(nn.Module):
    """x + self-attention, x + cross-attention to the source, x + MLP, each over normalised tokens (Carion et al.
    2020, figure 10, pre-norm).

    `position` is the embedding of what each query stands for (the box of an object, a class); it is added to the
    attention inputs in every block. Layer scale and drop-path are for deep stacks: if set in the config, they apply to
    the encoder only.
    """

    def __init__(self, config: BlockConfig):
        super().__init__()
        norm, c = NORMS[config.norm], config
        self.self_norm = norm(c.width, eps=c.eps)
        self.self_attention = Attention(c.width, c.heads, bias=c.bias, qk_norm=c.qk_norm)
        self.cross_norm = norm(c.width, eps=c.eps)
        self.cross_attention = Attention(c.width, c.heads, bias=c.bias, qk_norm=c.qk_norm)
        self.mlp_norm = norm(c.width, eps=c.eps)
        self.mlp = mlp_of(c.width, c.hidden, c.activation, c.bias)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        position: Float[Tensor, "#b n d"],
        source: Float[Tensor, "b m d"],
        bias: Float[Tensor, "b h n m"] | None = None,
        mask: Bool[Tensor, "b 1 n n"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """bias: added to the cross-attention scores. mask: True where a query may attend to another."""
        x = x + self.self_attention(self.self_norm(x) + position, mask=mask)
        x = x + self.cross_attention(self.cross_norm(x) + position, source, mask=bias)
        return x + self.mlp(self.mlp_norm(x))

    def self_queries_and_keys(
        self, x: Float[Tensor, "b n d"], position: Float[Tensor, "b n d"]
    ) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b n d"]]:
        """Queries and keys of the self-attention, heads concatenated."""
        x = self.self_norm(x) + position
        return self.self_attention.query(x), self.self_attention.key(x)


class Decoder(nn.Module):
    """The decoder's blocks; optimizers recognise hidden matrices by the name `blocks`."""

    def __init__(self, block: BlockConfig, depth: int):
        super().__init__()
        self.blocks = nn.ModuleList(DecoderBlock(block) for _ in range(depth))


class BoxBias(nn.Module):
    """Box-relative position bias of attention scores: per head, a learned function of the distance of each row and
    column of patches from the edges of the query's box (BoxRPB, Lin et al. 2023, 3.2)."""

    def __init__(self, heads: int, hidden: int = 64):
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads))
        self.columns = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads))

    def forward(self, boxes: Float[Tensor, "b n 4"], grid: tuple[int, int]) -> Float[Tensor, "b h n m"]:
        """boxes: centre x, centre y, width, height, relative to the image."""
        down, across = (_log_scaled(offset) for offset in edge_offsets(boxes, grid))
        rows = rearrange(self.rows(down), "b n y h -> b h n y 1")
        columns = rearrange(self.columns(across), "b n x h -> b h n 1 x")
        return (rows + columns).flatten(-2)


def _log_scaled(offset: Tensor) -> Tensor:
    """sign(x) log2(1 + 8|x|) / 3: finer resolution near an edge than far from it."""
    return offset.sign() * (1 + 8 * offset.abs()).log2() / 3
