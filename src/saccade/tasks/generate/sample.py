"""From noise to pictures: steps along the flow, with classifier-free guidance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.models.generator import Generator, SourceKeysValues
from saccade.ops.flow_matching import euler_step, velocity
from saccade.ops.frames import count_frame_groups
from saccade.tasks.generate.sampling_start import SamplingStart

Sampler = Literal["euler", "heun", "mean-flow"]
Callback = Callable[[int, int], None]  # steps done, steps in all
Observer = Callable[[float, Tensor], None]  # time, prediction
MAX_STEPS = 1000
MAX_GUIDANCE = 100.0


@dataclass(frozen=True)
class Sampling:
    """How a picture is painted.

    With guidance a prediction is p₀ + Σ gₖ (pₖ - pₖ₋₁): p₀ has no sources but the negative prompt, p₁ the image too, p₂
    the style too, and p₃ the prompt in place of the negative one; each difference has its own scale g (Brooks et al.
    2023, InstructPix2Pix, eq. 3). Predictions whose factors are 0 are not evaluated.

    Attributes:
        steps: of equal length, from noise (time 0), or a later start, to the picture (time 1).
        guidance: scale of classifier-free guidance: 1 for none, more for pictures that follow the prompt more closely.
        interval: (first, last) time, 0 to 1, of the steps that are guided (Kynkäänniemi et al. 2024).
        image_guidance, style_guidance: the same for the image and the style that a picture is painted from.
        sampler: "euler", one evaluation a step; "heun", two, except for the last step; "mean-flow", for few steps, with
            the mean velocity over each step and the guidance that the generator contains, for generators trained so.

    Raises SaccadeError for values out of range.
    """

    steps: int = 25
    guidance: float = 3.0
    interval: tuple[float, float] = (0.0, 1.0)
    sampler: Sampler = "euler"
    image_guidance: float = 1.0
    style_guidance: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise SaccadeError(f"{self.steps} steps were requested; 1 to {MAX_STEPS} expected")
        for scale in (self.guidance, self.image_guidance, self.style_guidance):
            if not 0 <= scale <= MAX_GUIDANCE:
                raise SaccadeError(f"a guidance of {scale:g} was requested; 0 to {MAX_GUIDANCE:g} expected")
        first, last = self.interval
        if not 0 <= first <= last <= 1:
            raise SaccadeError(f"the guidance interval {first:g} to {last:g} was given; two times from 0 to 1 expected")
        if self.sampler not in get_args(Sampler):
            raise SaccadeError(f"there is no sampler {self.sampler!r}; {', '.join(get_args(Sampler))} expected")

    def guided(self, t: float) -> bool:
        """Whether the step that begins at time t is guided."""
        scales = (self.guidance, self.image_guidance, self.style_guidance)
        return any(scale != 1 for scale in scales) and self.interval[0] <= t <= self.interval[1]

    def guidance_terms(self, pictures: Sequence[str] = ()) -> list["GuidanceTerm"]:
        """What is evaluated in a guided step, the prompt with all pictures first. pictures: names of the sources that
        are given beside the prompt."""
        image = tuple(name for name in pictures if name != "style")
        levels: list[tuple[float, bool, tuple[str, ...]]] = [(1.0, False, ())]
        if image:
            levels.append((self.image_guidance, False, image))
        if "style" in pictures:
            levels.append((self.style_guidance, False, tuple(pictures)))
        levels.append((self.guidance, True, tuple(pictures)))
        above = [*(scale for scale, _, _ in levels[1:]), 0.0]
        found = [GuidanceTerm(level[0] - next_, *level[1:]) for level, next_ in zip(levels, above, strict=True)]
        return [term for term in reversed(found) if term.factor != 0 or term.prompt]


class GuidanceTerm(NamedTuple):
    """An evaluation in a guided step, and the factor of its prediction; factors sum to 1. prompt: with the prompt, else
    with the negative one. pictures: sources that take part."""

    factor: float
    prompt: bool
    pictures: tuple[str, ...]


def check_sampler(model: Generator, sampling: Sampling, negative: bool) -> None:
    """Raises SaccadeError where a generator cannot be sampled so. negative: whether there is a negative prompt."""
    contained = model.config.contained_guidance
    if sampling.sampler != "mean-flow":
        return
    if contained is None:
        raise SaccadeError("this generator was not trained for the sampler mean-flow: use euler or heun")
    if negative:
        raise SaccadeError("the sampler mean-flow takes no negative prompt: use euler or heun with it")
    if sampling.image_guidance != 1 or sampling.style_guidance != 1:
        raise SaccadeError("the sampler mean-flow takes no guidance of images and styles: use euler or heun with it")
    if sampling.interval != (0.0, 1.0):
        raise SaccadeError("the sampler mean-flow takes no guidance interval: use euler or heun with it")
    if not contained[0] <= sampling.guidance <= contained[1]:
        raise SaccadeError(
            f"a guidance of {sampling.guidance:g} was requested; the sampler mean-flow of this generator contains "
            f"{contained[0]:g} to {contained[1]:g}"
        )


def offset_callback(callback: Callback | None, done: int, total: int) -> Callback | None:
    """The callback of steps that follow `done` others, of `total` in all."""
    return None if callback is None else lambda step, _: callback(done + step, total)


def check_finite(pixels: Tensor) -> None:
    """Raises SaccadeError for pixels of a generator that are not finite."""
    if not torch.isfinite(pixels).all():
        raise SaccadeError(
            "the generator's output is not a number: its weights are damaged, or a value of the guidance or a weight "
            "of the prompt is too large"
        )


@torch.no_grad()
def sample(
    model: Generator,
    noise: Float[Tensor, "b f c y x"],
    sources: SourceKeysValues,
    sampling: Sampling,
    callback: Callback | None = None,
    observe: Observer | None = None,
    start: SamplingStart | None = None,
    terms: Sequence[GuidanceTerm] | None = None,
) -> Float[Tensor, "b f c y x"]:
    """Pictures, about -1 to 1, that begin as `noise`.

    sources: of the b pictures for each of `terms`, one after the other; only the first are needed without guidance.
    terms: default: those of the prompts, then the negative prompts. observe: called after each evaluation as
    observe(time, prediction), of guided steps with the guided prediction. start: at noise by default; all steps lie
    between its time and 1, and at time 1 there is nothing left to evaluate.
    """
    start, terms = start or SamplingStart(), sampling.guidance_terms() if terms is None else terms
    prompts = sources.part(slice(0, len(noise)))

    def observed(z: Tensor, t: float, until: float) -> Tensor:
        prediction = predict(z, t, until)
        if observe is not None:
            observe(t, prediction)
        return prediction

    def predict(z: Tensor, t: float, until: float) -> Tensor:
        """The data; of guided steps the sum of the terms."""
        times = torch.full((len(z), count_frame_groups(z.shape[1])), t, device=z.device)
        if sampling.sampler == "mean-flow":
            guidance = torch.full_like(times, sampling.guidance)
            return model.predict(z, times, prompts, torch.full_like(times, until - t), guidance).to(z.dtype)
        if not sampling.guided(t) or len(terms) == 1:
            return model.predict(z, times, prompts).to(z.dtype)
        found = model.predict(torch.cat([z] * len(terms)), torch.cat([times] * len(terms)), sources)
        first, *others = found.to(z.dtype).chunk(len(terms))  # autocast predicts in bf16
        if len(others) == 1:
            return others[0] + terms[0].factor * (first - others[0])
        return sum((term.factor * each for term, each in zip(terms[1:], others, strict=True)), terms[0].factor * first)

    z = start.begin(noise)
    times = step_times(start.time, sampling.steps)
    instants = torch.tensor(times, dtype=torch.float64).to(noise)
    for i, ((t, until), (now, then)) in enumerate(zip(pairwise(times), pairwise(instants), strict=True)):
        if t < 1:
            prediction = observed(z, t, until)
            moved = start.restore_known(euler_step(prediction, z, now, then), noise, then)
            if sampling.sampler == "heun" and until < 1:
                slope = velocity(prediction, z, now, 0.0) + velocity(observed(moved, until, 1.0), moved, then, 0.0)
                moved = start.restore_known(z + (then - now) / 2 * slope, noise, then)
            z = moved
        if callback is not None:
            callback(i + 1, sampling.steps)
    return z


def step_times(first: float, steps: int) -> list[float]:
    """Equal steps to 1, exact at the ends of the guidance interval where they begin at 0."""
    return [first + (1 - first) * (i / steps) for i in range(steps)] + [1.0]
