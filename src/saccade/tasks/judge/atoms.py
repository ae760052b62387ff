"""From found objects to atoms: which object of a description is which in the picture, and what is true of it."""

from collections.abc import Sequence

import numpy as np

from saccade.data.scenes.captions import article
from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.description import Description, Relation
from saccade.data.scenes.relations import RELATIONS
from saccade.data.scenes.shapes import SHAPES
from saccade.errors import DataError
from saccade.tasks.judge.find import FoundObject
from saccade.tasks.judge.relate import found_relations
from saccade.tasks.judge.result import Atom

SHAPE_COST, COLOUR_COST = 2.0, 1.0  # of matching objects of different shapes, or colours
RANK_COST = 1e-3  # of each position in the order of scores, which decides between equals

Matches = tuple[int | None, ...]


def check_description(description: Description) -> None:
    """Raises DataError for shapes, colours and relations that are not those of drawn scenes, and for relations of
    objects that are not there."""
    for shape, colour in description.objects:
        if shape not in SHAPES:
            raise DataError(f"the description has a {shape!r}; the judge knows {', '.join(SHAPES)}")
        if colour and colour not in COLOURS:
            raise DataError(f"the description has the colour {colour!r}; the judge knows {', '.join(COLOURS)}")
    n = len(description.objects)
    for a, name, b in description.relations:
        if name not in RELATIONS:
            raise DataError(f"the description has the relation {name!r}; the judge knows {', '.join(RELATIONS)}")
        if not (0 <= a < n and 0 <= b < n):
            raise DataError(f"the description relates the objects {a} and {b}, and has {n}, counted from 0")


def match_objects(described: Sequence[tuple[str, str]], found: Sequence[FoundObject]) -> Matches:
    """For each described object the position of the found one that is most like it; None where none is left, or the
    one that is left has neither its shape nor its colour.

    The assignment costs least in all (Hungarian method): a different shape costs more than a different colour.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    cost = np.array(
        [
            [_cost(shape, colour, each) + RANK_COST * rank for rank, each in enumerate(found)]
            for shape, colour in described
        ]
    ).reshape(len(described), len(found))
    matches: list[int | None] = [None] * len(described)
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        shape, colour = described[i]
        if shape == found[j].shape or (colour and colour == found[j].colour):
            matches[i] = int(j)
    return tuple(matches)


def judge_atoms(description: Description, found: Sequence[FoundObject], matches: Matches) -> tuple[Atom, ...]:
    """Every statement of the description, judged: the count, the objects in their order, the relations."""
    atoms = [_count(len(description.objects), found)]
    for i in range(len(description.objects)):
        atoms += _object(description, i, found, matches[i])
    holding = found_relations(found) if description.relations else set()
    atoms += [_relation(description, each, found, holding, matches) for each in description.relations]
    return tuple(atoms)


def _cost(shape: str, colour: str, found: FoundObject) -> float:
    different = bool(colour) and colour != found.colour
    return SHAPE_COST * (shape != found.shape) + COLOUR_COST * different


def _count(expected: int, found: Sequence[FoundObject]) -> Atom:
    listed = ", ".join(map(str, found)) or "none"
    reason = "" if len(found) == expected else f"{len(found)} found ({listed})"
    return Atom("count", f"{expected} object{'s' * (expected != 1)}", not reason, reason)


def _object(description: Description, i: int, found: Sequence[FoundObject], match: int | None) -> list[Atom]:
    shape, colour = description.objects[i]
    it = None if match is None else found[match]
    phrase = f"{colour} {shape}".strip()
    reason = "not found" if it is None else "" if it.shape == shape else f"{article(str(it))} is there instead"
    atoms = [Atom("shape", article(phrase), not reason, reason, (i,))]
    if colour:
        reason = "not found" if it is None else "" if it.colour == colour else f"it is {it.colour or 'grey'}"
        atoms.append(Atom("colour", f"the {phrase} is {colour}", not reason, reason, (i,)))
    return atoms


def _relation(
    description: Description,
    relation: Relation,
    found: Sequence[FoundObject],
    holding: set[Relation],
    matches: Matches,
) -> Atom:
    a, name, b = relation
    subject, other = (" ".join(filter(None, description.objects[i][::-1])) for i in (a, b))
    i, j = matches[a], matches[b]
    if i is None or j is None:
        reason = f"{subject if i is None else other} not found"
    elif (i, name, j) in holding:
        reason = ""
    else:
        reason = _between(i, j, found, holding) or "none of the relations holds between them"
    return Atom("relation", f"{subject} {name} {other}", not reason, reason, (a, b))


def _between(i: int, j: int, found: Sequence[FoundObject], holding: set[Relation]) -> str:
    """The relations that hold between two found objects."""
    return ", ".join(f"{found[a]} {name} {found[b]}" for a, name, b in sorted(holding) if {a, b} == {i, j})
