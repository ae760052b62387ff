"""Results of judging one picture."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from saccade.data.files import escape
from saccade.data.scenes.description import Description
from saccade.tasks.judge.find import FoundObject

AtomKind = Literal["count", "shape", "colour", "relation", "motion"]
ATOM_KINDS: tuple[AtomKind, ...] = get_args(AtomKind)


@dataclass(frozen=True)
class Atom:
    """One statement of a description, and whether the picture shows it.

    Attributes:
        kind: "count", "shape", "colour", "relation" or, of films, "motion".
        text: the statement: "3 objects", "a star", "the star is red", "red star left of blue ring".
        right: whether it is true of the picture.
        reason: what was found instead; "" if it is right.
        objects: positions, in the description, of the objects that it is about.
    """

    kind: AtomKind
    text: str
    right: bool
    reason: str = ""
    objects: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the objects."""
        return {"kind": self.kind, "text": self.text, "right": self.right, "reason": self.reason}


class BaseJudgement:
    """What judgements of pictures and of films have in common."""

    atoms: tuple[Atom, ...]

    @property
    def all_right(self) -> bool:
        """Whether every atom is right."""
        return all(atom.right for atom in self.atoms)

    @property
    def wrong(self) -> tuple[Atom, ...]:
        """The atoms that are not right."""
        return tuple(atom for atom in self.atoms if not atom.right)


@dataclass(frozen=True)
class Judgement(BaseJudgement):
    """Which statements of a description are true of a picture.

    Attributes:
        name: of the picture.
        description: what the picture should show.
        found: the objects found in it, by descending score; boxes and masks in pixels of the picture as examined.
        matches: for each object of the description, its position in `found`, or None if it was not found.
        atoms: every statement: the count, each object's shape and colour, each relation.
        scale: pixels of the examined picture for one of the picture.
        notes: what was assumed when the picture was read.
    """

    name: str
    description: Description
    found: tuple[FoundObject, ...]
    matches: tuple[int | None, ...]
    atoms: tuple[Atom, ...]
    scale: float = 1.0
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: AtomKind) -> tuple[Atom, ...]:
        """The atoms of one kind."""
        return tuple(atom for atom in self.atoms if atom.kind == kind)

    def box(self, index: int) -> tuple[float, ...]:
        """Left, top, right, bottom of a found object in pixels of the picture."""
        return tuple(edge / self.scale for edge in self.found[index].box)

    def __str__(self) -> str:
        wrong = "; ".join(f"{atom.text}: {atom.reason}" for atom in self.wrong)
        right = len(self.atoms) - len(self.wrong)
        return escape(f"{self.name}: {right} of {len(self.atoms)} atoms are right{f' ({wrong})' if wrong else ''}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Boxes are left, top, right, bottom in pixels of the picture."""
        return {
            "name": self.name,
            "description": self.description.as_json(),
            "all_right": self.all_right,
            "atoms": [atom.to_dict() for atom in self.atoms],
            "found": [
                {
                    "shape": each.shape,
                    "colour": each.colour,
                    "score": round(each.score, 6),
                    "box": [round(edge, 3) for edge in self.box(i)],
                }
                for i, each in enumerate(self.found)
            ],
            "matches": list(self.matches),
            "notes": list(self.notes),
        }
