"""The procedural world as pictures with a class for every pixel."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.images import Picture
from saccade.data.scenes.scenes import Scenes


class SceneSegments:
    """Scenes as a `SegmentSet`: "background", then the classes of `scenes`. Every picture is readable."""

    def __init__(self, scenes: Scenes):
        self.scenes = scenes
        self.label, self.on_error = scenes.label, scenes.on_error
        self.classes = ["background", *scenes.classes]
        self.skipped: dict[str, str] = {}
        self.notes = list(scenes.notes)

    @property
    def names(self) -> list[str]:
        return self.scenes.names

    def __len__(self) -> int:
        return len(self.scenes)

    def picture(self, index: int) -> Picture:
        """Scene `index`, counted from 0. Raises IndexError if there is none."""
        return self.scenes.picture(index)

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """0 for the background, else the class; every pixel of a scene has one."""
        # a copy: the scene is cached, and its picture may be read next
        return torch.from_numpy(self.scenes.scene(index).semantic.copy())
