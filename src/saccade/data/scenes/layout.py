"""Sampling of layouts: which objects, their sizes, rotations, positions and depth order.

Each new object is in front of the previous ones. Positions that hide too much of an object are rejected.
"""

from collections.abc import Sequence

from saccade.data.scenes.composition import DEFAULT_OBJECTS, Composition
from saccade.data.scenes.place import (
    APART_LARGEST,
    APART_SMALLEST,
    LARGEST,
    Layout,
    put_apart,
    put_held_out,
    put_inside,
    put_one,
)
from saccade.data.scenes.render import Light
from saccade.data.scenes.sprites import Sprite
from saccade.data.scenes.stream import Stream
from saccade.errors import DataError

__all__ = ["Layout", "draw_layout", "draw_light"]

COUNTS = (3, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 8)  # of the default range
FAILURES = 50  # objects that do not fit before a layout is restarted with smaller ones
RESTARTS = 40


def draw_light(stream: Stream) -> Light:
    across, down = stream.turn()  # more often from above than from below
    return Light(
        across=-down,
        down=-across,
        strength=stream.uniform(0.06, 0.24),
        shadow=stream.uniform(0.25, 0.6),
        fall=stream.uniform(0.06, 0.22),
        brightness=stream.uniform(0.93, 1.12),
    )


def draw_layout(
    stream: Stream,
    height: int,
    width: int,
    sprites: Sequence[Sprite] = (),
    composition: Composition | None = None,
) -> Layout:
    """A random layout with a number of objects in the range of the composition. Objects that do not fit are left out,
    down to the minimum. About half of the objects are sprites, if there are any.

    In the default range of 3 to 8, 5 and 6 objects are most frequent; any other range is sampled uniformly.

    Only combinations of shape and colour are checked here: relations depend on the finished layout.

    Raises:
        DataError: the minimum number of objects does not fit.
    """
    composition = composition or Composition()
    light = draw_light(stream)
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
    stream: Stream, layout: Layout, sprites: Sequence[Sprite], composition: Composition, count: int, scale: float
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
