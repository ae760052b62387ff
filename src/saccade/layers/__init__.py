"""Thin holders of weights over `saccade.ops`."""

from saccade.layers.attention import Attention
from saccade.layers.block import Block, BlockConfig
from saccade.layers.decode import BoxBias, DecoderBlock
from saccade.layers.embed import LearnedPositions, PatchEmbed, RotaryPositions, SinCosPositions
from saccade.layers.mlp import MLP, SwiGLU
from saccade.layers.norm import NORMS, RMSNorm

__all__ = [
    "MLP",
    "NORMS",
    "Attention",
    "Block",
    "BlockConfig",
    "BoxBias",
    "DecoderBlock",
    "LearnedPositions",
    "PatchEmbed",
    "RMSNorm",
    "RotaryPositions",
    "SinCosPositions",
    "SwiGLU",
]
