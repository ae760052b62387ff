"""Constraints on scenes: the number of objects, whether they may overlap, which combinations may occur; and scenes as
text, for command lines: ``scenes:1000,objects=1-3,apart,combinations=held-out``.

Some combinations of attributes are kept out of training, to measure compositional generalization, by two fixed
arithmetic rules on the positions of shapes and colours in their tables, about a tenth of each:

- shape x colour: ``shape + colour = 7 (mod 10)``: one colour for each shape, one shape for each colour.
- shape x relation x shape, for "left of" and "above" (and their inverses, read the other way round):
  ``subject + 3 object = c (mod 10)`` with one odd c for each relation: one object for each subject, one subject for
  each object, and never two equal shapes. No ordered pair is held out for both relations.

Every shape, colour and relation therefore appears in every role in the seen combinations, equally often, which is
the condition for generalization to unseen ones (arXiv 2403.16394). Sprites are never held out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.shapes import SHAPES
from saccade.data.scenes.vocabulary import BASES
from saccade.errors import DataError

MAX_OBJECTS = 8
DEFAULT_OBJECTS = (3, 8)
_OPTIONS = "objects=1-3, apart, combinations=seen, size=64, seed=1"

Combinations = Literal["all", "seen", "held-out"]

_SHAPES = {name: i for i, name in enumerate(SHAPES)}
_COLOURS = {name: i for i, name in enumerate(COLOURS)}
_COLOUR_RESIDUE = 7
_RELATION_RESIDUES = {"left of": 1, "above": 7}


def is_held_out(objects: Sequence[tuple[str, str]], relations: Sequence[tuple[int, str, int]] = ()) -> bool:
    """Whether any of these objects or relations is a held-out combination.

    Args:
        objects: (shape, colour) of each.
        relations: (subject, relation, object), where subject and object are positions in `objects`.
    """
    return any(is_held_out_colour(shape, colour) for shape, colour in objects) or any(
        is_held_out_relation(objects[a][0], relation, objects[b][0]) for a, relation, b in relations
    )


def is_held_out_colour(shape: str, colour: str) -> bool:
    """The rule of shape x colour."""
    i, j = _SHAPES.get(shape), _COLOURS.get(colour)
    return i is not None and j is not None and (i + j) % 10 == _COLOUR_RESIDUE


def is_held_out_relation(subject: str, relation: str, other: str) -> bool:
    """The rule of shape x relation x shape. "right of" and "below" are read as their inverses."""
    if relation in BASES:
        subject, relation, other = other, BASES[relation], subject
    i, j, residue = _SHAPES.get(subject), _SHAPES.get(other), _RELATION_RESIDUES.get(relation)
    return i is not None and j is not None and residue is not None and (i + 3 * j) % 10 == residue


HELD_OUT_COLOURS = tuple((s, c) for s in SHAPES for c in COLOURS if is_held_out_colour(s, c))
HELD_OUT_RELATIONS = tuple(
    (a, r, b) for r in _RELATION_RESIDUES for a in SHAPES for b in SHAPES if is_held_out_relation(a, r, b)
)


@dataclass(frozen=True)
class SceneConstraints:
    """Attributes:
        objects: minimum and maximum number of objects in a scene, 1 to 8.
        apart: objects do not overlap and are not cut by the border.
        combinations: "all"; "seen": no held-out combination occurs; "held-out": at least one occurs in every scene.

    Raises:
        DataError: a value out of range.
    """

    objects: tuple[int, int] = DEFAULT_OBJECTS
    apart: bool = False
    combinations: Combinations = "all"

    def __post_init__(self) -> None:
        fewest, most = self.objects
        if not 1 <= fewest <= most <= MAX_OBJECTS:
            given = fewest if fewest == most else f"{fewest}-{most}"
            raise DataError(
                f"objects={given} was given; a number from 1 to {MAX_OBJECTS}, or the fewest and the most, expected"
            )
        if self.combinations not in get_args(Combinations):
            expected = ", ".join(get_args(Combinations))
            raise DataError(f"combinations={self.combinations!r} was given; one of {expected} expected")


def parse_spec(text: str) -> dict[str, Any] | None:
    """Arguments of `Scenes` from "scenes", "scenes:N" or "scenes:N,OPTION,...": only those that are given.

    Options: ``objects=FEWEST-MOST`` (or one number), ``apart``, ``combinations=all|seen|held-out``, ``size=PIXELS`` (or
    WIDTHxHEIGHT), ``seed=N``. The count may be left out: ``scenes:apart``.

    Returns None if the text is not "scenes" and does not begin with "scenes:".

    Raises:
        DataError: an unknown or repeated option, or a value that `Scenes` refuses.
    """
    word, colon, rest = text.partition(":")
    if word != "scenes":
        return None
    found: dict[str, Any] = {}
    parts = rest.split(",") if colon else []
    for i, part in enumerate(parts):
        name, value = _parse(text, part.strip(), first=i == 0)
        if name in found:
            raise DataError(f"{text!r}: {name} is given twice; once expected")
        found[name] = value
    composition = {key: found[key] for key in ("objects", "apart", "combinations") if key in found}
    SceneConstraints(**composition)  # checks the ranges
    return found


def _parse(text: str, part: str, first: bool) -> tuple[str, Any]:
    """The name and value of one part."""
    if first and re.fullmatch(r"[0-9]+", part) and int(part) > 0:
        return "n", int(part)
    name, equals, value = part.partition("=")
    if part == "apart":
        return "apart", True
    if name == "objects" and (match := re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", value)):
        return "objects", (int(match[1]), int(match[2] or match[1]))
    if name == "combinations" and equals:
        return "combinations", value
    if name == "size" and (match := re.fullmatch(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", value)):
        return "size", (int(match[2] or match[1]), int(match[1]))
    if name == "seed" and re.fullmatch(r"[0-9]{1,18}", value):
        return "seed", int(value)
    expected = f"a whole number from 1, or one of {_OPTIONS}" if first else f"one of {_OPTIONS}"
    raise DataError(f"{text!r}: {part!r} was found; {expected} expected")
