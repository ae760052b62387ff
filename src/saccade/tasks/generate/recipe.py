"""Options of the training of a generator."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from saccade.errors import UsageError
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
    bottleneck: Annotated[int, Field(ge=0)] = 0
    """Width to which patches are reduced before they are tokens; 0 for none. It serves patches of many pixels."""
    refine: Annotated[int, Field(ge=0)] = 32
    """Channels of the convolutions that sharpen what the blocks predict; 0 for none."""
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
    picture_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the scenes that are painted from a picture too: a sketch, a map of classes, a grey or a small one, or
    the scene before an edit. 0: the generator has no such source."""
    mask_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the scenes of which a part is given and the rest is painted."""
    style_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the scenes that are painted in the style of another picture."""
    film_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the scenes that are films of moving objects. 0: the generator paints no films, unless it is trained on
    films with captions."""
    frames: Annotated[int, Field(gt=2)] = 17
    """Frames of a film, an odd number: the first one, then tubes of two."""
    fps: Annotated[float, Field(ge=0.1, le=240)] = 8.0
    """Frames a second at which films on disk are read."""
    source_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the pictures to paint from, and of the pictures of a style, that are left out with --pairs and --styles,
    which guidance by them needs."""
    views: Annotated[int, Field(gt=0)] = 2
    """Noised versions of each picture in a batch, each with a caption of its own: drawing a scene takes longer than
    a fifth of a step."""
    time_mean: float = -0.6
    """Mean of the logit of the time, from noise at 0 to the picture at 1; lower trains more on noisy pictures."""
    time_std: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation of the logit of the time."""
    perceptual_model: str | None = None
    """A trained model, such as matcher, in whose picture features predictions are compared with the data too. None: by
    their pixels alone."""
    perceptual_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    """Factor of the loss in the features of --perceptual-model."""
    guidance: tuple[Annotated[float, Field(ge=1)], Annotated[float, Field(le=10)]] = (1.0, 5.0)
    """Smallest and largest guidance scale that --objective mean-flow contains."""
    flow_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of a batch that --objective mean-flow trains as --objective flow does, so that it is not forgotten."""
    split_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Share of a batch whose intervals --objective mean-flow splits in two."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources beside the caption, in the order of `saccade.models.source_encoders.PICTURE_SOURCES`."""
        shares = {
            "picture": self.picture_share + self.style_share,  # a style goes with a content
            "masked": self.mask_share,
            "style": self.style_share,
        }
        return tuple(name for name, share in shares.items() if share > 0)

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.picture_share + self.mask_share + self.style_share > 1:
            raise UsageError("--picture-share, --mask-share and --style-share are together more than 1: lower one")
        if not 1 <= self.guidance[0] <= self.guidance[1] <= 10:
            raise UsageError(
                f"--guidance {self.guidance[0]:g} {self.guidance[1]:g}: two scales from 1 to 10, the smaller first"
            )
        if self.flow_share + self.split_share > 1:
            raise UsageError("--flow-share and --split-share are together more than 1: lower one")
        if self.perceptual_model is not None and self.objective != "flow":
            raise UsageError("--perceptual-model is for --objective flow")
        if self.frames % 2 == 0:
            raise UsageError(f"--frames {self.frames}: an odd number is expected, one frame and then tubes of two")
        return self

    def size_at(self, progress: float) -> int:
        """Side of the training pictures at a fraction of the run, 0 to 1: always the same."""
        return self.size
