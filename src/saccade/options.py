"""The base of every set of options: the same schema serves the command line, Python and the files of a run."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Zoom = Annotated[float, Field(ge=0.1, le=10)]  # scale factor of a picture in augmentation


class Options(BaseModel):
    """Options with types and ranges. The docstring below each field is its help text.

    Attributes:
        renamed: old field name -> its present name. Files that were written with the old name stay readable.
    """

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    renamed: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, given: Any) -> Any:
        return (
            {cls.renamed.get(name, name): value for name, value in given.items()} if isinstance(given, dict) else given
        )
