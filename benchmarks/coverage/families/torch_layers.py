"""PyTorch's own attention layers, each in a tiny model, with its inputs."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

Made = tuple[nn.Module, tuple]
WIDTH, HEADS, TARGETS, SOURCES = 14, 2, 5, 11


class Attending(nn.Module):
    """One `nn.MultiheadAttention`, to itself or to a context."""

    def __init__(self, weights: bool, **options: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, **options)
        self.weights = weights

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        return self.attention(x, context, context, need_weights=self.weights)[0]


def _x() -> Tensor:
    return torch.randn(2, TARGETS, WIDTH)


def _multihead(weights: bool, cross: bool = False, **options: bool) -> Made:
    inputs = (_x(), torch.randn(2, SOURCES, WIDTH)) if cross else (_x(),)
    return Attending(weights, **options).eval(), inputs


def _layer(kind: type[nn.Module], cross: bool = False, train: bool = False, **options: bool) -> Made:
    layer = kind(WIDTH, HEADS, 17, dropout=0.0, batch_first=True, **options)
    return layer.train(train), (_x(), torch.randn(2, SOURCES, WIDTH)) if cross else (_x(),)


def _encoder() -> Made:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 17, batch_first=True)
    return nn.TransformerEncoder(layer, 2).eval(), (_x(),)


def _whole() -> Made:
    model = nn.Transformer(WIDTH, HEADS, 2, 2, 17, batch_first=True).eval()
    return model, (torch.randn(2, SOURCES, WIDTH), _x())


LAYERS: dict[str, Callable[[], Made]] = {
    "MultiheadAttention": partial(_multihead, False),
    "MultiheadAttention, cross": partial(_multihead, False, cross=True),
    "MultiheadAttention, need_weights": partial(_multihead, True),
    "MultiheadAttention, need_weights, cross": partial(_multihead, True, cross=True),
    "MultiheadAttention, bias_kv, zero_attn": partial(_multihead, False, add_bias_kv=True, add_zero_attn=True),
    "TransformerEncoderLayer, training": partial(_layer, nn.TransformerEncoderLayer, train=True),
    "TransformerEncoderLayer, fast path": partial(_layer, nn.TransformerEncoderLayer),
    "TransformerEncoderLayer, norm_first": partial(_layer, nn.TransformerEncoderLayer, norm_first=True),
    "TransformerEncoder, fast path": _encoder,
    "TransformerDecoderLayer": partial(_layer, nn.TransformerDecoderLayer, cross=True),
    "Transformer": _whole,
}
