"""The Vision Transformer (Dosovitskiy et al. 2021, figure 1): patches, positions, encoder; every token returned."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.layers import (
    NORMS,
    Block,
    BlockConfig,
    LearnedPositions,
    PatchEmbed,
    RotaryPositions,
    SinCosPositions,
)
from saccade.ops import grid_of

Side = Annotated[int, Field(gt=0, le=1024)]  # of a grid, in patches


class ViTConfig(BaseModel):
    """Configuration of an encoder with `depth` blocks of configuration `block`.

    Upper bounds are far above every published model; they keep a config from a file from exhausting memory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    block: BlockConfig
    depth: int = Field(gt=0, le=1000)
    patch: int = Field(gt=0, le=1024, description="pixels along each side of a patch")
    window: int | None = Field(
        None, gt=0, le=1024, description="pixels each patch is computed from, if more than its own"
    )
    channels: int = Field(3, gt=0, le=1024)
    cls: bool = Field(True, description="a class token before the patches")
    registers: int = Field(0, ge=0, le=1024, description="register tokens after cls (Darcet et al. 2024)")
    positions: tuple[Literal["learned", "sincos", "rotary"], ...] = ("learned",)
    grid: tuple[Side, Side] = Field(
        (14, 14), description="native (rows, columns), on which positions are learned or measured"
    )
    antialias: bool = Field(True, description="smooth learned positions when a grid shrinks")
    offset: float = Field(
        0.0, allow_inf_nan=False, description="of the position interpolation, 0.1 in the original DINOv2"
    )
    patch_bias: bool = True
    stem_norm: bool = Field(False, description="normalise tokens before the first block (CLIP)")
    final_norm: bool = Field(True, description="normalise tokens after the last block")


class ViT(nn.Module):
    """Encode an image of any size into tokens: cls, registers, then patches row by row."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config, c = config, config
        width, norm = c.block.width, NORMS[c.block.norm]
        self.embed = PatchEmbed(c.channels, width, c.patch, c.window, c.patch_bias)
        self.prefix_tokens = nn.Parameter(nn.init.normal_(torch.empty(self.prefix, width), std=0.02))
        self.learned = LearnedPositions(c.grid, width, c.antialias, c.offset) if "learned" in c.positions else None
        self.sincos = SinCosPositions(width) if "sincos" in c.positions else None
        head_width = width // c.block.heads
        self.rotary = RotaryPositions(head_width, self.prefix, c.grid) if "rotary" in c.positions else None
        self.stem_norm = norm(width, eps=c.block.eps) if c.stem_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(block) for block in _drop_path_schedule(c))
        self.final_norm = norm(width, eps=c.block.eps) if c.final_norm else nn.Identity()

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches."""
        return int(self.config.cls) + self.config.registers

    def grid(self, picture: Float[Tensor, "b c y x"]) -> tuple[int, int]:
        """(rows, columns) of the patches of a picture; see `saccade.ops.grid_of` for sizes that do not divide."""
        return grid_of(picture.shape[2], picture.shape[3], self.config.patch)

    def forward(self, picture: Float[Tensor, "b c y x"]) -> Float[Tensor, "b n d"]:
        # Under autocast the embedding is bf16. Adding fp32 positions makes the residual stream fp32, which makes
        # gradients several times more accurate.
        x = self.embed(picture)
        grid = self.grid(picture)
        if self.learned is not None:
            x = x + self.learned(grid)
        if self.sincos is not None:
            x = x + self.sincos(grid)
        x = torch.cat([self.prefix_tokens.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.stem_norm(x)
        angles = self.rotary(grid) if self.rotary is not None else None
        for block in self.blocks:
            x = block(x, angles=angles)
        return self.final_norm(x)


def _drop_path_schedule(config: ViTConfig) -> list[BlockConfig]:
    """Blocks whose drop-path rate rises linearly from 0 to its full value at the last (Huang et al. 2016)."""
    full = config.block.drop_path
    return [
        config.block.model_copy(update={"drop_path": full * i / max(config.depth - 1, 1)}) for i in range(config.depth)
    ]
