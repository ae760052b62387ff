"""The procedural world: unlimited pictures with exact annotations."""

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from saccade.data.images import Picture
from saccade.data.objects import ObjectAnnotations
from saccade.data.scenes import shapes
from saccade.data.scenes.captions import captions
from saccade.data.scenes.compose import Backdrop, compose, draw_backdrop, named_relations, paint_scene, visible_objects
from saccade.data.scenes.composition import DEFAULT_OBJECTS, Composition
from saccade.data.scenes.description import Description
from saccade.data.scenes.films import Film, draw_film
from saccade.data.scenes.held_out import Combinations
from saccade.data.scenes.layout import Layout
from saccade.data.scenes.relations import RELATIONS
from saccade.data.scenes.sprites import Sprite, read_sprites
from saccade.data.scenes.stream import Stream
from saccade.errors import DataError

MIN_SIDE, MAX_SIDE = 32, 8192  # pixels of a side
MAX_CLASSES = 255  # what an index mask of eight bits can hold, beside the background
_SCENE, _FILM = 0, 1  # streams of random numbers


@dataclass(frozen=True)
class Scene:
    """A picture and its exact annotations.

    Attributes:
        pixels: uint8 (y x 3).
        objects: from the hindmost to the foremost: boxes around the visible pixels, exactly; masks of the visible
            pixels; relations as `saccade.data.scenes.relations` defines them.
        semantic: uint8 (y x): 0 for the background, else the class plus 1.
        instances: uint8 (y x): 0 for the background, else the object's place in `objects` plus 1.
        colours: a name an object; "" for a sprite of many colours.
        captions: "en" and "ko": every object, and how they relate.
        description: the objects, in the order of `objects`, all their relations, and the background.
        key: the seed and index that it was drawn from.
    """

    pixels: np.ndarray
    objects: ObjectAnnotations
    semantic: np.ndarray
    instances: np.ndarray
    colours: list[str]
    captions: dict[str, str]
    description: Description
    key: tuple[int, int]


