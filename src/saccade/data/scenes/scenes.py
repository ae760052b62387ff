"""The procedural world: unlimited pictures with exact annotations, of objects and of every pixel."""

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from saccade.data.dataset import DerivedSet
from saccade.data.images import Picture
from saccade.data.objects import ObjectAnnotations
from saccade.data.scenes import shapes
from saccade.data.scenes.captions import captions
from saccade.data.scenes.compose import (
    Backdrop,
    named_relations,
    paint_scene,
    sample_allowed_layout,
    sample_backdrop,
    visible_objects,
)
from saccade.data.scenes.constraints import DEFAULT_OBJECTS, Combinations, SceneConstraints
from saccade.data.scenes.description import Description
from saccade.data.scenes.films import Film, sample_film
from saccade.data.scenes.layout import Layout
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.relations import RELATIONS
from saccade.data.scenes.sprites import Sprite, read_sprites
from saccade.errors import DataError

MIN_SIDE, MAX_SIDE = 32, 8192  # pixels of a side
MAX_CLASSES = 255  # of an 8-bit index mask, in addition to the background
_SCENE, _FILM = 0, 1  # streams of random numbers


@dataclass(frozen=True)
class Scene:
    """A picture and its exact annotations.

    Attributes:
        pixels: uint8 (y x 3).
        objects: ordered from back to front: tight boxes around the visible pixels, masks of the visible pixels, and
            relations as defined in `saccade.data.scenes.relations`.
        semantic: uint8 (y x): 0 for the background, else the class plus 1.
        instances: uint8 (y x): 0 for the background, else the object's index in `objects` plus 1.
        colours: the colour name of each object; "" for a sprite of many colours.
        captions: "en" and "ko": sentences that name every object and their relations.
        description: the objects, in the order of `objects`, all their relations, and the background.
        key: the seed and index it was generated from.
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
    """`n` scenes with a few objects each, as an `ObjectSet`. Scene i depends only on the arguments and i, and is
    identical on every machine.

    Args:
        n: number of scenes.
        size: size of the pictures in pixels: a side, or (height, width).
        seed: non-negative seed.
        sprites: a folder of PNGs with transparency, used as additional classes. The class of a sprite is its
            sub-folder, or its file name if it is in none.
        objects: minimum and maximum number of objects in a scene, 1 to 8.
        apart: objects do not overlap and are not cut by the border.
        combinations: "all"; "seen": no scene has a held-out combination (`is_held_out`); "held-out": each has one.

    Raises:
        DataError: a negative number of scenes or seed; a side outside 32 to 8192 pixels; a folder of sprites that is
            missing, empty, has an unusable sprite or too many classes; `objects` or `combinations` out of range.
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
        self.composition = SceneConstraints((int(objects[0]), int(objects[1])), apart, combinations)
        self.sprites: list[Sprite] = read_sprites(sprites) if sprites is not None else []
        self.title = f"scenes of seed {seed}"
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

    def with_constraints(self, **changes: Any) -> "Scenes":
        """The same world with other values of `objects`, `apart` or `combinations`."""
        other = copy.copy(self)
        other.composition, other._last = replace(self.composition, **changes), None
        return other

    def __len__(self) -> int:
        return self.n

    @cached_property
    def names(self) -> list[str]:
        """The name of each scene; created on first use, as a set may have millions."""
        return [_name(i) for i in range(self.n)]

    def picture(self, index: int) -> Picture:
        """The picture of scene `index`."""
        return Picture(Image.fromarray(self.scene(index).pixels), _name(index))

    def objects(self, index: int, masks: bool = True) -> ObjectAnnotations:
        """The objects of scene `index`. masks: False omits masks."""
        objects = self.scene(index).objects
        return objects if masks else replace(objects, masks=None)

    def scene(self, index: int) -> Scene:
        """Scene `index`, counted from 0. Raises IndexError if there is none."""
        self._check(index)
        last = self._last
        if last is None or last[0] != index:
            # callers read picture(i) and objects(i) one after the other
            last = self._last = (index, self._draw(self.seed, index, self.size))
        return last[1]

    def fresh(self, size: tuple[int, int], seed: int) -> Scene:
        """Scene 0 of these settings with another size (height, width) and seed. It is rendered on every call.

        Raises DataError for an invalid size or seed."""
        _check_world(size, seed)
        return self._draw(seed, 0, size)

    def batch(
        self, n: int, size: tuple[int, int], generator: torch.Generator
    ) -> tuple[Float[torch.Tensor, "n 3 y x"], list[Scene]]:
        """`n` scenes of `fresh` with seeds from the generator: their pictures, 0 to 1, and the scenes."""
        seeds = torch.randint(2**62, (n,), generator=generator).tolist()
        drawn = [self.fresh(size, seed) for seed in seeds]
        pixels = torch.stack([torch.from_numpy(scene.pixels) for scene in drawn])
        return pixels.permute(0, 3, 1, 2).float() / 255, drawn

    def film(self, index: int, frames: int = 16) -> Film:
        """Film `index`: moving objects and captions of their motions. It is unrelated to scene `index`.

        Frames are sampled at equal steps, so that more frames show the same motion more finely.

        Raises IndexError if there is none, DataError for fewer than 2 frames.
        """
        self._check(index)
        return self._film(self.seed, index, self.size, frames)

    def fresh_film(self, size: tuple[int, int], seed: int, frames: int = 16) -> Film:
        """Film 0 of these settings with another size (height, width) and seed. It is rendered on every call.

        Raises DataError for an invalid size, seed or number of frames."""
        _check_world(size, seed)
        return self._film(seed, 0, size, frames)

    def _check(self, index: int) -> None:
        if not 0 <= index < self.n:
            raise IndexError(f"scene {index} was requested; there are {self.n}, counted from 0")

    def layout_and_backdrop(self, scene: Scene) -> tuple[Layout, Backdrop]:
        """The layout and the backdrop that a scene of this set was rendered from."""
        return self._plan(*scene.key, scene.objects.size)

    def render_scene(self, layout: Layout, backdrop: Backdrop, key: tuple[int, int]) -> Scene:
        """Render a layout over its backdrop and annotate it. key: the seed and index of the scene."""
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
        stream = RandomStream(seed, _SCENE, index, height, width)
        layout = sample_allowed_layout(stream, size, self._indices, self.sprites, self.composition)
        return layout, sample_backdrop(stream, height, width)

    def _film(self, seed: int, index: int, size: tuple[int, int], frames: int) -> Film:
        if frames < 2:
            raise DataError(f"a film of {frames} frames was requested; 2 or more expected")
        stream = RandomStream(seed, _FILM, index, *size)
        return sample_film(stream, size, frames, self._indices, self.sprites, self.composition)

    def _draw(self, seed: int, index: int, size: tuple[int, int]) -> Scene:
        return self.render_scene(*self._plan(seed, index, size), (seed, index))


def _name(index: int) -> str:
    return f"scene-{index:06d}"


def _check_world(size: tuple[int, int], seed: int) -> None:
    if seed < 0:
        raise DataError(f"the seed of the scenes is {seed}; 0 or more expected")
    if min(size) < MIN_SIDE or max(size) > MAX_SIDE:
        raise DataError(
            f"scenes of {size[1]} x {size[0]} pixels were requested; sides of {MIN_SIDE} to {MAX_SIDE} pixels expected"
        )


class SceneSegments(DerivedSet):
    """Scenes as a `SegmentSet`: "background", then the classes of `scenes`. Every picture is readable."""

    def __init__(self, scenes: Scenes):
        self._whole = self.scenes = scenes
        self.classes = ["background", *scenes.classes]
        self.skipped, self.notes = dict[str, str](), list(scenes.notes)

    def mask(self, index: int) -> UInt8[Tensor, "y x"]:
        """0 for the background, else the class; every pixel of a scene has one."""
        # a copy: the scene is cached, and its picture may be read next
        return torch.from_numpy(self.scenes.scene(index).semantic.copy())
