"""Sets of candidates on which matchers are scored: each caption is true of its own picture and of no other one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from saccade.data.scenes import Caption, Scene, Scenes, sample_caption
from saccade.data.scenes.phrasing import Language
from saccade.data.scenes.random_stream import RandomStream
from saccade.tasks.match.batches import TRIES, edited_twin
from saccade.tasks.match.truth import describes

CANDIDATES = 100  # pictures, and captions, of a set
TWINS = 0.2  # of them, are another candidate with one attribute or relation changed
MOVES = ("left of", "above")  # relations that twins change: always these, so that scores can be compared over time
_CANDIDATES = 4  # stream of random numbers; training pairs use 3


@dataclass
class SceneCandidates:
    """scenes and captions belong together one by one. twins: how many scenes at the end are edited from one of those
    before them."""

    scenes: list[Scene] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)
    twins: int = 0

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def pixels(self) -> UInt8[Tensor, "n 3 y x"]:
        return torch.from_numpy(np.stack([scene.pixels for scene in self.scenes])).permute(0, 3, 1, 2)

    @property
    def texts(self) -> list[str]:
        return [caption.text for caption in self.captions]

    @property
    def matches(self) -> Bool[Tensor, "n n"]:
        return torch.eye(len(self), dtype=torch.bool)

    def add(self, scene: Scene, stream: RandomStream, language: Language | None) -> bool:
        """Add a scene with a caption that tells it apart from all others, and the others from it. Returns whether there
        is one."""
        if any(describes(caption.description, scene.description) for caption in self.captions):
            return False
        drawn = (sample_caption(scene.description, stream, language) for _ in range(TRIES))
        for caption in drawn:
            if not any(describes(caption.description, other.description) for other in self.scenes):
                self.scenes.append(scene)
                self.captions.append(caption)
                return True
        return False


def candidate_sets(world: Scenes, count: int, language: Language | None = None) -> Iterator[SceneCandidates]:
    """Sets of `CANDIDATES` scenes of the world, `count` in all; the last set may be smaller. Scenes that no caption
    tells apart from those before them are passed over. language: of all captions; None mixes them."""
    stream, index = RandomStream(world.seed, _CANDIDATES), 0
    for first in range(0, count, CANDIDATES):
        size = min(CANDIDATES, count - first)
        twins = round(size * TWINS)
        found = SceneCandidates()
        while len(found) < size - twins:
            found.add(world.fresh(world.size, world.seed * 2**40 + index), stream, language)
            index += 1
        for original in found.scenes[: size - twins]:
            twin = edited_twin(world, original, stream, MOVES) if found.twins < twins else None
            if twin is not None:
                found.twins += found.add(twin, stream, language)
        yield found
