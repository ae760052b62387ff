"""Figures of many pictures with 95 % intervals, and tables of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import UsageError
from saccade.lens.scores.bootstrap import interval

SEED = 0  # of the bootstrap: equal draws for all rows
TITLE, CELL = 30, 27  # letters


class Figure(Protocol):
    """A value with its 95 % interval over n pictures or decisions, such as `Share`."""

    @property
    def value(self) -> float: ...

    @property
    def interval(self) -> tuple[float, float]: ...

    @property
    def n(self) -> int: ...


Row = Mapping[str, Figure]  # column -> figure
Table = Mapping[str, Row]


@dataclass(frozen=True)
class Mean:
    """The mean of a value of each picture; its interval by the bootstrap over pictures."""

    values: Sequence[float]

    @property
    def value(self) -> float:
        return sum(self.values) / self.n

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        return _interval(torch.tensor(self.values, dtype=torch.float64)[:, None], lambda sums: sums[:, 0] / self.n)

    def minus(self, other: "Mean") -> "Mean":
        """The mean difference of values of the same pictures, so that the bootstrap is paired."""
        return Mean([one - two for one, two in zip(self.values, other.values, strict=True)])

    def negated(self) -> "Mean":
        """Of values of which lower ones are better."""
        return Mean([-each for each in self.values])


@dataclass(frozen=True)
class Ratio:
    """The sum of one value of each picture over the sum of another; its interval by the bootstrap over pictures."""

    above: Sequence[float]
    below: Sequence[float]

    @property
    def value(self) -> float:
        return sum(self.above) / sum(self.below)

    @property
    def n(self) -> int:
        return len(self.above)

    @property
    def interval(self) -> tuple[float, float]:
        pairs = torch.tensor([self.above, self.below], dtype=torch.float64).T
        return _interval(pairs, lambda sums: sums[:, 0] / sums[:, 1])


@dataclass
class Parts:
    """Which parts of a benchmark are run. A subclass sets `known`, and the default of `parts` to all of them."""

    known: ClassVar[Mapping[str, Callable[..., Iterator[tuple[str, Table]]]]]

    parts: str

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in self.known:
                raise UsageError(f"--parts has {name!r}; parts of {', '.join(self.known)} expected")

    @property
    def names(self) -> list[str]:
        """Of the parts."""
        return self.parts.split(",")

    def run(self, painter: Any, examiner: Any, sheets: Path | None) -> dict[str, Any]:
        """Print the tables of all parts; return them for JSON. painter, examiner: what the parts take. sheets: folder
        of their pictures, which is made."""
        if sheets:
            sheets.mkdir(parents=True, exist_ok=True)
        results = {}
        for name in self.names:
            for title, table in self.known[name](painter, examiner):
                print_table(title, table)
                results[title] = to_dict(table)
        return results


def print_table(title: str, table: Table) -> None:
    """A line for each row, whose columns are those of the first one."""
    columns = {name: figure.n for name, figure in next(iter(table.values())).items()}
    print(f"\n## {title}")
    _print_line("", [f"{name} (n={n})" for name, n in columns.items()])
    for name, row in table.items():
        _print_line(name, [_cell(row[column]) if column in row else "-" for column in columns])


def to_dict(table: Table) -> dict[str, Any]:
    """For JSON."""
    return {
        row: {name: {"value": each.value, "interval": each.interval, "n": each.n} for name, each in figures.items()}
        for row, figures in table.items()
    }


def _interval(
    per_picture: Float[Tensor, "p s"], score: Callable[[Float[Tensor, "r s"]], Float[Tensor, "r"]]
) -> tuple[float, float]:
    return interval(per_picture, score, SEED)


def _print_line(title: str, cells: Sequence[str]) -> None:
    print("".join([f"{title:<{TITLE}}", *(f"{cell:<{CELL}}" for cell in cells)]).rstrip())


def _cell(figure: Figure) -> str:
    low, high = figure.interval
    digits = 1 if abs(figure.value) >= 10 else 3
    return f"{figure.value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
