"""Films of moving objects: one motion for each object, named by the captions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from saccade.data.objects import ObjectAnnotations
from saccade.data.scenes import korean, shapes
from saccade.data.scenes.captions import korean_phrases, phrases
from saccade.data.scenes.compose import (
    Backdrop,
    named_relations,
    paint_scene,
    sample_backdrop,
    sample_light,
    visible_objects,
)
from saccade.data.scenes.constraints import DEFAULT_OBJECTS, HELD_OUT_COLOURS, SceneConstraints, is_held_out
from saccade.data.scenes.layout import Layout, sample_item
from saccade.data.scenes.random_stream import RandomStream, angle_from_tangent
from saccade.data.scenes.render import Item
from saccade.data.scenes.sprites import Sprite
from saccade.errors import DataError

# Names of the motions, and their direction of translation.
DIRECTIONS = {
    "moves right": (1, 0),
    "moves left": (-1, 0),
    "moves up": (0, -1),
    "moves down": (0, 1),
    "turns clockwise": (0, 0),
    "turns counterclockwise": (0, 0),
    "grows": (0, 0),
    "shrinks": (0, 0),
    "stays still": (0, 0),
}
_KOREAN = {
    "moves right": "오른쪽으로 움직인다",
    "moves left": "왼쪽으로 움직인다",
    "moves up": "위로 움직인다",
    "moves down": "아래로 움직인다",
    "turns clockwise": "시계 방향으로 돈다",
    "turns counterclockwise": "시계 반대 방향으로 돈다",
    "grows": "커진다",
    "shrinks": "작아진다",
    "stays still": "가만히 있다",
}
MIN_OBJECTS, MAX_OBJECTS = 2, 5
TURNED = 0.55  # tangent of a quarter of the rotation of an object, which is 115 degrees
GROWN = 1.7  # factor of the radius
CHECKS = 9  # times at which paths are compared
TRIES, ATTEMPTS = 40, 200
SMALLEST, LARGEST = 0.07, 0.17  # radius, as a share of the picture's shorter side
MOMENTS = 17  # times at which combinations are checked


@dataclass(frozen=True)
class Film:
    """Attributes:
    frames: uint8 (t y x 3).
    objects: for each frame, its visible objects from back to front, as in a `Scene`.
    tracks: for each frame, the index of each of its objects among the objects of the film.
    names, colours, motions: of the objects of the film; a motion is one of DIRECTIONS.
    captions: "en" and "ko": the motion of each object.
    """

    frames: np.ndarray
    objects: list[ObjectAnnotations]
    tracks: list[list[int]]
    names: list[str]
    colours: list[str]
    motions: list[str]
    captions: dict[str, str]


@dataclass(frozen=True)
class Actor:
    """An object and its motion. distance: length of its path in pixels."""

    item: Item
    motion: str
    distance: float

    def at(self, moment: float) -> Item:
        """The object at a time from 0 to 1."""
        item = self.item
        if self.distance:
            across, down = DIRECTIONS[self.motion]
            return replace(item, x=item.x + across * self.distance * moment, y=item.y + down * self.distance * moment)
        if self.motion.startswith("turns"):
            cosine, sine = angle_from_tangent(
                (2 * moment - 1) * TURNED * (1 if self.motion == "turns clockwise" else -1)
            )
            c, s = item.turn
            return replace(item, turn=(c * cosine - s * sine, s * cosine + c * sine))
        if self.motion in ("grows", "shrinks"):
            done = moment if self.motion == "grows" else 1 - moment
            return replace(item, radius=item.radius * (1 + (GROWN - 1) * done))
        return item


def sample_film(
    stream: RandomStream,
    size: tuple[int, int],
    frames: int,
    classes: dict[str, int],
    sprites: Sequence[Sprite],
    composition: SceneConstraints | None = None,
) -> Film:
    """A random film of shapes and `sprites`. classes: name -> index.

    It has 2 to 5 objects by default, else the number that the composition sets, but at most 5. Combinations are checked
    at `MOMENTS` times.
    """
    composition = composition or SceneConstraints()
    height, width = size
    light = sample_light(stream)
    actors = _cast_of(stream, Layout(height, width, light), sprites, composition, classes)
    backdrop = sample_backdrop(stream, height, width)
    pictures, objects, tracks = [], [], []
    for frame in range(frames):
        layout = Layout(height, width, light)
        for actor in actors:
            layout.add(actor.at(frame / (frames - 1)))
        pictures.append(paint_scene(layout, Backdrop(backdrop.canvas.copy(), backdrop.grain)))
        here, shown = visible_objects(layout, classes)
        objects.append(here)
        tracks.append(shown)
    names, colours = [a.item.name for a in actors], [a.item.colour for a in actors]
    motions = [a.motion for a in actors]
    return Film(np.stack(pictures), objects, tracks, names, colours, motions, _captions(names, colours, motions))


def _cast_of(
    stream: RandomStream,
    layout: Layout,
    sprites: Sequence[Sprite],
    composition: SceneConstraints,
    classes: dict[str, int],
) -> list[Actor]:
    """Actors with combinations that the composition allows, by rejection sampling."""
    for _ in range(ATTEMPTS):
        empty = Layout(layout.height, layout.width, layout.light, seen_only=composition.combinations == "seen")
        actors = _cast(stream, empty, sprites, composition)
        if composition.combinations == "all":
            return actors
        if _has_held_out(actors, layout, classes) == (composition.combinations == "held-out"):
            return actors
    raise DataError(f"no film of combinations={composition.combinations!r} in {ATTEMPTS}; fewer objects needed")


def _has_held_out(actors: Sequence[Actor], layout: Layout, classes: dict[str, int]) -> bool:
    """Whether a held-out combination occurs at any of `MOMENTS` times."""
    kinds = [(actor.item.name, actor.item.colour) for actor in actors]
    if is_held_out(kinds):
        return True
    for moment in range(MOMENTS):
        here = Layout(layout.height, layout.width, layout.light)
        for actor in actors:
            here.add(actor.at(moment / (MOMENTS - 1)))
        objects, seen = visible_objects(here, classes)
        if is_held_out([kinds[i] for i in seen], named_relations(objects)):
            return True
    return False


def _cast(
    stream: RandomStream, layout: Layout, sprites: Sequence[Sprite], composition: SceneConstraints
) -> list[Actor]:
    """Random objects whose paths stay in the picture and do not cross, added to an empty layout."""
    fewest, most = (MIN_OBJECTS, MAX_OBJECTS) if composition.objects == DEFAULT_OBJECTS else composition.objects
    fewest, most = min(fewest, MAX_OBJECTS), min(most, MAX_OBJECTS)
    for attempt in range(ATTEMPTS):
        count = fewest + stream.integer(most - fewest + 1)
        actors: list[Actor] = []
        for _ in range(TRIES * count):
            forced = composition.combinations == "held-out" and not actors
            kind = stream.choice(HELD_OUT_COLOURS) if forced else None
            actor = _draw_actor(stream, layout, sprites, kind, LARGEST if attempt < 8 else SMALLEST)
            if all(_clear(actor, other, composition.apart) for other in actors):
                actors.append(actor)
                layout.items.append(actor.item)  # the next one has another shape or colour
            if len(actors) == count:
                break
        if len(actors) >= fewest and any(actor.motion != "stays still" for actor in actors):
            return actors
        layout.items.clear()
    raise DataError(f"{fewest} moving objects found no room in {layout.width} x {layout.height} pixels")


def _draw_actor(
    stream: RandomStream, layout: Layout, sprites: Sequence[Sprite], kind: tuple[str, str] | None, largest: float
) -> Actor:
    """An object with a motion that fits into the picture. kind: required shape and colour, if any."""
    side = layout.side
    item = sample_item(stream, layout, side * stream.uniform(SMALLEST, largest), sprites, *(kind or ()))
    ways = [
        way for way in DIRECTIONS if not (way.startswith("turns") and item.name in shapes.ROUND and not item.sprite)
    ]
    motion = stream.choice(ways)
    across, down = DIRECTIONS[motion]
    distance = side * stream.uniform(0.22, 0.5) if across or down else 0.0
    margin = item.enclosing_radius * (GROWN if motion in ("grows", "shrinks") else 1) + 1
    margin = min(margin, side / 2)
    distance = min(distance, (layout.width if across else layout.height) - 2 * margin) if distance else 0.0
    sides = ((layout.width, across), (layout.height, down))
    x, y = (_start(stream, length, margin, distance * way) for length, way in sides)
    return Actor(replace(item, x=x, y=y), motion, distance)


def _start(stream: RandomStream, length: int, margin: float, path: float) -> float:
    """A random start for a path of `path` pixels that keeps the margin everywhere."""
    return stream.uniform(margin + max(0.0, -path), length - margin - max(0.0, path))


def _clear(one: Actor, other: Actor, apart: bool) -> bool:
    """Whether neither hides much of the other at any time: the distance of their centres exceeds the larger radius.
    apart: whether they do not touch either."""
    for look in range(CHECKS):
        a, b = one.at(look / (CHECKS - 1)), other.at(look / (CHECKS - 1))
        x, y = a.x - b.x, a.y - b.y
        slack = (
            min(a.enclosing_radius, b.enclosing_radius) + 2
            if apart
            else 0.4 * min(a.enclosing_radius, b.enclosing_radius)
        )
        if math.sqrt(x * x + y * y) < max(a.enclosing_radius, b.enclosing_radius) + slack:
            return False
    return True


def _captions(names: Sequence[str], colours: Sequence[str], motions: Sequence[str]) -> dict[str, str]:
    in_english = [f"The {phrase} {motion}." for phrase, motion in zip(phrases(names, colours), motions, strict=True)]
    called = korean_phrases(names, colours)
    in_korean = [
        f"{korean.add_particle(phrase, korean.SUBJECT)} {_KOREAN[motion]}."
        for phrase, motion in zip(called, motions, strict=True)
    ]
    return {"en": " ".join(in_english), "ko": " ".join(in_korean)}
