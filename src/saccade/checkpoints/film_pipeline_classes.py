"""The pipelines of diffusers that make films, by class: how many frames and pixels they take, and where they read text.

Read in the source of diffusers 0.42, and run. The pipelines round a number of frames that does not fit: Wan makes 9 of
8, LTX 1 of 8, CogVideoX 8 of 5 and 16 of 13.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from saccade.checkpoints.pipelines import denoiser

Tube = tuple[int, int, int]


@dataclass(frozen=True)
class FilmGeometry:
    """How the frames and pixels of a film become tokens.

    The first latent frame holds one frame of the film, and each later one `temporal` frames.

    Attributes:
        temporal: frames of the film in a latent frame.
        spatial: side in pixels of a latent pixel.
        tube: latents of a token: frames, rows, columns.
        first: the fewest frames.
        step: from one number of frames that fits to the next.
        multiple: (of the height, of the width) in pixels.
    """

    temporal: int
    spatial: int
    tube: Tube
    first: int
    step: int
    multiple: tuple[int, int]

    def fits(self, frames: int) -> bool:
        """Whether a film of so many frames can be made."""
        return frames >= self.first and (frames - self.first) % self.step == 0

    def nearest_frame_counts(self, frames: int) -> list[int]:
        """The numbers of frames that fit, on both sides of one that does not."""
        if frames < self.first:
            return [self.first]
        below = frames - (frames - self.first) % self.step
        return [below, below + self.step]

    def padding(self, frames: int) -> int:
        """Latent frames that fill up the first token's, and that the film does not show."""
        return -self._latent_frames(frames) % self.tube[0]

    def grid(self, frames: int, size: tuple[int, int]) -> tuple[int, int, int]:
        """(frames, rows, columns) of tokens. size: (height, width) in pixels."""
        rows, columns = (side // (self.spatial * tube) for side, tube in zip(size, self.tube[1:], strict=True))
        return (self._latent_frames(frames) + self.padding(frames)) // self.tube[0], rows, columns

    def spans(self, frames: int) -> list[range]:
        """The frames of the film that each frame of tokens holds."""
        padding, length = self.padding(frames), self.tube[0]
        edges = [0, *range(1, frames + 1, self.temporal)]  # where latent frames begin, and the end
        found = []
        for t in range(self.grid(frames, (0, 0))[0]):
            start, stop = (min(max(t * length + i - padding, 0), len(edges) - 1) for i in (0, length))
            found.append(range(edges[start], edges[stop]))
        return found

    def _latent_frames(self, frames: int) -> int:
        return (frames - 1) // self.temporal + 1


@dataclass(frozen=True)
class FilmPipelineSpec:
    """How a pipeline makes films.

    Attributes:
        geometry: of the film that it makes.
        fps: frames a second of the films that it was trained on.
        rate: the argument that tells its network the frames a second; "" where the network does not know.
        text: pattern of the names of the layers that read the text.
        joint: whether these take text and film as one sequence, the text first; else they attend to the text alone.
        apart: whether guidance evaluates the negative prompt in a pass of its own, after the prompt's; else in one
            batch, before the prompt.
    """

    geometry: Callable[[Any], FilmGeometry]
    fps: Callable[[Any], int]
    text: str
    rate: str = ""
    joint: bool = False
    apart: bool = False


def film_pipeline_spec(pipeline: Any) -> FilmPipelineSpec | None:
    """How a pipeline makes films; None where it does not."""
    return FILM_PIPELINES.get(type(pipeline).__name__)


def image_to_video_class(pipeline: Any) -> str | None:
    """The class that begins a film with a picture, by the networks of one that makes films from text; None where these
    networks do not."""
    kind = type(pipeline).__name__
    if kind == "WanPipeline" and pipeline.config.expand_timesteps:  # where the first frame may be without noise
        return "WanImageToVideoPipeline"
    return "LTXImageToVideoPipeline" if kind == "LTXPipeline" else None


def takes_last_frame(pipeline: Any) -> bool:
    """Whether it takes a picture for the last frame. Where the first frame is without noise, Wan's passes over one, and
    where its network reads pictures beside the text, it reads two only if it was made for two."""
    if type(pipeline).__name__ != "WanImageToVideoPipeline" or pipeline.config.expand_timesteps:
        return False
    config = _config(pipeline)
    return config.image_dim is None or config.pos_embed_seq_len is not None


def _wan(pipeline: Any) -> FilmGeometry:
    t, y, x = _config(pipeline).patch_size
    return _whole_tubes(pipeline.vae_scale_factor_temporal, pipeline.vae_scale_factor_spatial, (t, y, x), 16)


def _ltx(pipeline: Any) -> FilmGeometry:
    side = pipeline.transformer_spatial_patch_size
    tube = (pipeline.transformer_temporal_patch_size, side, side)
    return _whole_tubes(pipeline.vae_temporal_compression_ratio, pipeline.vae_spatial_compression_ratio, tube, 32)


def _cogvideox(pipeline: Any) -> FilmGeometry:
    """Of an even number of latent frames its decoder makes 4 frames of the first one too, which is not one frame."""
    config = _config(pipeline)
    temporal, spatial = pipeline.vae_scale_factor_temporal, pipeline.vae_scale_factor_spatial
    tube = (config.patch_size_t or 1, config.patch_size, config.patch_size)
    multiple = math.lcm(8, spatial * config.patch_size)
    return FilmGeometry(temporal, spatial, tube, 1, 2 * temporal, (multiple, multiple))


def _config(pipeline: Any) -> Any:
    return denoiser(pipeline).config


def _whole_tubes(temporal: int, spatial: int, tube: Tube, checked: int) -> FilmGeometry:
    """checked: multiple of the sides in pixels that the pipeline checks."""
    first = temporal * (tube[0] - 1) + 1
    height, width = (math.lcm(checked, spatial * side) for side in tube[1:])
    return FilmGeometry(temporal, spatial, tube, first, temporal * tube[0], (height, width))


_WAN = FilmPipelineSpec(_wan, lambda pipeline: 24 if pipeline.config.expand_timesteps else 16, "*.attn2", apart=True)
_LTX = FilmPipelineSpec(_ltx, lambda pipeline: 25, "*.attn2", rate="frame_rate")
_COGVIDEOX = FilmPipelineSpec(
    _cogvideox, lambda pipeline: 8 if _config(pipeline).patch_size_t is None else 16, "*.attn1", joint=True
)

FILM_PIPELINES: Mapping[str, FilmPipelineSpec] = {
    "WanPipeline": _WAN,
    "WanImageToVideoPipeline": _WAN,
    "LTXPipeline": _LTX,
    "LTXImageToVideoPipeline": _LTX,
    "CogVideoXPipeline": _COGVIDEOX,
    "CogVideoXImageToVideoPipeline": _COGVIDEOX,
}
