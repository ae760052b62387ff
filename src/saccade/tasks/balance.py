"""Sampling of pictures by the classes they show, for sets in which some classes are rare."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def balanced_weights(shown: Iterable[Iterable[int]], classes: int) -> Float[Tensor, "pictures"]:
    """How often to draw each picture, as a share: in proportion to 1 / (number of pictures with the class) of its
    rarest class, so that of single labels every class is drawn equally often, and of several no class more rarely than
    that. A picture without a class counts as one of a further class.

    shown: the classes of each picture, 0 to classes - 1."""
    present = [sorted(set(each)) or [classes] for each in shown]
    counts = torch.bincount(torch.tensor([label for each in present for label in each]), minlength=classes + 1)
    weights = torch.tensor([1 / min(int(counts[label]) for label in each) for each in present], dtype=torch.float64)
    return weights / weights.sum()


def mirrored_classes(labels: Sequence[str]) -> tuple[str, str] | None:
    """Two classes that a horizontal flip turns into one another by their names, such as "left turn" and "right turn";
    None if there are none."""
    by_name = {label.casefold(): label for label in labels}
    for left, right in (("left", "right"), ("왼", "오른")):
        for name, label in by_name.items():
            if left in name and (other := by_name.get(name.replace(left, right))) is not None:
                return label, other
    return None
