"""Scores of many judgements: the share of right atoms of each kind, and of pictures with no wrong atom."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from saccade.tasks.accuracy_intervals import wilson_interval
from saccade.tasks.judge.films import FilmJudgement
from saccade.tasks.judge.result import ATOM_KINDS, Judgement

ROWS = ("pictures", "atoms", *ATOM_KINDS)


@dataclass(frozen=True)
class Share:
    """How many of `n` are right, with the 95 % interval of the share (Wilson)."""

    right: int
    n: int

    @property
    def value(self) -> float:
        """The share, 0 to 1; NaN of none."""
        return self.right / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.right, self.n)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f} to {high:.3f}, n={self.n})" if self.n else "none"


@dataclass(frozen=True)
class JudgementScores:
    """Shares by name and by the number of described objects.

    Attributes:
        total: "pictures" (or films, with every atom right), "atoms" (of any kind), and each of `ATOM_KINDS`.
        by_objects: the same, for pictures of each number of objects.
    """

    total: dict[str, Share]
    by_objects: dict[int, dict[str, Share]]

    @classmethod
    def of(cls, judgements: Iterable[Judgement | FilmJudgement]) -> Self:
        """The scores of these judgements."""
        right: Counter[tuple[int, str]] = Counter()
        n: Counter[tuple[int, str]] = Counter()
        for each in judgements:
            objects = len(each.description.objects)
            outcomes = [("pictures", each.all_right)]
            outcomes += [(name, atom.right) for atom in each.atoms for name in ("atoms", atom.kind)]
            for name, outcome in outcomes:
                n[objects, name] += 1
                right[objects, name] += outcome
        numbers = sorted({objects for objects, _ in n})
        by_objects = {k: {row: Share(right[k, row], n[k, row]) for row in ROWS} for k in numbers}
        total = {row: Share(sum(right[k, row] for k in numbers), sum(n[k, row] for k in numbers)) for row in ROWS}
        return cls(total, by_objects)

    def table(self) -> str:
        """One line for each share, one column for each number of objects and one for all."""
        columns = [("all", self.total), *((f"{k} object{'s' * (k != 1)}", each) for k, each in self.by_objects.items())]
        lines = ["".join([f"{'':<10}", *(f"{name:<34}" for name, _ in columns)])]
        lines += [
            "".join([f"{row:<10}", *(f"{each[row]!s:<34}" for _, each in columns)]) for row in ROWS if self.total[row].n
        ]
        return "\n".join(line.rstrip() for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: value, interval and n of each share."""

        def shares(each: dict[str, Share]) -> dict[str, Any]:
            return {k: {"value": s.value if s.n else None, "interval": s.interval, "n": s.n} for k, s in each.items()}

        return {"total": shares(self.total), "by_objects": {str(k): shares(v) for k, v in self.by_objects.items()}}
