"""How generated pictures of drawn scenes are distributed: whether they stay with what training draws, and how much of
the real scenes they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.data.scenes import Combinations, Scenes
from saccade.tasks.generate.manifolds import K, PrecisionRecall
from saccade.tasks.generate.neighbours import Neighbours, Pictures
from saccade.tasks.segment.task import SegmentTask

REFERENCES = 2000  # scenes of each kind that pictures are compared with
REFERENCE_SEED = 8_000_009  # of scenes that neither training nor validation draws
BATCH = 25
ROWS = ("painted", "real scenes")


@dataclass(frozen=True)
class DistributionMetrics:
    """Of generated pictures, and of scenes in their place, which show what a perfect generator would have.

    Attributes:
        neighbours: row of `ROWS` -> the nearest scene without a held-out combination, as training draws them
            (`Neighbours.seen`), and the nearest with one, which training never draws. Training scenes follow from the
            seed of a run; these are others of their kind, so that copies of single ones are not found here
            (`benchmarks/generation/memory.py` draws those of a run).
        manifolds: row of `ROWS` -> precision and recall against the scenes of the prompts, where the real ones are as
            many others of their kind; empty for too few pictures.
        encoder: name of the model whose features those are of.
    """

    neighbours: dict[str, Neighbours]
    manifolds: dict[str, PrecisionRecall]
    encoder: str

    @classmethod
    def of(
        cls, painted: Sequence[Image.Image], real: Sequence[Image.Image], world: Scenes, encoder: SegmentTask
    ) -> Self:
        """painted: pictures of the captions of `world`, at its size. real: the scenes of those captions. encoder: a
        segmenter that has no part in the training of the generator."""
        seen, unseen = (random_scenes_like(world, REFERENCES, REFERENCE_SEED, name) for name in ("seen", "held-out"))
        sets = {ROWS[0]: _stack(painted), ROWS[1]: _stack(real)}
        neighbours = {name: Neighbours.of(pictures, seen, unseen) for name, pictures in sets.items()}
        if len(real) <= K:
            return cls(neighbours, {}, encoder.name)
        fresh = random_scenes_like(world, len(real), REFERENCE_SEED + 1, world.composition.combinations)
        generated, truth, others = (mean_patch_tokens(pictures, encoder) for pictures in (*sets.values(), fresh))
        manifolds = {ROWS[0]: PrecisionRecall.of(generated, truth), ROWS[1]: PrecisionRecall.of(others, truth)}
        return cls(neighbours, manifolds, encoder.name)

    @property
    def scores(self) -> dict[str, float]:
        """What is printed."""
        found = {}
        for row, end in zip(ROWS, ("", ", real scenes"), strict=True):
            found[f"nearest training-like / held-out distance{end}"] = self.neighbours[row].median[0]
            if row in self.manifolds:
                found[f"precision{end}"] = self.manifolds[row].precision.value
                found[f"recall{end}"] = self.manifolds[row].recall.value
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "references": REFERENCES,
            "neighbours": {name: each.to_dict() for name, each in self.neighbours.items()},
            "encoder": self.encoder,
            "k": K,
            "manifolds": {name: each.to_dict() for name, each in self.manifolds.items()},
        }


def random_scenes_like(world: Scenes, n: int, seed: int, combinations: Combinations) -> Pictures:
    """n scenes of the size and the composition of `world`."""
    about = world.composition
    other = Scenes(n, world.size, seed, objects=about.objects, apart=about.apart, combinations=combinations)
    return np.stack([other.scene(i).pixels for i in range(n)])


@torch.no_grad()
def mean_patch_tokens(pictures: Pictures, encoder: SegmentTask) -> Float[Tensor, "n d"]:
    """The mean of the patch tokens of each picture after the last block of the encoder."""
    vit, device = encoder.vit.eval(), encoder.vit.prefix_tokens.device
    found = []
    for first in range(0, len(pictures), BATCH):
        inputs = [encoder.preprocess(Image.fromarray(each)) for each in pictures[first : first + BATCH]]
        found.append(vit(torch.stack(inputs).to(device))[:, vit.prefix :].mean(dim=1).float().cpu())
    return torch.cat(found)


def _stack(pictures: Sequence[Image.Image]) -> Pictures:
    return np.stack([np.asarray(each) for each in pictures])
