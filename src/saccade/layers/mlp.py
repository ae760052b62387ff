"""The per-token network of a transformer block."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def quick_gelu(x: Tensor) -> Tensor:
    """x σ(1.702 x), the approximation of GELU that OpenAI's CLIP weights were trained with."""
    return x * torch.sigmoid(1.702 * x)


def gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
    "relu": F.relu,
}


class MLP(nn.Module):
    """Two linear maps with an activation between them."""

    def __init__(self, width: int, hidden: int, activation: str = "gelu", bias: bool = True):
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.down(self.activation(self.up(x)))


class SwiGLU(nn.Module):
    """down(silu(gate x) * up x) (Shazeer 2020, eq. 6)."""

    def __init__(self, width: int, hidden: int, bias: bool = True):
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=bias)
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.down(F.silu(self.gate(x)) * self.up(x))


def mlp_of(width: int, hidden: int, activation: str, bias: bool) -> MLP | SwiGLU:
    """The MLP of a block: SwiGLU for "swiglu", else an MLP with this activation."""
    return SwiGLU(width, hidden, bias=bias) if activation == "swiglu" else MLP(width, hidden, activation, bias=bias)
