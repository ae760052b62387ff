"""The Muon optimizer (Jordan et al. 2024): momentum whose matrices are orthogonalized.

`torch.optim.Muon` orthogonalizes one matrix after the other, always in bf16, which many processors compute far more
slowly than fp32; here all matrices of a shape are one batch, in bf16 on GPUs only.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration that Jordan et al. found
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """With Nesterov momentum and decoupled weight decay; the same update and state as `torch.optim.Muon`.

    params: matrices. lr: times sqrt(rows / columns) where there are more rows than columns.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[tuple(matrix.shape)].append(matrix)
            for (rows, columns), matrices in shapes.items():
                updates = orthogonalized(torch.stack(self._momentum(matrices, group["momentum"])))
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(matrices, list(updates.to(matrices[0].dtype)), alpha=-rate)

    def _momentum(self, matrices: list[Tensor], momentum: float) -> list[Tensor]:
        """Averages of the gradients with momentum, and with Nesterov's step ahead."""
        for matrix in matrices:
            if "momentum_buffer" not in self.state[matrix]:
                self.state[matrix]["momentum_buffer"] = torch.zeros_like(matrix)
        averages = [self.state[matrix]["momentum_buffer"] for matrix in matrices]
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        return list(torch._foreach_lerp(gradients, averages, momentum))


def orthogonalized(matrices: Float[Tensor, "b r c"]) -> Float[Tensor, "b r c"]:
    """The nearest matrices with orthonormal rows or columns, roughly: singular values come to lie about 1 (Jordan et
    al. 2024, Newton-Schulz iteration)."""
    a, b, c = _COEFFICIENTS
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
