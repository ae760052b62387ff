"""A style without training for it: patches also attend to those of the style picture, noised to the same time.

Queries come from what is painted, keys and values from it and from the style (as in StyleID, Chung et al. 2024, which
replaces its own keys and values instead of adding the style's).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens import edit
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.edits import Edit, Site
from saccade.models.generator import Generator, SourceKeysValues
from saccade.ops.flow_matching import noised
from saccade.tasks.generate.base import PaintsPictures
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.sample import Callback, Sampling, sample
from saccade.tasks.generate.sampling_start import SamplingStart
from saccade.tasks.generate.settings import Settings


def paint_in_style(
    task: PaintsPictures,
    noise: Float[Tensor, "b f c y x"],
    chunk: Sequence[Settings],
    originals: SourceImages,
    callback: Callback | None = None,
) -> Float[Tensor, "b f c y x"]:
    """Pictures of settings that are painted together, in the style of `originals`.

    Raises SaccadeError for a generator that attends to the image beside it."""
    first, device = chunk[0], noise.device
    assert originals.style is not None
    assert first.style is not None
    if originals.pixels(first, task.model.config.patch, task.preprocess.size, device):
        raise SaccadeError(
            f"{task.name} attends to images, but was not trained to take a style: give the image a strength, to start "
            "from it"
        )
    style, start = (
        originals.style.pixels(first.size, device)[0],
        originals.sampling_start(first, device) or SamplingStart(),
    )
    sources = task.encode(with_style_rows(chunk))
    return sample_in_style(task.model, noise, sources, first.sampling, style, first.style.strength, start, callback)


@torch.no_grad()
def sample_in_style(
    model: Generator,
    noise: Float[Tensor, "b f c y x"],
    sources: SourceKeysValues,
    sampling: Sampling,
    style: Float[Tensor, "c y x"],
    strength: float,
    start: SamplingStart,
    callback: Callback | None = None,
) -> Float[Tensor, "b f c y x"]:
    """Pictures as by `sample`, which attend to a style. style: -1 to 1, of their size. sources: for each of the terms
    those of b samples of the style, without prompts, then those of the pictures (`with_style_rows`). strength: factor
    of the attention to the style, before weights are scaled to sum to 1."""
    beside = _Beside(style, start, len(noise))
    with edit(model, {"blocks.*.self_attention": _StyleKeys(len(noise), strength)}):
        both = sample(model, torch.cat([noise, noise]), sources, sampling, callback, start=beside)
    return both[len(noise) :]


def with_style_rows(settings: Sequence[Settings]) -> list[Settings]:
    """Settings of as many samples of the style, then the settings."""
    return [*(replace(each, prompt="", negative="", style=None) for each in settings), *settings]


class _Beside(SamplingStart):
    """The first n samples are the style, noised to the time of each step."""

    def __init__(self, style: Float[Tensor, "c y x"], start: SamplingStart, n: int):
        self.style, self.start, self.n, self.time = style, start, n, start.time

    def begin(self, noise: Float[Tensor, "b f c y x"]) -> Float[Tensor, "b f c y x"]:
        first = torch.tensor(self.time, dtype=torch.float64).to(noise)
        return self._with_style(self.start.begin(noise), noise, first)

    def restore_known(
        self, z: Float[Tensor, "b f c y x"], noise: Float[Tensor, "b f c y x"], t: Float[Tensor, ""]
    ) -> Float[Tensor, "b f c y x"]:
        return self._with_style(self.start.restore_known(z, noise, t), noise, t)

    def _with_style(self, z: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        style = noise[: self.n]
        return torch.cat([noised(self.style.expand_as(style), style, t), z[self.n :]])


@dataclass(frozen=True, eq=False)
class _StyleKeys(Edit):
    """Each sample also attends to the keys and values of its sample of the style; n of each, style first, alternate in
    the batch."""

    n: int
    strength: float

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        rows = torch.arange(len(arguments.q), device=arguments.q.device)
        style = rows // (2 * self.n) * (2 * self.n) + rows % self.n
        # A sample of the style finds its own keys twice, which changes nothing.
        bias = torch.zeros(len(rows), 1, 1, 2 * arguments.k.shape[2], device=arguments.q.device)
        bias[rows != style, ..., arguments.k.shape[2] :] = math.log(self.strength) if self.strength > 0 else -math.inf
        k, v = (torch.cat([own, own[style]], dim=2) for own in (arguments.k, arguments.v))
        return replace(arguments, k=k, v=v, mask=bias, borrowed=True)
