"""Pure functions on tensors, without weights: attention, masks, positions, patches, words."""

from saccade.ops.attention import attend, attention_weights, default_scale, score
from saccade.ops.masks import causal_mask, padding_mask, window_mask
from saccade.ops.patches import grid_of, patchify, unpatchify
from saccade.ops.positions import interpolate, rotary_angles, rotate, sincos
from saccade.ops.words import WordBatch, split_words, tokenize

__all__ = [
    "WordBatch",
    "attend",
    "attention_weights",
    "causal_mask",
    "default_scale",
    "grid_of",
    "interpolate",
    "padding_mask",
    "patchify",
    "rotary_angles",
    "rotate",
    "score",
    "sincos",
    "split_words",
    "tokenize",
    "unpatchify",
    "window_mask",
]
