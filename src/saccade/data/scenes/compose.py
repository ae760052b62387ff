"""Random layouts (which objects, their sizes, rotations, positions and depth order), their pictures and annotations.

Each new object is in front of the previous ones. Positions that hide too much of an object are rejected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from saccade.data.objects import ObjectAnnotations
from saccade.data.scenes.constraints import DEFAULT_OBJECTS, SceneConstraints, is_held_out
from saccade.data.scenes.description import Relation
from saccade.data.scenes.layout import (
    APART_LARGEST,
    APART_SMALLEST,
    LARGEST,
    Layout,
    put_apart,
    put_held_out,
    put_inside,
    put_one,
)
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.relations import RELATIONS, Triplet, relations
from saccade.data.scenes.render import Light, hole_mask, paint
from saccade.data.scenes.sprites import Sprite
from saccade.data.scenes.textures import background, noise
from saccade.errors import DataError

ATTEMPTS = 400  # layouts; about half of those of eight objects hold no held-out combination
COUNTS = (3, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 8)  # of the default range
FAILURES = 50  # objects that do not fit before a layout is restarted with smaller ones
RESTARTS = 40


@dataclass(frozen=True)
class Backdrop:
    """The background, float32 (3 y x), and grain over the whole picture, float32 (y x). name: one of
    `saccade.data.scenes.textures.BACKGROUNDS`, or None."""

    canvas: np.ndarray
    grain: np.ndarray
    name: str | None = None


def sample_backdrop(stream: RandomStream, height: int, width: int) -> Backdrop:
    canvas, name = background(stream, height, width)
    grain = noise(height, width, (stream.unit_uniform(), stream.unit_uniform()), fine=True)
    return Backdrop(canvas, grain * stream.uniform(0.0, 7.0) + 0.5, name)


def sample_allowed_layout(
    stream: RandomStream,
    size: tuple[int, int],
    classes: dict[str, int],
    sprites: Sequence[Sprite] = (),
    composition: SceneConstraints | None = None,
) -> Layout:
    """A random layout with combinations that `composition` allows, by rejection sampling.

    classes: name -> index.

    Raises:
        DataError: none of `ATTEMPTS` layouts is allowed, or the minimum number of objects does not fit.
    """
    composition = composition or SceneConstraints()
    for _ in range(ATTEMPTS):
        layout = sample_layout(stream, *size, sprites, composition)
        if composition.combinations == "all":
            return layout
        objects, _ = visible_objects(layout, classes)
        held_out = is_held_out([(item.name, item.colour) for item in layout.items], named_relations(objects))
        if held_out == (composition.combinations == "held-out"):
            return layout
    raise DataError(f"no layout of combinations={composition.combinations!r} in {ATTEMPTS}; fewer objects needed")


def named_relations(objects: ObjectAnnotations) -> tuple[Relation, ...]:
    """(subject, name, object) of each relation."""
    assert objects.relations is not None
    return tuple((a, RELATIONS[r], b) for a, r, b in objects.relations.tolist())


def paint_scene(layout: Layout, backdrop: Backdrop) -> np.ndarray:
    """The picture, uint8 (y x 3): background, objects, light over all of it, grain. Modifies the backdrop."""
    for item, drawn in zip(layout.items, layout.stencils, strict=True):
        paint(backdrop.canvas, item, drawn, layout.light)
    return as_pixels(illuminated(layout, backdrop))


def illuminated(layout: Layout, backdrop: Backdrop) -> np.ndarray:
    """The painted canvas with the light over all of it and the grain, float32 (3 y x), 0 to 255. Modifies it."""
    canvas, light = backdrop.canvas, layout.light
    x = np.arange(layout.width, dtype=np.float32) * (light.across * 0.24 / layout.width)
    y = np.arange(layout.height, dtype=np.float32) * (light.down * 0.24 / layout.height)
    middle = light.brightness - 0.12 * (light.across + light.down)
    canvas *= (x + (y + middle)[:, None]) * 255
    canvas += backdrop.grain
    return np.minimum(np.maximum(canvas, 0, out=canvas), 255, out=canvas)


def as_pixels(canvas: np.ndarray) -> np.ndarray:
    """uint8 (y x 3) of a canvas (3 y x), 0 to 255."""
    return np.ascontiguousarray(canvas.astype(np.uint8).transpose(1, 2, 0))


def visible_objects(layout: Layout, classes: dict[str, int]) -> tuple[ObjectAnnotations, list[int]]:
    """The visible objects from back to front, and their indices in the layout's items.

    classes: name -> index.
    """
    shown = [i for i, seen in enumerate(layout.seen) if seen]
    boxes = [_box(layout.owner, layout.stencils[i].window, i) for i in shown]
    objects = ObjectAnnotations(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([classes[layout.items[i].name] for i in shown], dtype=torch.int64),
        size=(layout.height, layout.width),
        masks=torch.from_numpy(layout.owner[None] == np.array(shown, np.int16)[:, None, None]),
        relations=torch.tensor(_triplets(layout, shown, boxes), dtype=torch.int64).reshape(-1, 3),
    )
    return objects, shown


def _triplets(layout: Layout, shown: Sequence[int], boxes: Sequence[Sequence[int]]) -> list[Triplet]:
    hidden, in_hole = [], []
    for i in shown:
        item, drawn = layout.items[i], layout.stencils[i]
        hidden.append(_owners(layout, drawn.window, drawn.mask, shown))
        in_hole.append(
            _owners(layout, drawn.window, hole_mask(item, drawn), shown) if item.has_hole else [0] * len(shown)
        )
    colours = [layout.items[i].colour for i in shown]
    seen, full = [layout.seen[i] for i in shown], [layout.full[i] for i in shown]
    return relations(boxes, colours, seen, full, hidden, in_hole, layout.side)


def _owners(layout: Layout, window: tuple[slice, slice], mask: np.ndarray, shown: Sequence[int]) -> list[int]:
    """Number of pixels that show each object."""
    counts = np.bincount(layout.owner[window][mask] + 1, minlength=len(layout.items) + 1).tolist()
    return [counts[i + 1] for i in shown]


def _box(owner: np.ndarray, window: tuple[slice, slice], i: int) -> tuple[int, int, int, int]:
    """Bounding box (left, top, right, bottom) of the visible pixels of object i, which are in the window."""
    mask = owner[window] == i
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = window[0].start, window[1].start
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1


def sample_light(stream: RandomStream) -> Light:
    across, down = stream.half_circle_angle()  # more often from above than from below
    return Light(
        across=-down,
        down=-across,
        strength=stream.uniform(0.06, 0.24),
        shadow=stream.uniform(0.25, 0.6),
        fall=stream.uniform(0.06, 0.22),
        brightness=stream.uniform(0.93, 1.12),
    )


def sample_layout(
    stream: RandomStream,
    height: int,
    width: int,
    sprites: Sequence[Sprite] = (),
    composition: SceneConstraints | None = None,
) -> Layout:
    """A random layout with a number of objects in the range of the composition. Objects that do not fit are left out,
    down to the minimum. About half of the objects are sprites, if there are any.

    In the default range of 3 to 8, 5 and 6 objects are most frequent; any other range is sampled uniformly.

    Only combinations of shape and colour are checked here: relations depend on the finished layout.

    Raises:
        DataError: the minimum number of objects does not fit.
    """
    composition = composition or SceneConstraints()
    light = sample_light(stream)
    fewest, most = composition.objects
    count = stream.choice(COUNTS) if (fewest, most) == DEFAULT_OBJECTS else fewest + stream.integer(most - fewest + 1)
    scale = 1.0
    for _ in range(RESTARTS):
        layout = Layout(height, width, light, seen_only=composition.combinations == "seen")
        _fill(stream, layout, sprites, composition, count, scale)
        if len(layout.items) >= fewest:
            return layout
        scale *= 0.9
    raise DataError(
        f"{fewest} objects found no room in {width} x {height} pixels; fewer objects or more pixels expected"
    )


def _fill(
    stream: RandomStream,
    layout: Layout,
    sprites: Sequence[Sprite],
    composition: SceneConstraints,
    count: int,
    scale: float,
) -> None:
    """Add up to `count` objects, of at most `scale` times the usual size, to an empty layout."""
    if composition.combinations == "held-out":
        put_held_out(stream, layout, count)
    if not composition.apart and stream.bernoulli(0.42) and len(layout.items) + 2 <= count:
        put_inside(stream, layout)
    failures = 0
    while len(layout.items) < count and failures < FAILURES:
        if composition.apart:
            done = put_apart(stream, layout, sprites, max(APART_SMALLEST, scale * APART_LARGEST))
        else:
            done = put_one(stream, layout, sprites, max(0.06, scale * LARGEST))
        if not done and len(layout.items) >= composition.objects[0]:
            break
        failures += not done
