"""A public pipeline that makes films, and what it says of itself."""

import importlib.util
from functools import cached_property
from typing import Any

from saccade.checkpoints.film_pipeline_classes import FILM_PIPELINES, FilmGeometry, FilmPipelineSpec, film_pipeline_spec
from saccade.checkpoints.pipelines import PublicPipeline
from saccade.errors import CheckpointError, SaccadeError
from saccade.tasks.generate.public_model import PublicModel


class PublicFilmModel(PublicModel):
    """A pipeline of diffusers that makes films.

    Attributes:
        film: how it makes them.

    Raises CheckpointError for a pipeline that is not in FILM_PIPELINES.
    """

    def __init__(self, public: PublicPipeline):
        super().__init__(public)
        found = film_pipeline_spec(self.model)
        if found is None:
            raise CheckpointError(
                f"{self.name} is a {type(self.model).__name__}, which makes no films; expected one of "
                f"{', '.join(FILM_PIPELINES)}"
            )
        self.film: FilmPipelineSpec = found

    @cached_property
    def geometry(self) -> FilmGeometry:
        """How many frames and pixels it takes, and how they become tokens."""
        return self.film.geometry(self.model)

    @property
    def default_fps(self) -> float:
        """Frames a second of the films that it was trained on."""
        return float(self.film.fps(self.model))

    @property
    def default_frames(self) -> int:
        """Frames of a film that the pipeline makes by default."""
        usual = self.arguments["num_frames"].default
        frames = self.config.sample_frames if usual is None else usual
        return frames if self.geometry.fits(frames) else self.geometry.nearest_frame_counts(frames)[0]

    @property
    def default_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the pipeline makes by default."""
        if isinstance(self.arguments["height"].default, int):
            return super().default_size
        return self.config.sample_height * self.geometry.spatial, self.config.sample_width * self.geometry.spatial

    def text_tokens(self, tokenizer: Any) -> int:
        """How many tokens the pipeline takes from its tokenizer."""
        return getattr(self.config, "max_text_seq_length", None) or super().text_tokens(tokenizer)

    def check_length(self, frames: int) -> None:
        """Raises SaccadeError for a number of frames that the pipeline would round."""
        geometry = self.geometry
        if not geometry.fits(frames):
            known = [geometry.first + i * geometry.step for i in range(4)]
            several = ", ".join(str(n) for n in known[known[0] < 2 :][:3])  # a picture is no film
            nearest = " or ".join(str(n) for n in geometry.nearest_frame_counts(frames) if n > 1)
            raise SaccadeError(
                f"a film of {frames} frames: {self.name} makes {several} and so on, each {geometry.step} more: use "
                f"{nearest}"
            )

    def check_size(self, size: tuple[int, int]) -> None:
        """size: (height, width). Raises SaccadeError for one that the pipeline does not take."""
        multiple = self.geometry.multiple
        if any(side < each or side % each for side, each in zip(size, multiple, strict=True)):
            raise SaccadeError(
                f"a size of {size[1]} x {size[0]} pixels: multiples of {multiple[1]} x {multiple[0]}, from there on, "
                f"are expected by {self.name}"
            )

    def check_libraries(self) -> None:
        """Raises SaccadeError without ftfy, which diffusers uses for Wan's prompts; with a picture, without a check."""
        kind = type(self.model).__name__
        if kind == "WanImageToVideoPipeline" and importlib.util.find_spec("ftfy") is None:
            raise SaccadeError(f"{self.name} is a {kind}, for which diffusers needs the package ftfy: pip install ftfy")
