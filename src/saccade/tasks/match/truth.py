"""Which captions are true of which scenes, from their descriptions."""

from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.scenes import Description

Kind = tuple[str, str]  # shape and colour of an object


def describes(caption: Description, scene: Description) -> bool:
    """Whether everything that the caption mentions is in the scene: different objects for different mentions, all
    relations between them, and the background if it is named. What the caption leaves out may be there too."""
    if caption.background not in (None, scene.background):
        return False
    candidates = [
        [i for i, (shape, colour) in enumerate(scene.objects) if shape == mentioned and paint in ("", colour)]
        for mentioned, paint in caption.objects
    ]
    relations = set(scene.relations)

    def assign(chosen: tuple[int, ...]) -> bool:
        """Whether objects can be assigned to the remaining mentions."""
        count = len(chosen)
        if any(
            max(a, b) == count - 1 and (chosen[a], name, chosen[b]) not in relations
            for a, name, b in caption.relations
            if max(a, b) < count
        ):
            return False
        return count == len(candidates) or any(assign((*chosen, i)) for i in candidates[count] if i not in chosen)

    return assign(())


def missing_objects(scenes: Sequence[Description], captions: Sequence[Description]) -> Float[Tensor, "b p"]:
    """How many different objects of each caption each scene lacks."""
    kinds = dict.fromkeys(each for caption in captions for each in caption.objects)
    place = {kind: i for i, kind in enumerate(kinds)}
    shown = [[kind for each in scene.objects for kind in (each, (each[0], ""))] for scene in scenes]
    return (1 - _marks(shown, place)) @ _marks([caption.objects for caption in captions], place).T


def _marks(kinds: Sequence[Collection[Kind]], place: Mapping[Kind, int]) -> Float[Tensor, "n k"]:
    """1 for each kind that a row has."""
    marks = torch.zeros(len(kinds), len(place))
    cells = [i * len(place) + place[kind] for i, row in enumerate(kinds) for kind in row if kind in place]
    marks.view(-1)[cells] = 1
    return marks


def true_pairs(scenes: Sequence[Description], captions: Sequence[Description]) -> Bool[Tensor, "b p"]:
    """`describes` of every scene and caption.

    Where no two objects are alike, each mention is of one object, and comparing sets of facts is enough."""
    found = missing_objects(scenes, captions) == 0
    shown, stated = list(map(_facts, scenes)), list(map(_facts, captions))

    def describing(i: int, j: int) -> bool:
        held, claimed = shown[i], stated[j]
        return describes(captions[j], scenes[i]) if held is None or claimed is None else claimed <= held

    possible = found.nonzero().tolist()
    found[found.clone()] = torch.tensor([describing(i, j) for i, j in possible], dtype=torch.bool)
    return found


def _facts(description: Description) -> frozenset[object] | None:
    """Relations between kinds of objects, and the background; None if objects are alike or have no colour."""
    objects = description.objects
    if len(set(objects)) < len(objects) or any(not colour for _, colour in objects):
        return None
    background = () if description.background is None else (description.background,)
    return frozenset([*((objects[a], name, objects[b]) for a, name, b in description.relations), *background])
