"""Which captions are true of which scenes, from their descriptions."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.scenes import Description


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
    absent, mentioned = torch.ones(len(scenes), len(place)), torch.zeros(len(captions), len(place))
    for row, scene in zip(absent, scenes, strict=True):
        row[[place[kind] for each in scene.objects for kind in (each, (each[0], "")) if kind in place]] = 0
    for row, caption in zip(mentioned, captions, strict=True):
        row[[place[each] for each in caption.objects]] = 1
    return absent @ mentioned.T


def true_pairs(scenes: Sequence[Description], captions: Sequence[Description]) -> Bool[Tensor, "b p"]:
    """`describes` of every scene and caption."""
    found = missing_objects(scenes, captions) == 0
    for i, j in found.nonzero().tolist():
        found[i, j] = describes(captions[j], scenes[i])
    return found
