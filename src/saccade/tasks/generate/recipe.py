"""Options of the training of a generator."""

from typing import Annotated, Literal

from pydantic import Field

from saccade.options import Options


class GenerateRecipe(Options):
    """Model and noise levels. The defaults suit scenes of few objects at 64 pixels."""

    objective: Literal["flow", "mean-flow"] = "flow"
    """flow: predict the picture, for tens of steps with guidance. mean-flow: convert a trained generator (--weights) so
    that it also paints in few steps, with the guidance contained."""
    size: Annotated[int, Field(gt=0)] = 64
    """Side of the pictures in pixels; a multiple of --patch."""
    patch: Annotated[int, Field(gt=0)] = 8
    """Side of a patch in pixels."""
    width: Annotated[int, Field(gt=0, multiple_of=32)] = 192
    """Width of the tokens; a multiple of 32."""
    depth: Annotated[int, Field(gt=0)] = 8
    """Blocks of the generator."""
    text_width: Annotated[int, Field(gt=0, multiple_of=32)] = 128
    """Width of the text encoder; a multiple of 32."""
    text_depth: Annotated[int, Field(gt=0)] = 2
    """Blocks of the text encoder."""
    caption_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the captions that are left out, which classifier-free guidance needs."""
    views: Annotated[int, Field(gt=0)] = 2
    """Noised versions of each picture in a batch, each with a caption of its own: drawing a scene takes longer than
    a fifth of a step."""
    time_mean: float = -0.6
    """Mean of the logit of the time, from noise at 0 to the picture at 1; lower trains more on noisy pictures."""
    time_std: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation of the logit of the time."""
    guidance: tuple[Annotated[float, Field(ge=1)], Annotated[float, Field(le=10)]] = (1.0, 5.0)
    """Smallest and largest guidance scale that --objective mean-flow contains."""
    flow_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of a batch that --objective mean-flow trains as --objective flow does, so that it is not forgotten."""
    split_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of a batch whose intervals --objective mean-flow splits in two."""

    def size_at(self, progress: float) -> int:
        """Side of the training pictures at a fraction of the run, 0 to 1: always the same."""
        return self.size
