"""What a run of training is made from, as options of the command line; kept with the run."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Source(BaseModel):
    """Pictures, how they are divided, and the model to start from."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    data: Path | None = None
    """Folder (or .tar, .tar.gz) of the pictures, as the task takes them; if it holds train and val, those are used.
    A test split stays unseen. Needed, but for --resume."""
    val: Path | None = None
    """Validation pictures, in the same layout."""
    hold_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the pictures (of each class) held out for validation, where there is no validation set."""
    start: str | None = None
    """A model to start from: its encoder's weights are taken over."""
    bad: Literal["skip", "fail"] = "skip"
    """What to do with a picture that cannot be read."""
