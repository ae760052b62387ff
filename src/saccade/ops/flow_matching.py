"""Flow matching: straight lines from noise, at time 0, to data, at time 1 (Lipman et al. 2023; Liu et al. 2023).

A point of the line is z = t x + (1 - t) ε, and its velocity v = x - ε. A network predicts the data x̂, of which the
velocity follows (Li & He 2025, JiT, table 1: prediction of x, loss on v).
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

MIN_NOISE = 0.05  # least 1 - t by which the loss divides (JiT, algorithm 1)


def noised(data: Float[Tensor, "*b"], noise: Float[Tensor, "*b"], t: Float[Tensor, "*t"]) -> Float[Tensor, "*b"]:
    """z = t x + (1 - t) ε. t: times, 0 to 1, broadcast to the data."""
    return t * data + (1 - t) * noise


def velocity(
    prediction: Float[Tensor, "*b"], z: Float[Tensor, "*b"], t: Float[Tensor, "*t"], least: float = MIN_NOISE
) -> Float[Tensor, "*b"]:
    """(x̂ - z) / (1 - t), with 1 - t of at least `least`: the velocity at z of a prediction of the data."""
    return (prediction - z) / (1 - t).clamp(min=least)


def euler_step(
    prediction: Float[Tensor, "*b"], z: Float[Tensor, "*b"], t: Float[Tensor, "*t"], until: Float[Tensor, "*t"]
) -> Float[Tensor, "*b"]:
    """z moved from time t to `until` at the velocity of the prediction; `until` = 1 gives the prediction itself.

    t below 1."""
    return z.lerp(prediction.to(z.dtype), (until - t) / (1 - t))


def logit_normal(shape: tuple[int, ...], generator: Generator, mean: float, std: float) -> Float[Tensor, "*shape"]:
    """Times whose logit is normal (Esser et al. 2024, eq. 19): most of training at the noise levels where there is
    most to learn. A mean below 0 favours noisy ones."""
    return torch.sigmoid(torch.randn(shape, generator=generator) * std + mean)
