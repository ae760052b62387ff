"""How long, fast and large films are, beside what a model takes."""

from fractions import Fraction
from typing import NamedTuple

from saccade.data.files import escape, natural_key
from saccade.data.film_frames import FilmReader
from saccade.errors import some_of


class Facts(NamedTuple):
    """Of a film. rate: frames per second. seconds: read. size: (width, height). frames: found at the model's rate, one
    more than are kept if it goes on. notes: of its reader."""

    rate: Fraction
    seconds: Fraction
    size: tuple[int, int]
    frames: int
    notes: list[str]


class Survey:
    """Facts about films, and notes on them.

    count, size, rate: frames of a clip, (height, width) and frames per second that the model takes.
    """

    def __init__(self, count: int, size: tuple[int, int], rate: Fraction) -> None:
        self.count, self.size, self.rate = count, size, rate
        self.facts: dict[str, Facts] = {}
        self.most = count

    def add(self, name: str, film: FilmReader, size: tuple[int, int], frames: int, most: int) -> None:
        """A film that has been read. size: (width, height). frames: found at the model's rate. most: that are kept."""
        self.most = most
        self.facts[name] = Facts(film.rate, film.end, size, frames, list(film.notes))

    def notes(self) -> list[str]:
        """What the films have against what the model takes, and what was done about it, one sentence each."""
        if not self.facts:
            return []
        facts = dict(sorted(self.facts.items(), key=lambda item: natural_key(item[0])))
        short = [name for name, each in facts.items() if each.frames < self.count]
        slow = [name for name, each in facts.items() if each.rate < self.rate * Fraction(9, 10) and each.frames > 1]
        long = [name for name, each in facts.items() if each.frames > self.most]
        noted = [each.notes[0] for each in facts.values() if each.notes]
        return [
            self._summary(),
            *_listed("films that are too short, left out", short),
            *_listed(f"films with fewer than {float(self.rate):g} frames per second, some of them repeated", slow),
            *_listed(f"films of which the first {float(self.most / self.rate):g} s are used", long),
            *_listed("films read with notes", noted, 1),
        ]

    def _summary(self) -> str:
        every = self.facts.values()
        width, height = zip(*(each.size for each in every), strict=True)
        longer = " or longer" if any(each.frames > self.most for each in every) else ""
        return (
            f"the films have {_range([each.rate for each in every])} frames per second, last "
            f"{_range([each.seconds for each in every])} s{longer} and are {_range(width)} x {_range(height)} pixels; "
            f"the model takes {self.count} frames at {float(self.rate):g} per second "
            f"({float(self.count / self.rate):g} s) of {self.size[1]} x {self.size[0]}"
        )


def _listed(what: str, names: list[str], most: int = 3) -> list[str]:
    return [f"{len(names)} {what}: {some_of(map(escape, names), most)}"] if names else []


def _range(values: list[Fraction] | tuple[int, ...]) -> str:
    low, high = (
        f"{float(value):.3g}" if isinstance(value, Fraction) else str(value) for value in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"
