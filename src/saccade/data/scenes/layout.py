"""Which object each pixel of a picture shows (`Layout`), and sampling of one object at a time: class, size, rotation,
and a free position in a layout."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from saccade.data.scenes import shapes
from saccade.data.scenes.colours import COLOURS, jitter_colour, second_tone
from saccade.data.scenes.constraints import HELD_OUT_COLOURS, HELD_OUT_RELATIONS, is_held_out_colour
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.render import Item, Light, Stencil, stencil
from saccade.data.scenes.sprites import Sprite
from saccade.data.scenes.textures import Texture, sample_texture

SMALLEST, LARGEST = 0.055, 0.225  # radius, as a share of the picture's shorter side
APART_SMALLEST, APART_LARGEST = 0.07, 0.2  # the same, with apart=True
MAX_SAME_COLOUR = 2  # shapes of one colour in a scene, at most
TRIES = 14
COMPASS = ((1, 0), (-1, 0), (0, 1), (0, -1))
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


def put_one(stream: RandomStream, layout: Layout, sprites: Sequence[Sprite], largest: float = LARGEST) -> bool:
    """Add an object; its radius shrinks after every four failed positions. largest: maximum radius."""
    share = stream.unit_uniform()
    radius = layout.side * (SMALLEST + (largest - SMALLEST) * share * share)
    item = sample_item(stream, layout, radius, sprites)
    whole = [other for other, seen, full in zip(layout.items, layout.seen, layout.full, strict=True) if seen == full]
    over = bool(whole) and stream.bernoulli(0.3)
    for tries in range(TRIES):
        covers = over and tries < 6
        x, y = _beside(stream, layout, item, whole) if covers else _anywhere(stream, layout, item)
        item = moved(item, x, y)
        if (covers or _free(layout, item)) and layout.put(item, covers):
            return True
        if tries % 4 == 3:
            item = moved(item, x, y, max(layout.side * SMALLEST, item.radius * 0.7))
    return False


def put_inside(stream: RandomStream, layout: Layout) -> None:
    """Add a ring or frame with an object in its hole."""
    name = stream.choice(tuple(shapes.HOLES))
    radius = layout.side * stream.uniform(0.15, LARGEST)
    outer = sample_item(stream, layout, radius, (), name)
    outer = moved(outer, *_anywhere(stream, layout, outer))
    if not layout.put(outer, False):
        return
    room = radius * shapes.HOLES[name] - 1
    for _ in range(4):
        inner = sample_item(stream, layout, layout.side * SMALLEST, ())
        largest = room * inner.radius / inner.enclosing_radius
        if largest < inner.radius:
            continue
        inner = sample_item(stream, layout, stream.uniform(inner.radius, largest), (), inner.name)
        slack = (room - inner.enclosing_radius) * 0.6
        x, y = (part + slack * stream.uniform(-0.7, 0.7) for part in (outer.x, outer.y))
        if layout.put(moved(inner, x, y), False):
            return


def put_apart(
    stream: RandomStream,
    layout: Layout,
    sprites: Sequence[Sprite],
    largest: float = APART_LARGEST,
    name: str | None = None,
) -> bool:
    """Add an object that touches no other one and is completely in the picture, usually next to another one.
    largest: maximum radius. name: required shape."""
    radius = layout.side * stream.uniform(APART_SMALLEST, max(APART_SMALLEST, largest))
    item = sample_item(stream, layout, radius, sprites, name)
    for tries in range(TRIES):
        if layout.items and stream.bernoulli(0.6):
            x, y = _next_to(stream, layout, item, stream.choice(layout.items), stream.choice(COMPASS))
        else:
            x, y = _inside_border(stream, layout, item)
        item = moved(item, x, y)
        if touches_nothing(layout, item) and layout.put(item, False):
            return True
        if tries % 4 == 3:
            item = moved(item, x, y, max(layout.side * APART_SMALLEST, item.radius * 0.7))
    return False


def put_held_out(stream: RandomStream, layout: Layout, count: int) -> None:
    """Add an object of a held-out shape and colour or, if `count` allows two, possibly a held-out relation."""
    radius = layout.side * stream.uniform(APART_SMALLEST, 0.16)
    if count < 2 or stream.bernoulli(0.5):
        item = sample_item(stream, layout, radius, (), *stream.choice(HELD_OUT_COLOURS))
        layout.put(moved(item, *_inside_border(stream, layout, item)), False)
        return
    subject, relation, other = stream.choice(HELD_OUT_RELATIONS)
    first = sample_item(stream, layout, radius, (), subject)
    first = moved(first, *_inside_border(stream, layout, first))
    layout.put(first, False)
    way = (1, 0) if relation == "left of" else (0, 1)
    item = sample_item(stream, layout, layout.side * stream.uniform(APART_SMALLEST, 0.16), (), other)
    for _ in range(TRIES):
        item = moved(item, *_next_to(stream, layout, item, first, way))
        if touches_nothing(layout, item) and layout.put(item, False):
            return


def touches_nothing(layout: Layout, item: Item) -> bool:
    """Whether the enclosing circle of the object intersects neither another one nor the border."""
    room = item.enclosing_radius + 1
    if not (room <= item.x <= layout.width - room and room <= item.y <= layout.height - room):
        return False
    for other in layout.items:
        least = item.enclosing_radius + other.enclosing_radius + 1
        x, y = item.x - other.x, item.y - other.y
        if x * x + y * y < least * least:
            return False
    return True


def _next_to(
    stream: RandomStream, layout: Layout, item: Item, other: Item, way: tuple[int, int]
) -> tuple[float, float]:
    """A position next to another object, in the direction `way`."""
    along = other.enclosing_radius + item.enclosing_radius + layout.side * stream.uniform(0.015, 0.12)
    aside = along * stream.uniform(-0.4, 0.4)
    return other.x + along * way[0] + aside * way[1], other.y + along * way[1] + aside * way[0]


def _inside_border(stream: RandomStream, layout: Layout, item: Item) -> tuple[float, float]:
    margin = min(item.enclosing_radius + 1.01, layout.side / 2)
    return stream.uniform(margin, layout.width - margin), stream.uniform(margin, layout.height - margin)


def sample_item(
    stream: RandomStream,
    layout: Layout,
    radius: float,
    sprites: Sequence[Sprite],
    name: str | None = None,
    colour: str | None = None,
) -> Item:
    """An object without a position, of a new combination of shape and colour. name, colour: required ones."""
    if name is None and sprites and stream.bernoulli(0.5):
        sprite = stream.choice(sprites)
        white = (1.0, 1.0, 1.0)
        return Item(
            sprite.name, sprite.colour, 0, 0, radius, stream.half_circle_angle(0.2), (white, white), Texture(), sprite
        )
    shape, colour = (name, colour) if name and colour else _draw_kind(stream, layout, name)
    first = jitter_colour(stream, colour)
    turn = stream.half_circle_angle(0.15) if stream.bernoulli(0.5) else stream.full_circle_angle()
    return Item(shape, colour, 0, 0, radius, turn, (first, second_tone(stream, first)), sample_texture(stream, radius))


def _draw_kind(stream: RandomStream, layout: Layout, name: str | None) -> tuple[str, str]:
    """A combination of shape and colour that is not in the layout yet. name: required shape."""
    taken = {(item.name, item.colour) for item in layout.items}
    used = [item.colour for item in layout.items if item.colour]
    once = [colour for colour in used if used.count(colour) == 1]
    while True:
        shape = name or stream.choice(tuple(shapes.SHAPES))
        colour = stream.choice(once) if once and stream.bernoulli(0.05) else stream.choice(tuple(COLOURS))
        if layout.seen_only and is_held_out_colour(shape, colour):
            continue
        if (shape, colour) not in taken and used.count(colour) < MAX_SAME_COLOUR:
            return shape, colour


def moved(item: Item, x: float, y: float, radius: float | None = None) -> Item:
    """The object with another position and radius."""
    return replace(item, x=x, y=y, radius=radius or item.radius)


def _anywhere(stream: RandomStream, layout: Layout, item: Item) -> tuple[float, float]:
    """A position completely in the picture or, one time in six, possibly cut by the border."""
    margin = item.enclosing_radius + 1 if stream.bernoulli(0.83) else item.radius * 0.55
    margin = min(margin, layout.side / 2)
    return stream.uniform(margin, layout.width - margin), stream.uniform(margin, layout.height - margin)


def _beside(stream: RandomStream, layout: Layout, item: Item, whole: Sequence[Item]) -> tuple[float, float]:
    """A position that covers part of an object that is not covered yet, so that stacks stay low."""
    other = stream.choice(whole)
    away = (item.radius + other.radius) * stream.uniform(0.5, 0.95)
    across, down = stream.full_circle_angle()
    return (
        min(max(other.x + away * across, item.radius * 0.7), layout.width - item.radius * 0.7),
        min(max(other.y + away * down, item.radius * 0.7), layout.height - item.radius * 0.7),
    )


def _free(layout: Layout, item: Item) -> bool:
    """Whether it probably touches no other object: a fast check before the exact one."""
    for other in layout.items:
        apart = 0.8 * (item.radius + other.radius)
        x, y = item.x - other.x, item.y - other.y
        if x * x + y * y < apart * apart:
            return other.has_hole and item.radius < 0.6 * other.radius
    return True