class Scenes:
    """`n` scenes of few objects, an `ObjectSet`. Scene i depends on the seed, i, the size and the other arguments (and
    the sprites) only, on any machine.

    Args:
        n: how many.
        size: of the pictures in pixels: a side, or (height, width).
        seed: from 0; another one gives other scenes.
        sprites: a folder of PNGs with transparency, to stand among the shapes as further classes: the sub-folder a
            sprite is in is its class, else its file's name.
        objects: the fewest and the most objects of a scene, each from 1 to 8.
        apart: no two objects overlap, and the border cuts none.
        combinations: "all"; "seen", no scene has a combination that `is_held_out` names; "held-out", each has one.

    Raises:
        DataError: fewer than 0 scenes, a seed below 0, a side below 32 pixels or above 8192; a folder of sprites
            that is not there, holds none, one that cannot be used, or too many classes; numbers of objects out of
            range; unknown combinations.
    """

    def __init__(
        self,
        n: int,
        size: int | tuple[int, int] = 128,
        seed: int = 0,
        sprites: str | Path | None = None,
        *,
        objects: tuple[int, int] = DEFAULT_OBJECTS,
        apart: bool = False,
        combinations: Combinations = "all",
    ):
        if n < 0:
            raise DataError(f"{n} scenes were requested; 0 or more expected")
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        _check_world(self.size, seed)
        self.n, self.seed = n, seed
        self.composition = Composition((int(objects[0]), int(objects[1])), apart, combinations)
        self.sprites: list[Sprite] = read_sprites(sprites) if sprites is not None else []
        self.label = f"scenes of seed {seed}"
        self.classes = list(dict.fromkeys([*shapes.SHAPES, *(sprite.name for sprite in self.sprites)]))
        if len(self.classes) > MAX_CLASSES:
            raise DataError(
                f"the sprites make {len(self.classes)} classes with the shapes; {MAX_CLASSES} at most expected: "
                "put sprites of one class into one sub-folder"
            )
        self.relations = list(RELATIONS)
        self.on_error = "fail"
        self.skipped: dict[str, str] = {}
        self.notes: list[str] = []
        self._indices = {name: i for i, name in enumerate(self.classes)}
        self._last: tuple[int, Scene] | None = None

    def with_composition(self, **changes: Any) -> "Scenes":
        """The same world with other values of `objects`, `apart` or `combinations`."""
        other = copy.copy(self)
        other.composition, other._last = replace(self.composition, **changes), None
        return other

    def __len__(self) -> int:
        return self.n

    @cached_property
    def names(self) -> list[str]:
        """The name of each scene; made on first use, as a set may hold many millions."""
        return [_name(i) for i in range(self.n)]

    def picture(self, index: int) -> Picture:
        """The picture alone."""
        return Picture(Image.fromarray(self.scene(index).pixels), _name(index))

    def objects(self, index: int, masks: bool = True) -> ObjectAnnotations:
        """What is in it. masks: False leaves them out."""
        objects = self.scene(index).objects
        return objects if masks else replace(objects, masks=None)

    def scene(self, index: int) -> Scene:
        """Scene `index`, from 0. Raises IndexError beyond the last."""
        self._check(index)
        last = self._last
        if last is None or last[0] != index:
            # callers read picture(i) and objects(i) one after the other
            last = self._last = (index, self._draw(self.seed, index, self.size))
        return last[1]

    def fresh(self, size: tuple[int, int], seed: int) -> Scene:
        """A scene of the same world, with the same sprites, of another size (height, width) and any seed: scene 0 of
        that seed. It is drawn anew each time.

        Raises DataError for a size or seed that `Scenes` would refuse."""
        _check_world(size, seed)
        return self._draw(seed, 0, size)

    def batch(
        self, n: int, size: tuple[int, int], generator: torch.Generator
    ) -> tuple[Float[torch.Tensor, "n 3 y x"], list[Scene]]:
        """`n` scenes as by `fresh`, of seeds from the generator: their pictures, 0 to 1, and they themselves."""
        seeds = torch.randint(2**62, (n,), generator=generator).tolist()
        drawn = [self.fresh(size, seed) for seed in seeds]
        pixels = torch.stack([torch.from_numpy(scene.pixels) for scene in drawn])
        return pixels.permute(0, 3, 1, 2).float() / 255, drawn

    def film(self, index: int, frames: int = 16) -> Film:
        """Film `index`, of objects that move as its captions say; another world than scene `index`.

        Frames show the film's course at equal steps, so that more of them show the same motion more finely.

        Raises IndexError beyond the last, DataError for fewer than 2 frames.
        """
        self._check(index)
        if frames < 2:
            raise DataError(f"a film of {frames} frames was requested; 2 or more expected")
        stream = Stream(self.seed, _FILM, index, *self.size)
        return draw_film(stream, self.size, frames, self._indices, self.sprites, self.composition)

    def _check(self, index: int) -> None:
        if not 0 <= index < self.n:
            raise IndexError(f"scene {index} was requested; there are {self.n}, counted from 0")

    def plan(self, scene: Scene) -> tuple[Layout, Backdrop]:
        """The layout and the unpainted backdrop that a scene of this world was drawn from."""
        return self._plan(*scene.key, scene.objects.size)

    def finish(self, layout: Layout, backdrop: Backdrop, key: tuple[int, int]) -> Scene:
        """Paint a layout over its backdrop, and describe the scene. key: the seed and index it belongs to."""
        objects, shown = visible_objects(layout, self._indices)
        pixels = paint_scene(layout, backdrop)
        codes = np.array([0, *(objects.labels + 1).tolist()], np.uint8)
        names, colours = [layout.items[i].name for i in shown], [layout.items[i].colour for i in shown]
        relations = named_relations(objects)
        texts = captions(names, colours, [(a, RELATIONS.index(r), b) for a, r, b in relations])
        description = Description(tuple(zip(names, colours, strict=True)), relations, backdrop.name)
        owner = layout.owner + 1
        return Scene(pixels, objects, codes[owner], owner.astype(np.uint8), colours, texts, description, key)

    def _plan(self, seed: int, index: int, size: tuple[int, int]) -> tuple[Layout, Backdrop]:
        height, width = size
        stream = Stream(seed, _SCENE, index, height, width)
        layout = compose(stream, size, self._indices, self.sprites, self.composition)
        return layout, draw_backdrop(stream, height, width)

    def _draw(self, seed: int, index: int, size: tuple[int, int]) -> Scene:
        return self.finish(*self._plan(seed, index, size), (seed, index))


def _name(index: int) -> str:
    return f"scene-{index:06d}"


def _check_world(size: tuple[int, int], seed: int) -> None:
    if seed < 0:
        raise DataError(f"the seed of the scenes is {seed}; 0 or more expected")
    if min(size) < MIN_SIDE or max(size) > MAX_SIDE:
        raise DataError(
            f"scenes of {size[1]} x {size[0]} pixels were requested; sides of {MIN_SIDE} to {MAX_SIDE} pixels expected"
        )
