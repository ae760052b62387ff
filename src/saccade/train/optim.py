"""Optimizers, learning rate schedule, and moving average of the weights."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from saccade.train.config import TrainConfig
from saccade.train.muon import Muon

Tensors = tuple[Tensor, ...] | list[Tensor]


def optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for hidden matrices, AdamW for embeddings, heads, norms and biases.

    Muon beats AdamW for ViTs under heavy augmentation (arXiv 2605.24770). Vectors have no weight decay.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in trained if p.ndim == 2 and "blocks." in name]
    hidden = {id(p) for p in matrices}
    rest = [p for _, p in trained if id(p) not in hidden]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=config.adam_lr, betas=(0.9, 0.95), fused=True)
    ]
    if matrices:
        found.insert(0, Muon(matrices, lr=config.lr, weight_decay=config.weight_decay))
    return found


def warmup_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """From a step to the factor of the peak rate: linear warmup over the fraction `warmup` of the steps, then cosine
    decay to 0 (Loshchilov 2017)."""
    rise = max(1, round(steps * warmup))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))

    return factor


def schedulers(found: list[torch.optim.Optimizer], factor: Callable[[int], float], done: int = 0) -> list[LambdaLR]:
    """Learning rates that are the peak rates times `factor` of the step.

    done: steps completed before the run was resumed."""
    return [LambdaLR(optimizer, factor, last_epoch=done - 1) for optimizer in found]


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of the weights, with a smaller decay in the first steps."""

    @torch.no_grad()
    def update(average: Tensors, current: Tensors, seen: Tensor | int) -> None:
        now = min(decay, (1 + int(seen)) / (10 + int(seen)))
        torch._foreach_lerp_(average, current, 1 - now)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=False)
