"""What a generator minimizes."""

from jaxtyping import Float
from torch import Tensor

from saccade.ops.flow import velocity


def velocity_error(
    prediction: Float[Tensor, "b f c y x"],
    data: Float[Tensor, "b f c y x"],
    z: Float[Tensor, "b f c y x"],
    t: Float[Tensor, "b f"],
) -> Float[Tensor, "b"]:
    """Mean squared error, for each sample, between the velocity of the prediction and that of the data (JiT, Li & He
    2025, algorithm 1)."""
    times = t[:, :, None, None, None]
    error = velocity(prediction.float(), z, times) - velocity(data, z, times)
    return error.square().flatten(1).mean(dim=1)
