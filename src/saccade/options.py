"""The base of every set of options: the same schema serves the command line, Python and the files of a run."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Zoom = Annotated[float, Field(ge=0.1, le=10)]  # scale factor of a picture in augmentation
OnError = Literal["skip", "fail"]  # for what cannot be read
ExifPixels = Literal["auto", "upright", "stored"]  # that annotations are of: `data/exif.py`


class Options(BaseModel):
    """Options with types and ranges. The docstring below each field is its help text.

    Attributes:
        renamed: old field name -> its present name. Files that were written with the old name stay readable.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    renamed: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, given: Any) -> Any:
        return (
            {cls.renamed.get(name, name): value for name, value in given.items()} if isinstance(given, dict) else given
        )


class DataOptions(Options):
    """Training and validation data, and the model to start from.

    Attributes:
        required: the options one of which names the training data.
    """

    renamed: ClassVar[dict[str, str]] = {"hold_out": "val_fraction", "start": "weights", "bad": "on_error"}

    data: Path | None = None
    """Folder (or .tar, .tar.gz, .zip) of the pictures, as the task reads them; its train and val splits are used if it
    has them. A test split is never used. Required, except with --resume."""
    val: Path | None = None
    """Validation pictures, in the same layout."""
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Fraction of the pictures (of each class) held out for validation, where there is no validation set."""
    weights: str | None = None
    """Pretrained model to start from: a bundled model, hf:OWNER/NAME, timm:NAME, a run's folder or a safetensors file.
    The weights of its encoder are loaded, of a model of the same task all that fit, those of classes by their names."""
    on_error: OnError = "skip"
    """What to do with a picture that cannot be read."""

    required: ClassVar[str] = "--data"

    @property
    def sources(self) -> tuple[Path, ...]:
        """The training data; empty where the options name none."""
        return () if self.data is None else (self.data,)


class ClassDataOptions(DataOptions):
    """Of tasks whose pictures have classes."""

    classes: tuple[str, ...] = ()
    """Train on these classes only, such as --classes cat dog: a classifier on their pictures, a detector on their
    objects; for a segmenter all others are background."""


class ClassValOptions(Options):
    """Of tasks whose pictures have classes."""

    classes: tuple[str, ...] = ()
    """Score these classes only; default: those that the model was trained on."""


class AnnotatedDataOptions(ClassDataOptions):
    """Of tasks whose pictures have boxes or masks."""

    exif: ExifPixels = "auto"
    """Which pixels boxes and masks are of, in photos that EXIF turns and whose size does not say it (squares, turns by
    180 degrees); auto: as in the photos whose size says it, else upright."""


class AnnotatedValOptions(ClassValOptions):
    """Of tasks whose pictures have boxes or masks."""

    exif: ExifPixels = "auto"
    """Which pixels boxes and masks are of, in photos that EXIF turns and whose size does not say it; auto: as in the
    photos whose size says it, else upright."""


def parse_byte_size(text: object) -> object:
    """Bytes of "500MB" or "2.5GB"; what is no text is returned as it is. Raises PydanticCustomError (a ValueError) for
    other texts."""
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(MB|GB)", text, re.IGNORECASE)
    if found is None:
        raise PydanticCustomError("bytes", "Expected a size in MB or GB, such as 500MB or 2.5GB")
    return int(float(found[1]) * {"MB": 10**6, "GB": 10**9}[found[2].upper()])


class PictureRecipe(Options):
    """What the recipes of classifiers, detectors and segmenters have in common."""

    model: str = "small/8"
    """Preset of the ViT encoder."""
    freeze_encoder: bool = False
    """Leave the encoder of --weights as it is, and train the rest: faster, and better with very few pictures."""
    balance: bool = False
    """Draw pictures of rare classes more often, so that training sees every class as often as the others."""
    cache: Annotated[Annotated[int, Field(ge=0)], BeforeValidator(parse_byte_size)] = 2 * 10**9
    """Memory for the decoded pictures of a set, such as 500MB or 4GB. Those that do not fit are decoded again for every
    batch, which changes nothing but the time."""
    hflip: bool = True
    """Random horizontal flips; --no-hflip where left and right matter."""


def progressive_size(full: int, progress: float) -> int:
    """Side of the training pictures at a fraction of a run, 0 to 1, that increases to `full`: a half, three quarters,
    then all of it."""
    return round(full * (1 / 2 if progress < 0.5 else 3 / 4 if progress < 0.75 else 1))
