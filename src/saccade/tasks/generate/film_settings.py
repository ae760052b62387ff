"""The part of a generated film's settings that pictures do not have."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import NamedTuple, Self

from saccade.errors import SaccadeError, printable

MAX_FRAMES = 10_000
MIN_RATE, MAX_RATE = 0.1, 240.0  # frames a second
RATE = 8.0
_KINDS = {Integral: "a whole number", Real: "a number"}


def exact_frame_rate(fps: float) -> Fraction:
    """The fraction that a rate stands for: 30000 / 1001 for 29.97002997002997."""
    return Fraction(fps).limit_denominator(1001)


def unquoted(value: str) -> str:
    """The text of a JSON string in a line of settings. Raises ValueError for what is none, or no Unicode text."""
    text = json.loads(value) if value.startswith('"') else None
    if text is None:
        raise ValueError(f"{value[:40]!r} is not in quotes")
    text.encode()  # half of a pair of surrogates cannot be written or shown
    return str(text)


class FrameReference(NamedTuple):
    """A picture or film that settings refer to. name: for display. digest: of its pixels."""

    name: str
    digest: str


@dataclass(frozen=True)
class FilmSettings:
    """Attributes:
        frames: number of frames, 2 to 10,000; of a film that goes on from another, those that are new.
        fps: frames a second, 0.1 to 240.
        first, last: the pictures that are its first and last frame.
        before: the film that it goes on from.

    Raises SaccadeError for values out of range, and for known frames that do not go together.
    """

    frames: int
    fps: float = RATE
    first: FrameReference | None = None
    last: FrameReference | None = None
    before: FrameReference | None = None

    def __post_init__(self) -> None:
        for name, value, kind in (("frames", self.frames, Integral), ("fps", self.fps, Real)):
            if not isinstance(value, kind):
                raise SaccadeError(f"{name} of a film is {value!r}; {_KINDS[kind]} expected")
        if not 2 <= self.frames <= MAX_FRAMES:
            raise SaccadeError(f"a film of {self.frames} frames was requested; 2 to {MAX_FRAMES} expected")
        if not MIN_RATE <= self.fps <= MAX_RATE:
            raise SaccadeError(
                f"{float(self.fps):g} frames a second were requested; {MIN_RATE:g} to {MAX_RATE:g} expected"
            )
        if self.last is not None and self.first is None:
            raise SaccadeError("a last frame goes with a first one: give an image too")
        if self.before is not None and self.first is not None:
            raise SaccadeError("a film goes on from another film or begins with an image: give one of them")

    def fields(self) -> dict[str, object]:
        """For the line of settings."""
        found: dict[str, object] = {"Frames": self.frames, "FPS": repr(float(self.fps)).removesuffix(".0")}
        for title, reference in (("First frame", self.first), ("Last frame", self.last), ("Film", self.before)):
            if reference is not None:
                name = json.dumps(printable(reference.name), ensure_ascii=False)
                found |= {title: name, f"{title} hash": reference.digest}
        return found

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> Self | None:
        """From the fields of the line of settings; None for a picture's. Raises ValueError, KeyError or SaccadeError
        where they are wrong."""
        if "Frames" not in fields:
            return None
        references = [
            FrameReference(unquoted(fields[title]), fields[f"{title} hash"]) if f"{title} hash" in fields else None
            for title in ("First frame", "Last frame", "Film")
        ]
        return cls(int(fields["Frames"]), float(fields.get("FPS", RATE)), *references)
