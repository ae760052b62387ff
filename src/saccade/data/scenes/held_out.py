"""Combinations of attributes that are kept out of training, to measure compositional generalization.

Two fixed arithmetic rules on the positions of shapes and colours in their tables, about a tenth of each:

- shape x colour: ``shape + colour = 7 (mod 10)``: one colour for each shape, one shape for each colour.
- shape x relation x shape, for "left of" and "above" (and their inverses, read the other way round):
  ``subject + 3 object = c (mod 10)`` with one odd c for each relation: one object for each subject, one subject for
  each object, and never two equal shapes. No ordered pair is held out for both relations.

Every shape, colour and relation therefore appears in every role in the seen combinations, equally often, which is
the condition for generalization to unseen ones (arXiv 2403.16394). Sprites are never held out.
"""

from collections.abc import Sequence
from typing import Literal

from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.shapes import SHAPES
from saccade.data.scenes.vocabulary import BASES

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
