"""Inversion: the noise from which a generator paints a given picture, by its flow run backwards.

Painted from this noise under the picture's caption, the picture comes back; under other words, what these do not change
comes back about as it was. With the caption as the negative prompt, guidance moves away from the caption towards the
prompt, and has no effect where both are the same (negative-prompt inversion, Miyake et al. 2023).
"""

from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.models.generator import Generator, SourceKeysValues
from saccade.ops.flow_matching import euler_step
from saccade.ops.frames import count_frame_groups
from saccade.tasks.generate.base import PaintsPictures
from saccade.tasks.generate.image_to_image import SourceImages, pixels_of
from saccade.tasks.generate.sample import Callback, Sampling, step_times
from saccade.tasks.generate.sampling_start import InvertedStart
from saccade.tasks.generate.settings import Settings

ITERATIONS = 3  # of the fixed point of each step


@torch.no_grad()
def invert(
    model: Generator,
    pictures: Float[Tensor, "b f c y x"],
    sources: SourceKeysValues,
    steps: int,
    time: float = 0.0,
    callback: Callback | None = None,
) -> Float[Tensor, "b f c y x"]:
    """What the sampler "euler", without guidance, turns into the pictures, -1 to 1, in `steps` steps from `time`.

    A step F from z at time t is undone by fixed-point iterations z ← z' - (F(z) - z), z' being what it led to (Pan et
    al. 2023, AIDI). The last step of the sampler gives the prediction itself, whatever z was, so that its iterations do
    not converge and it is undone by one. callback: called after each step as callback(steps done, steps in all).
    """
    times = step_times(time, steps)
    instants = torch.tensor(times, dtype=torch.float64).to(pictures)
    z = pictures
    backwards = reversed(list(zip(pairwise(times), pairwise(instants), strict=True)))
    for i, ((t, until), (now, then)) in enumerate(backwards):
        target, instant = z, torch.full((len(z), count_frame_groups(z.shape[1])), t, device=z.device)
        for _ in range((1 if until == 1 else ITERATIONS) if t < 1 else 0):
            z = target - (euler_step(model.predict(z, instant, sources), z, now, then) - z)
        if callback is not None:
            callback(i + 1, steps)
    return z


def check_inversion(settings: Settings) -> None:
    """Raises SaccadeError for what an inverted picture is not painted with."""
    if settings.sampling.sampler != "euler":
        raise SaccadeError(f"a picture is inverted for the sampler euler, not {settings.sampling.sampler}: use euler")
    if settings.style is not None:
        raise SaccadeError("an inverted picture keeps its own style: leave the style or the source prompt out")


def inverted_start(
    task: PaintsPictures, settings: Settings, originals: SourceImages | None, callback: Callback | None = None
) -> InvertedStart:
    """Where sampling starts for settings with an inverted image, which is that of the originals.

    Raises SaccadeError where it is another."""
    image, original = settings.image, (originals or SourceImages()).select_for(settings).image
    assert image is not None
    assert original is not None
    plain = Sampling(settings.sampling.steps, guidance=1.0)
    caption = replace(settings, prompt=image.caption, negative="", sampling=plain)
    picture = pixels_of(original.image, settings.size)[None, None].to(task.model.device)
    time = 1 - image.strength
    noise = invert(task.model, picture, task.encode([caption]), plain.steps, time, callback)
    return InvertedStart(noise[0], time)
