"""From noise to pictures: steps along the flow, with classifier-free guidance."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.models.generator import Generator, Sources
from saccade.ops.flow import step, velocity
from saccade.tasks.generate.start import Start

Sampler = Literal["euler", "heun", "mean-flow"]
Callback = Callable[[int, int], None]  # steps done, steps in all
Observer = Callable[[float, Tensor], None]  # time, prediction
MAX_STEPS = 1000
MAX_GUIDANCE = 100.0


@dataclass(frozen=True)
class Sampling:
    """How a picture is painted.

    Attributes:
        steps: of equal length, from noise (time 0), or a later start, to the picture (time 1).
        guidance: scale of classifier-free guidance: 1 for none, more for pictures that follow the prompt more closely.
        interval: (first, last) time, 0 to 1, of the steps that are guided (Kynkäänniemi et al. 2024).
        sampler: "euler", one evaluation a step; "heun", two, except for the last step; "mean-flow", for few steps, with
            the mean velocity over each step and the guidance that the generator contains, for generators trained so.

    Raises SaccadeError for values out of range.
    """

    steps: int = 25
    guidance: float = 3.0
    interval: tuple[float, float] = (0.0, 1.0)
    sampler: Sampler = "euler"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise SaccadeError(f"{self.steps} steps were requested; 1 to {MAX_STEPS} expected")
        if not 0 <= self.guidance <= MAX_GUIDANCE:
            raise SaccadeError(f"a guidance of {self.guidance:g} was requested; 0 to {MAX_GUIDANCE:g} expected")
        first, last = self.interval
        if not 0 <= first <= last <= 1:
            raise SaccadeError(f"the guidance interval {first:g} to {last:g} was given; two times from 0 to 1 expected")
        if self.sampler not in get_args(Sampler):
            raise SaccadeError(f"there is no sampler {self.sampler!r}; {', '.join(get_args(Sampler))} expected")

    def guided(self, t: float) -> bool:
        """Whether the step that begins at time t is guided."""
        return self.guidance != 1 and self.interval[0] <= t <= self.interval[1]


def check_sampler(model: Generator, sampling: Sampling, negative: bool) -> None:
    """Raises SaccadeError where a generator cannot be sampled so. negative: whether there is a negative prompt."""
    contained = model.config.contained_guidance
    if sampling.sampler != "mean-flow":
        return
    if contained is None:
        raise SaccadeError("this generator was not trained for the sampler mean-flow: use euler or heun")
    if negative:
        raise SaccadeError("the sampler mean-flow takes no negative prompt: use euler or heun with it")
    if sampling.interval != (0.0, 1.0):
        raise SaccadeError("the sampler mean-flow takes no guidance interval: use euler or heun with it")
    if not contained[0] <= sampling.guidance <= contained[1]:
        raise SaccadeError(
            f"a guidance of {sampling.guidance:g} was requested; the sampler mean-flow of this generator contains "
            f"{contained[0]:g} to {contained[1]:g}"
        )


@torch.no_grad()
def sample(
    model: Generator,
    noise: Float[Tensor, "b f c y x"],
    sources: Sources,
    sampling: Sampling,
    callback: Callback | None = None,
    observe: Observer | None = None,
    start: Start | None = None,
) -> Float[Tensor, "b f c y x"]:
    """Pictures, about -1 to 1, that begin as `noise`.

    sources: of the b prompts, then of the b negative prompts; only the former are needed without guidance. observe:
    called after each evaluation as observe(time, prediction), of guided steps with the guided prediction. start: at
    noise by default; all steps lie between its time and 1, and at time 1 there is nothing left to evaluate.
    """
    start = start or Start()
    prompts = sources.part(slice(0, len(noise)))

    def observed(z: Tensor, t: float, until: float) -> Tensor:
        prediction = predict(z, t, until)
        if observe is not None:
            observe(t, prediction)
        return prediction

    def predict(z: Tensor, t: float, until: float) -> Tensor:
        """The data; p + (g - 1) (p - n) of the predictions with the prompt and with the negative one."""
        times = torch.full((len(z), z.shape[1]), t, device=z.device)
        if sampling.sampler == "mean-flow":
            guidance = torch.full_like(times, sampling.guidance)
            return model.predict(z, times, prompts, torch.full_like(times, until - t), guidance).to(z.dtype)
        if not sampling.guided(t):
            return model.predict(z, times, prompts).to(z.dtype)
        both = model.predict(torch.cat([z, z]), torch.cat([times, times]), sources)
        positive, negative = both.to(z.dtype).chunk(2)  # autocast predicts in bf16
        return negative + sampling.guidance * (positive - negative)

    z = start.begin(noise)
    times = _times(start.time, sampling.steps)
    instants = torch.tensor(times, dtype=torch.float64).to(noise)
    for i, ((t, until), (now, then)) in enumerate(zip(pairwise(times), pairwise(instants), strict=True)):
        if t < 1:
            prediction = observed(z, t, until)
            moved = start.hold(step(prediction, z, now, then), noise, then)
            if sampling.sampler == "heun" and until < 1:
                slope = velocity(prediction, z, now, 0.0) + velocity(observed(moved, until, 1.0), moved, then, 0.0)
                moved = start.hold(z + (then - now) / 2 * slope, noise, then)
            z = moved
        if callback is not None:
            callback(i + 1, sampling.steps)
    return z


def _times(first: float, steps: int) -> list[float]:
    """Equal steps to 1, exact at the ends of the guidance interval where they begin at 0."""
    return [first + (1 - first) * (i / steps) for i in range(steps)] + [1.0]
