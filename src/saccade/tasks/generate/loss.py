"""What a generator minimizes."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.models.generator import Generator, SourceKeysValues
from saccade.ops.flow_matching import euler_step, noised, velocity
from saccade.ops.frames import repeat_per_frame
from saccade.tasks.generate.batches import NoisedBatch
from saccade.tasks.generate.perceptual import PerceptualLoss
from saccade.tasks.generate.recipe import GenerateRecipe

MIN_LENGTH = 0.02  # of an interval that is split, as a part of the time that is left


def broadcast_over_pixels(numbers: Float[Tensor, "b g"], frames: int = 1) -> Float[Tensor, "b f 1 1 1"]:
    """The number of each frame's group, to broadcast over its pixels."""
    return repeat_per_frame(numbers, frames)[:, :, None, None, None]


def velocity_error(
    prediction: Float[Tensor, "b f c y x"],
    target: Float[Tensor, "b f c y x"],
    z: Float[Tensor, "b f c y x"],
    t: Float[Tensor, "b g"],
) -> Float[Tensor, "b"]:
    """Mean squared error, for each sample, between the velocities of two predictions of the data (JiT, Li & He 2025,
    algorithm 1)."""
    times = broadcast_over_pixels(t, z.shape[1])
    error = velocity(prediction.float(), z, times) - velocity(target, z, times)
    return error.square().flatten(1).mean(dim=1)


def flow_errors(
    model: Any, batch: NoisedBatch, perceptual: PerceptualLoss | None = None, weight: float = 0.0
) -> Float[Tensor, "b"]:
    """`velocity_error` of predictions at the times of the batch, and `weight` times their perceptual loss."""
    z = noised(batch.pictures, batch.noise, broadcast_over_pixels(batch.t, batch.pictures.shape[1]))
    prediction = model(z, batch.t, batch.words, batch.present, batch.sources, batch.past, batch.first)
    errors = velocity_error(prediction, batch.pictures, z, batch.t)
    return errors if perceptual is None else errors + weight * perceptual.distances(prediction, batch.pictures, batch.t)


class MeanFlow:
    """Turns a flow into a map over intervals: the mean velocity from t to r, with guidance contained.

    Over an interval of no length it is the guided velocity of `teacher`, the flow as it was trained. Over any other it
    is what two steps over its parts give (SplitMeanFlow, Guo et al. 2025, eq. 8): (r - t) u(t, r) = (s - t) u(t, s) +
    (r - s) u(s, r), for which no derivative of the network is needed. Part of a batch goes on as a flow.
    """

    def __init__(self, teacher: Generator, recipe: GenerateRecipe):
        self.teacher, self.recipe = teacher.eval().requires_grad_(False), recipe

    def errors(self, model: Generator, batch: NoisedBatch) -> Float[Tensor, "b"]:
        """For each sample. Captions are left out only in the part that goes on as a flow."""
        b = len(batch.t)
        flow, mean = slice(0, round(b * self.recipe.flow_share)), slice(round(b * self.recipe.flow_share), b)
        present = batch.present.clone()
        present[mean] = True
        sources = model.with_past(model.encode(batch.words, present, batch.sources), batch.past, batch.first)
        z, t = noised(batch.pictures, batch.noise, broadcast_over_pixels(batch.t, batch.pictures.shape[1])), batch.t
        as_flow = velocity_error(
            model.predict(z[flow], t[flow], sources.part(flow)), batch.pictures[flow], z[flow], t[flow]
        )
        guidance, until = self._draw(batch, mean)
        target = self._targets(model, z[mean], t[mean], until, guidance, sources.part(mean), self._both(batch, mean))
        found = model.predict(z[mean], t[mean], sources.part(mean), until - t[mean], guidance)
        return torch.cat([as_flow, velocity_error(found, target, z[mean], t[mean])])

    def _draw(self, batch: NoisedBatch, part: slice) -> tuple[Float[Tensor, "b g"], Float[Tensor, "b g"]]:
        """Guidance scales, and the ends of the intervals: those that are not split have no length."""
        t, uniform = batch.t[part], batch.uniform[part]
        lowest, highest = self.recipe.guidance
        guidance = (lowest + (highest - lowest) * uniform[:, :1]).expand_as(t)
        until = t + (1 - t) * uniform[:, 1:2].clamp(min=MIN_LENGTH)
        splits = torch.arange(len(t), device=t.device)[:, None] < self._splits(len(t))
        return guidance, torch.where(splits, until, t)

    def _splits(self, n: int) -> int:
        """How many of the n samples that are not flows have an interval that is split."""
        return round(n * self.recipe.split_share / (1 - self.recipe.flow_share))

    @torch.no_grad()
    def _both(self, batch: NoisedBatch, part: slice) -> SourceKeysValues:
        """The teacher's sources of the samples that are not split, with captions, then without."""
        n = len(batch.t)
        some = batch.part(slice(part.start + self._splits(n - part.start), n))
        with_words, without = (
            self.teacher.with_past(
                self.teacher.encode(some.words, torch.full_like(some.present, present), some.sources),
                some.past,
                some.first,
            )
            for present in (True, False)
        )
        return with_words.followed_by(without)

    @torch.no_grad()
    def _targets(
        self,
        model: Generator,
        z: Float[Tensor, "b f c y x"],
        t: Float[Tensor, "b g"],
        until: Float[Tensor, "b g"],
        guidance: Float[Tensor, "b g"],
        sources: SourceKeysValues,
        both: SourceKeysValues,
    ) -> Float[Tensor, "b f c y x"]:
        """Predictions of the data: of the split intervals, then those of the guided flow."""
        splits = slice(0, self._splits(len(z)))
        rest = slice(splits.stop, len(z))
        halves = self._two_steps(model, z[splits], t[splits], until[splits], guidance[splits], sources.part(splits))
        twice = self.teacher.predict(torch.cat([z[rest]] * 2), torch.cat([t[rest]] * 2), both)
        positive, negative = twice.chunk(2)
        return torch.cat([halves, negative + broadcast_over_pixels(guidance[rest], z.shape[1]) * (positive - negative)])

    def _two_steps(
        self, model: Generator, z: Tensor, t: Tensor, until: Tensor, guidance: Tensor, sources: SourceKeysValues
    ) -> Float[Tensor, "b f c y x"]:
        """The data to which z would move at the mean velocity of two steps, each over half of the interval."""
        middle = (t + until) / 2
        start, half, end, part = (
            broadcast_over_pixels(each, z.shape[1]) for each in (t, middle, until, (1 - t) / (until - t))
        )
        moved = euler_step(model.predict(z, t, sources, middle - t, guidance), z, start, half)
        prediction = model.predict(moved, middle, sources, until - middle, guidance)
        moved = euler_step(prediction, moved, half, end)
        return z + (moved - z) * part
