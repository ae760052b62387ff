"""Modules that hold weights and compute with `saccade.ops`."""

from saccade.layers.attention import Attention, KeysValues
from saccade.layers.block import Block, BlockConfig
from saccade.layers.cross import CrossBlock
from saccade.layers.decoder import BoxBias, Decoder, DecoderBlock
from saccade.layers.dit import DiTBlock
from saccade.layers.embed import LearnedPositions, PatchEmbed, RotaryPositions, SinCosPositions
from saccade.layers.frames import FrameEmbed, FrameOutput
from saccade.layers.hashed import HashEmbedding
from saccade.layers.mlp import MLP, SwiGLU
from saccade.layers.modulation import Modulation, ScalarEmbedding, TimestepEmbed
from saccade.layers.norm import NORMS, RMSNorm
from saccade.layers.pixels import PixelDecoder
from saccade.layers.pool import AttentionPool, BytePool
from saccade.layers.refine import PixelRefiner

__all__ = [
    "MLP",
    "NORMS",
    "Attention",
    "AttentionPool",
    "Block",
    "BlockConfig",
    "BoxBias",
    "BytePool",
    "CrossBlock",
    "Decoder",
    "DecoderBlock",
    "DiTBlock",
    "FrameEmbed",
    "FrameOutput",
    "HashEmbedding",
    "KeysValues",
    "LearnedPositions",
    "Modulation",
    "PatchEmbed",
    "PixelDecoder",
    "PixelRefiner",
    "RMSNorm",
    "RotaryPositions",
    "ScalarEmbedding",
    "SinCosPositions",
    "SwiGLU",
    "TimestepEmbed",
]
