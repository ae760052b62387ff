"""Result of a classifier."""

from dataclasses import asdict, dataclass
from typing import Any

from saccade.data.files import escape


@dataclass(frozen=True)
class Classification:
    """The most likely classes of one picture.

    Attributes:
        name: of the picture.
        labels: class names, most likely first.
        probabilities: of these classes, 0 to 1.
        notes: what was assumed when the picture was read.
    """

    name: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The most likely class."""
        return self.labels[0]

    def __str__(self) -> str:
        classes = "  ".join(f"{label} {p:.0%}" for label, p in zip(self.labels, self.probabilities, strict=True))
        return escape(f"{self.name}: {classes}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
