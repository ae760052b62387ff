"""Occlusion: which object each pixel of a picture shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from saccade.data.scenes.render import Item, Light, Stencil, stencil

MIN_VISIBLE = 0.35  # minimum visible fraction of an object's pixels
MIN_PIXELS = 40 / 128**2  # minimum visible pixels of an object, as a fraction of the shorter side squared
MIN_COVERED = 0.08  # minimum fraction of an object that an object in front of it covers, if it covers any


@dataclass
class Layout:
    """Objects from back to front.

    owner: index of the object that each pixel shows, int16 (y x), -1 for none. full: number of pixels of each object,
    including covered ones. seen: number of visible pixels. seen_only: exclude held-out combinations of shape and
    colour.
    """

    height: int
    width: int
    light: Light
    items: list[Item] = field(default_factory=list)
    stencils: list[Stencil] = field(default_factory=list)
    full: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    seen_only: bool = False

    def __post_init__(self) -> None:
        self.owner = np.full((self.height, self.width), -1, np.int16)
        self.side = min(self.height, self.width)

    def put(self, item: Item, may_cover: bool) -> bool:
        """Add an object in front of all others unless that hides too much of one; returns whether it was added."""
        drawn = stencil(item, self.height, self.width, self.light)
        beneath = self.owner[drawn.window][drawn.mask]
        least = MIN_PIXELS * self.side * self.side
        if len(beneath) < least:
            return False
        covered = np.bincount(beneath + 1, minlength=len(self.items) + 1)[1:].tolist()
        for lost, seen, full in zip(covered, self.seen, self.full, strict=True):
            if lost and not may_cover:
                return False
            if lost and (lost < MIN_COVERED * full or seen - lost < max(least, MIN_VISIBLE * full)):
                return False
        self._lay(item, drawn, covered)
        return True

    def add(self, item: Item) -> None:
        """Add an object in front of all others unconditionally."""
        drawn = stencil(item, self.height, self.width, self.light)
        beneath = self.owner[drawn.window][drawn.mask]
        self._lay(item, drawn, np.bincount(beneath + 1, minlength=len(self.items) + 1)[1:].tolist())

    def _lay(self, item: Item, drawn: Stencil, covered: Sequence[int]) -> None:
        """covered: number of pixels of each other object that it covers."""
        self.owner[drawn.window][drawn.mask] = len(self.items)
        self.seen = [seen - lost for seen, lost in zip(self.seen, covered, strict=True)]
        self.items.append(item)
        self.stencils.append(drawn)
        self.full.append(int(np.count_nonzero(drawn.mask)))
        self.seen.append(self.full[-1])
