"""The procedural world: unlimited pictures of which everything is known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from saccade.data.images import Picture
from saccade.data.objects import Objects
from saccade.data.scenes import shapes
from saccade.data.scenes.background import background
from saccade.data.scenes.captions import captions
from saccade.data.scenes.layout import Layout, draw_layout
from saccade.data.scenes.relations import RELATIONS, relations
from saccade.data.scenes.render import hole, paint
from saccade.data.scenes.stream import Stream
from saccade.data.scenes.textures import noise
from saccade.errors import DataError

LEAST, GREATEST = 32, 8192  # pixels of a side


@dataclass(frozen=True)
class Scene:
    """A picture and all there is to know of it.

    Attributes:
        pixels: uint8 (y x 3).
        objects: from the hindmost to the foremost: boxes around the visible pixels, exactly; masks of the visible
            pixels; relations as `saccade.data.scenes.relations` defines them.
        semantic: uint8 (y x): 0 for the background, else the class plus 1.
        colours: a name an object.
        captions: "en" and "ko".
    """

    pixels: np.ndarray
    objects: Objects
    semantic: np.ndarray
    colours: list[str]
    captions: dict[str, str]


class Scenes:
    """`n` scenes, an `ObjectSet`. Scene i depends on the seed, i and the size (and the sprites) only, on any machine.

    Args:
        n: how many.
        size: of the pictures in pixels: a side, or (height, width).
        seed: from 0; another one gives other scenes.
        sprites: a folder of PNGs with transparency, to stand among the shapes as further classes: the sub-folder a
            sprite is in is its class, else its file's name.

    Raises:
        DataError: fewer than 0 scenes, a seed below 0, a side below 32 pixels or above 8192; a folder of sprites
            that is not there, holds none, or one that cannot be used.
    """

    def __init__(self, n: int, size: int | tuple[int, int] = 128, seed: int = 0, sprites: str | Path | None = None):
        if n < 0:
            raise DataError(f"{n} scenes were asked for; 0 or more expected")
        if seed < 0:
            raise DataError(f"the seed is {seed}; 0 or more expected")
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        if min(self.size) < LEAST or max(self.size) > GREATEST:
            raise DataError(
                f"scenes of {self.size[1]} x {self.size[0]} pixels were asked for; "
                f"sides of {LEAST} to {GREATEST} pixels expected"
            )
        self.n, self.seed = n, seed
        self.label = f"scenes of seed {seed}"
        self.classes = list(shapes.SHAPES)
        self.relations = list(RELATIONS)
        self.names = [f"scene-{i:06d}" for i in range(n)]
        self.bad = "fail"
        self.skipped: dict[str, str] = {}
        self.notes: list[str] = []
        self._last: tuple[int, Scene] | None = None

    def __len__(self) -> int:
        return self.n

    def picture(self, index: int) -> Picture:
        """The picture alone."""
        return Picture(Image.fromarray(self.scene(index).pixels), self.names[index])

    def objects(self, index: int) -> Objects:
        """What is in it."""
        return self.scene(index).objects

    def scene(self, index: int) -> Scene:
        """Scene `index`, from 0. Raises IndexError beyond the last."""
        if not 0 <= index < self.n:
            raise IndexError(f"scene {index} of {self.n}")
        last = self._last
        if last is None or last[0] != index:
            last = self._last = (index, self._draw(index))  # picture(i) and objects(i) are asked for one by one
        return last[1]

    def _draw(self, index: int) -> Scene:
        height, width = self.size
        stream = Stream(self.seed, index, height, width)
        layout = draw_layout(stream, height, width)
        pixels = _finish(stream, _painted(stream, layout), layout)
        objects = _objects(layout, self.classes)
        names, colours = [item.name for item in layout.items], [item.colour for item in layout.items]
        codes = np.array([0, *(objects.labels + 1).tolist()], np.uint8)
        triplets = [] if objects.relations is None else [(a, b, c) for a, b, c in objects.relations.tolist()]
        return Scene(pixels, objects, codes[layout.owner + 1], colours, captions(names, colours, triplets))


def _painted(stream: Stream, layout: Layout) -> np.ndarray:
    canvas = background(stream, layout.height, layout.width)
    for item, drawn in zip(layout.items, layout.stencils, strict=True):
        paint(canvas, item, drawn, layout.light)
    return canvas


def _finish(stream: Stream, canvas: np.ndarray, layout: Layout) -> np.ndarray:
    """Light over all of it, a little grain, and down to eight bits: uint8 (y x 3)."""
    _, height, width = canvas.shape
    light = layout.light
    x = np.arange(width, dtype=np.float32) * (light.across * 0.24 / width)
    y = np.arange(height, dtype=np.float32) * (light.down * 0.24 / height)
    middle = light.brightness - 0.12 * (light.across + light.down)
    canvas *= (x + (y + middle)[:, None]) * 255
    grain = noise(height, width, (stream.unit(), stream.unit()), fine=True)
    canvas += grain * stream.between(0.0, 7.0) + 0.5
    np.minimum(np.maximum(canvas, 0, out=canvas), 255, out=canvas)
    return np.ascontiguousarray(canvas.astype(np.uint8).transpose(1, 2, 0))


def _objects(layout: Layout, classes: list[str]) -> Objects:
    count, items = len(layout.items), layout.items
    boxes, hidden, held = [], [], []
    for i, (item, drawn) in enumerate(zip(items, layout.stencils, strict=True)):
        owner = layout.owner[drawn.window]
        boxes.append(_box(owner == i, drawn.window))
        hidden.append(np.bincount(owner[drawn.mask] + 1, minlength=count + 1)[1:].tolist())
        if item.name in shapes.HOLES:
            held.append(np.bincount(owner[hole(item, drawn)] + 1, minlength=count + 1)[1:].tolist())
        else:
            held.append([0] * count)
    colours = [item.colour for item in items]
    found = relations(boxes, colours, layout.seen, layout.full, hidden, held, layout.side)
    return Objects(
        boxes=torch.tensor(boxes, dtype=torch.float32),
        labels=torch.tensor([classes.index(item.name) for item in items]),
        size=(layout.height, layout.width),
        masks=torch.from_numpy(layout.owner[None] == np.arange(count)[:, None, None]),
        relations=torch.tensor(found, dtype=torch.int64).reshape(-1, 3),
    )


def _box(mask: np.ndarray, window: tuple[slice, slice]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a mask that lies in a window of the picture."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = window[0].start, window[1].start
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1
