"""Six relations between the objects of a scene, defined by their visible pixels.

Lengths are fractions of the picture's shorter side. Boxes are those of the visible pixels.

- left of: the subject's box ends before the object's begins, with at most `NEAR` between them; and from centre to
  centre it is at least `DOMINATES` times as far across as down.
- above: the same, downwards.
- inside: all visible pixels of the subject are in the hole of the object, a ring or a frame.
- in front of: the subject hides at least `HIDES` of the object's pixels.
- bigger than: the subject has `BIGGER` times as many visible pixels, and the boxes are at most `CLOSE` apart.
- same colour: the colours have the same name, and the boxes are at most `NEAR` apart; listed in both directions.

At most one of the first four holds for a pair: inside takes precedence over in front of, which takes precedence over
the other two.
"""

from collections.abc import Sequence

RELATIONS = ("left of", "above", "inside", "in front of", "bigger than", "same colour")
LEFT_OF, ABOVE, INSIDE, IN_FRONT_OF, BIGGER_THAN, SAME_COLOUR = range(6)
NEAR, DOMINATES, HIDES, BIGGER, CLOSE = 0.2, 2.0, 0.05, 3.0, 0.02

Box = Sequence[float]
Triplet = tuple[int, int, int]


def relations(
    boxes: Sequence[Box],
    colours: Sequence[str],
    seen: Sequence[int],
    full: Sequence[int],
    hidden: Sequence[Sequence[int]],
    in_hole: Sequence[Sequence[int]],
    side: int,
) -> list[Triplet]:
    """(subject, relation, object), sorted by subject, then object.

    boxes: left, top, right, bottom in pixels. colours: names, "" for many colours. seen, full: number of visible pixels
    and of all pixels of each object. hidden[i][j]: pixels of i that show j. in_hole[i][j]: pixels in the hole of i that
    show j. side: the picture's shorter side.
    """
    found: list[Triplet] = []
    for i in range(len(boxes)):
        for j in range(len(boxes)):
            if i == j:
                continue
            place = _place(boxes[i], boxes[j], side)
            if in_hole[j][i] == seen[i]:
                place = INSIDE
            elif in_hole[i][j] == seen[j]:
                place = None  # the relation holds in the other direction
            elif hidden[j][i] >= HIDES * full[j]:
                place = IN_FRONT_OF
            elif hidden[i][j] >= HIDES * full[i]:
                place = None
            if place is not None:
                found.append((i, place, j))
            apart = _apart(boxes[i], boxes[j])
            if seen[i] >= BIGGER * seen[j] and apart <= CLOSE * side:
                found.append((i, BIGGER_THAN, j))
            if colours[i] and colours[i] == colours[j] and apart <= NEAR * side:
                found.append((i, SAME_COLOUR, j))
    return found


def _place(a: Box, b: Box, side: int) -> int | None:
    """Whether a is left of b, or above it."""
    across, down = (b[0] + b[2] - a[0] - a[2]) / 2, (b[1] + b[3] - a[1] - a[3]) / 2
    if 0 <= b[0] - a[2] <= NEAR * side and across >= DOMINATES * abs(down):
        return LEFT_OF
    if 0 <= b[1] - a[3] <= NEAR * side and down >= DOMINATES * abs(across):
        return ABOVE
    return None


def _apart(a: Box, b: Box) -> float:
    """The wider of the gaps between two boxes, across and down; 0 where they overlap."""
    return max(0.0, a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
