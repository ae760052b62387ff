"""Where sampling starts: at noise, or at a picture that is partly noised (Meng et al. 2022, SDEdit)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.ops.flow_matching import noised


class SamplingStart:
    """At noise."""

    time = 0.0  # at which sampling starts

    def begin(self, noise: Float[Tensor, "b f c y x"]) -> Float[Tensor, "b f c y x"]:
        """z at the time of the start."""
        return noise

    def restore_known(
        self, z: Float[Tensor, "b f c y x"], noise: Float[Tensor, "b f c y x"], t: Float[Tensor, ""]
    ) -> Float[Tensor, "b f c y x"]:
        """z after a step to time t, with what is known of it restored."""
        return z


def seeded_noise(seed: int, channels: int, size: tuple[int, int]) -> Float[Tensor, "1 c y x"]:
    """Of one picture, by a generator of its own: numbers of a batch would depend on its size."""
    return torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True, eq=False)
class PictureStart(SamplingStart):
    """At a picture, noised to time 1 - strength. picture: -1 to 1, the same for the whole batch."""

    picture: Float[Tensor, "c y x"]
    strength: float

    @property
    def time(self) -> float:  # type: ignore[override]
        return 1 - self.strength

    def begin(self, noise: Float[Tensor, "b f c y x"]) -> Float[Tensor, "b f c y x"]:
        return noised(self.picture.expand_as(noise), noise, torch.tensor(self.time, dtype=torch.float64).to(noise))


@dataclass(frozen=True, eq=False)
class InvertedStart(SamplingStart):
    """At what a picture was inverted to (`saccade.tasks.generate.inversion`): the noise of samples has no effect."""

    noise: Float[Tensor, "f c y x"]
    time: float

    def begin(self, noise: Float[Tensor, "b f c y x"]) -> Float[Tensor, "b f c y x"]:
        return self.noise.expand_as(noise)


@dataclass(frozen=True, eq=False)
class InpaintingStart(PictureStart):
    """The same, and after each step everything but a part is the picture again, noised to the time of the step (as in
    Lugmayr et al. 2022, RePaint, eq. 8, without resampling). part: True for pixels to paint."""

    part: Bool[Tensor, "y x"]

    def restore_known(
        self, z: Float[Tensor, "b f c y x"], noise: Float[Tensor, "b f c y x"], t: Float[Tensor, ""]
    ) -> Float[Tensor, "b f c y x"]:
        return torch.where(self.part, z, noised(self.picture.expand_as(noise), noise, t))
