"""Relations between found objects, by the definitions of `saccade.data.scenes.relations`.

What those need and a picture does not show, how much of an object another one hides and which pixels lie in its hole,
comes from outlines fitted to the visible pixels (`saccade.tasks.judge.outlines`).
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_dilation

from saccade.data.scenes.description import Relation
from saccade.data.scenes.relations import RELATIONS, relations
from saccade.tasks.judge.find import FoundObject
from saccade.tasks.judge.outlines import fit_outline

HELD = 0.9  # of an object's pixels in a hole from which it counts as inside
TOUCH = 2  # pixels between two objects, at most, where one may hide a part of the other


def found_relations(objects: Sequence[FoundObject]) -> set[Relation]:
    """(subject, name, object): positions in `objects`, and one of `RELATIONS`."""
    if not objects:
        return set()
    height, width = objects[0].mask.shape
    seen = [each.num_pixels for each in objects]
    full, hidden, held = _overlaps(objects)
    triplets = relations(
        [each.box for each in objects],
        [each.colour or "" for each in objects],
        seen,
        full,
        hidden,
        held,
        min(height, width),
    )
    return {(a, RELATIONS[name], b) for a, name, b in triplets}


def _overlaps(objects: Sequence[FoundObject]) -> tuple[list[int], list[list[int]], list[list[int]]]:
    """`full`, `hidden` and `held` of `relations`."""
    n = len(objects)
    full = [each.num_pixels for each in objects]
    hidden, held = np.zeros((n, n), int), np.zeros((n, n), int)
    everything = np.logical_or.reduce([each.mask for each in objects])
    for i, one in enumerate(objects):
        near = [j for j in range(n) if j != i and _may_overlap(one, objects[j])]
        if not near:
            continue
        outline = fit_outline(one, everything & ~one.mask)
        whole, hole = outline.mask(one.mask.shape), outline.hole(one.mask.shape)
        full[i] = max(int(whole.sum()), one.num_pixels)
        for j in near:
            hidden[i, j] = (whole & objects[j].mask).sum()
            inside = (hole & objects[j].mask).sum()
            held[i, j] = objects[j].num_pixels if inside >= HELD * objects[j].num_pixels else inside
    shares = hidden / np.array(full)[:, None]
    hidden[shares < shares.T] = 0  # of two objects, one at most is in front
    return full, hidden.tolist(), held.tolist()


def _may_overlap(one: FoundObject, other: FoundObject) -> bool:
    """Whether the boxes overlap or nearly touch, and so do the masks, unless `other` may lie in a hole."""
    a, b = one.box, other.box
    if max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3]) > TOUCH:
        return False
    return one.shape in ("ring", "frame") or bool((binary_dilation(one.mask, iterations=TOUCH) & other.mask).any())
