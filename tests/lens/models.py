"""Small models that attend in as many ways as there are."""

import torch
import torch.nn.functional as F
from torch import nn

import saccade.ops


class Attend(nn.Module):
    """Projections and one attention call. how: the function that is called with (q, k, v, **options)."""

    def __init__(self, width=14, heads=2, how=F.scaled_dot_product_attention, **options):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.heads, self.how, self.options = heads, how, options

    def forward(self, x, context=None):
        context = x if context is None else context
        q, k, v = (self._split(layer(t)) for layer, t in ((self.q, x), (self.k, context), (self.v, context)))
        return self.how(q, k, v, **self.options).transpose(1, 2).flatten(2)

    def _split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def eager(q, k, v):
    weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1, dtype=torch.float32).to(q.dtype)
    return F.dropout(weights, 0.0) @ v


def pooled(q, k, v):
    """Attention whose scores are no product of queries and keys."""
    return torch.softmax(q.sum(-1, keepdim=True) - k.abs().sum(-1)[:, :, None], dim=-1) @ v


class Stack(nn.Module):
    """Residual blocks; those called `cross...` attend to the context."""

    def __init__(self, **blocks):
        super().__init__()
        self.blocks = nn.ModuleDict(blocks)

    def forward(self, x, context=None):
        for name, block in self.blocks.items():
            x = x + (block(x, context) if name.startswith("cross") else block(x))
        return x


def ours(**options):
    return Attend(how=saccade.ops.attend, **options)
