"""The decoder: learned queries (for objects, for classes) look at one another, then at the picture."""

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

    `place` says what each query is there for (where an object's box is, which class); it is added to what the
    attentions see, in every block anew. Layer scale and drop-path are for deep stacks: a config that asks for them gets
    them in the encoder alone.
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
        place: Float[Tensor, "#b n d"],
        source: Float[Tensor, "b m d"],
        bias: Float[Tensor, "b h n m"] | None = None,
        mask: Bool[Tensor, "b 1 n n"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """bias: added to the scores of the cross-attention. mask: which queries may see which."""
        x = x + self.self_attention(self.self_norm(x) + place, mask=mask)
        x = x + self.cross_attention(self.cross_norm(x) + place, source, mask=bias)
        return x + self.mlp(self.mlp_norm(x))

    def self_queries_and_keys(
        self, x: Float[Tensor, "b n d"], place: Float[Tensor, "b n d"]
    ) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b n d"]]:
        """Of its self-attention, all heads side by side."""
        seen = self.self_norm(x) + place
        return self.self_attention.query(seen), self.self_attention.key(seen)


class Decoder(nn.Module):
    """The decoder's blocks, under the name by which optimizers know hidden matrices."""

    def __init__(self, block: BlockConfig, depth: int):
        super().__init__()
        self.blocks = nn.ModuleList(DecoderBlock(block) for _ in range(depth))


class BoxBias(nn.Module):
    """What a query's box adds to its scores: a learned function, a head, of how far each row and column of patches is
    from the box's edges (BoxRPB, Lin et al. 2023, 3.2)."""

    def __init__(self, heads: int, hidden: int = 64):
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads))
        self.columns = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads))

    def forward(self, boxes: Float[Tensor, "b n 4"], grid: tuple[int, int]) -> Float[Tensor, "b h n m"]:
        """boxes: centred, in shares of the picture."""
        down, across = (_spread(offset) for offset in edge_offsets(boxes, grid))
        rows = rearrange(self.rows(down), "b n y h -> b h n y 1")
        columns = rearrange(self.columns(across), "b n x h -> b h n 1 x")
        return (rows + columns).flatten(-2)


def _spread(offset: Tensor) -> Tensor:
    """sign(x) log2(1 + 8|x|) / 3: near an edge small differences matter, far from it they do not."""
    return offset.sign() * (1 + 8 * offset.abs()).log2() / 3
