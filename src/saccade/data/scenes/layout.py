"""Where objects go: which, how large, how turned, in front of which others.

Each new object lies over those before it. One that would leave another, or itself, too little to see is put elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from saccade.data.scenes import shapes
from saccade.data.scenes.colours import COLOURS, second, shade
from saccade.data.scenes.render import Item, Light, Stencil, stencil
from saccade.data.scenes.sprites import Sprite
from saccade.data.scenes.stream import Stream
from saccade.data.scenes.textures import Texture, draw_texture

FEWEST, COUNTS = 3, (3, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 8)
SMALLEST, LARGEST = 0.055, 0.225  # radius, as a share of the picture's shorter side
KEPT = 0.35  # of an object's pixels, at least, can be seen
PIXELS = 40 / 128**2  # that can be seen of an object, at least, as a share of the shorter side squared
EVIDENT = 0.08  # of an object, at least, is covered by one in front of it, if any
SAME = 2  # shapes of one colour in a scene, at most
TRIES = 14


@dataclass
class Layout:
    """Objects from the hindmost to the foremost.

    owner: which one each pixel shows, int16 (y x), -1 for none. full: pixels of each, covered ones counted in.
    seen: those that can be seen.
    """

    height: int
    width: int
    light: Light
    items: list[Item] = field(default_factory=list)
    stencils: list[Stencil] = field(default_factory=list)
    full: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.owner = np.full((self.height, self.width), -1, np.int16)
        self.side = min(self.height, self.width)

    def put(self, item: Item, may_cover: bool) -> bool:
        """Put it in front of all others, if it and they can then still be seen well; whether it was put."""
        drawn = stencil(item, self.height, self.width, self.light)
        beneath = self.owner[drawn.window][drawn.mask]
        least = PIXELS * self.side * self.side
        if len(beneath) < least:
            return False
        covered = np.bincount(beneath + 1, minlength=len(self.items) + 1)[1:].tolist()
        for lost, seen, full in zip(covered, self.seen, self.full, strict=True):
            if lost and not may_cover:
                return False
            if lost and (lost < EVIDENT * full or seen - lost < max(least, KEPT * full)):
                return False
        self._lay(item, drawn, covered)
        return True

    def add(self, item: Item) -> None:
        """Put it in front of all others, whatever it hides."""
        drawn = stencil(item, self.height, self.width, self.light)
        beneath = self.owner[drawn.window][drawn.mask]
        self._lay(item, drawn, np.bincount(beneath + 1, minlength=len(self.items) + 1)[1:].tolist())

    def _lay(self, item: Item, drawn: Stencil, covered: Sequence[int]) -> None:
        """covered: pixels that each of the others loses by it."""
        self.owner[drawn.window][drawn.mask] = len(self.items)
        self.seen = [seen - lost for seen, lost in zip(self.seen, covered, strict=True)]
        self.items.append(item)
        self.stencils.append(drawn)
        self.full.append(int(np.count_nonzero(drawn.mask)))
        self.seen.append(self.full[-1])


def draw_light(stream: Stream) -> Light:
    across, down = stream.turn()  # from above, sooner than from below
    return Light(
        across=-down,
        down=-across,
        strength=stream.between(0.06, 0.24),
        shadow=stream.between(0.25, 0.6),
        fall=stream.between(0.06, 0.22),
        brightness=stream.between(0.93, 1.12),
    )


def draw_layout(stream: Stream, height: int, width: int, sprites: Sequence[Sprite] = ()) -> Layout:
    """A layout of 3 to 8 objects; what does not fit is left out, never below 3. Half of them, about, are sprites
    where there are any."""
    layout = Layout(height, width, draw_light(stream))
    count = stream.choice(COUNTS)
    if stream.chance(0.42):
        _put_inside(stream, layout)
    while len(layout.items) < count:
        if not _put_one(stream, layout, sprites) and len(layout.items) >= FEWEST:
            break
    return layout


def _put_one(stream: Stream, layout: Layout, sprites: Sequence[Sprite]) -> bool:
    """One more object, in any of some places; smaller as places are found wanting."""
    share = stream.unit()
    radius = layout.side * (SMALLEST + (LARGEST - SMALLEST) * share * share)
    item = draw_item(stream, layout, radius, sprites)
    whole = [other for other, seen, full in zip(layout.items, layout.seen, layout.full, strict=True) if seen == full]
    over = bool(whole) and stream.chance(0.3)
    for tries in range(TRIES):
        covers = over and tries < 6
        x, y = _beside(stream, layout, item, whole) if covers else _anywhere(stream, layout, item)
        item = moved(item, x, y)
        if (covers or _free(layout, item)) and layout.put(item, covers):
            return True
        if tries % 4 == 3:
            item = moved(item, x, y, max(layout.side * SMALLEST, item.radius * 0.7))
    return False


def _put_inside(stream: Stream, layout: Layout) -> None:
    """A ring or frame with an object in its hole."""
    name = stream.choice(tuple(shapes.HOLES))
    radius = layout.side * stream.between(0.15, LARGEST)
    outer = draw_item(stream, layout, radius, (), name)
    outer = moved(outer, *_anywhere(stream, layout, outer))
    if not layout.put(outer, False):
        return
    room = radius * shapes.HOLES[name] - 1
    for _ in range(4):
        inner = draw_item(stream, layout, layout.side * SMALLEST, ())
        largest = room * inner.radius / inner.reach
        if largest < inner.radius:
            continue
        inner = draw_item(stream, layout, stream.between(inner.radius, largest), (), inner.name)
        slack = (room - inner.reach) * 0.6
        x, y = (part + slack * stream.between(-0.7, 0.7) for part in (outer.x, outer.y))
        if layout.put(moved(inner, x, y), False):
            return


def draw_item(
    stream: Stream, layout: Layout, radius: float, sprites: Sequence[Sprite], name: str | None = None
) -> Item:
    """An object without a place; no second one of the same shape and colour."""
    taken = {(item.name, item.colour) for item in layout.items}
    if sprites and name is None and stream.chance(0.5):
        sprite = stream.choice(sprites)
        white = (1.0, 1.0, 1.0)
        return Item(sprite.name, sprite.colour, 0, 0, radius, stream.turn(0.2), (white, white), Texture(), sprite)
    used = [item.colour for item in layout.items if item.colour]
    once = [colour for colour in used if used.count(colour) == 1]
    while True:
        shape = name or stream.choice(tuple(shapes.SHAPES))
        colour = stream.choice(once) if once and stream.chance(0.05) else stream.choice(tuple(COLOURS))
        if (shape, colour) not in taken and used.count(colour) < SAME:
            break
    first = shade(stream, colour)
    turn = stream.turn(0.15) if stream.chance(0.5) else stream.any_turn()
    return Item(shape, colour, 0, 0, radius, turn, (first, second(stream, first)), draw_texture(stream, radius))


def moved(item: Item, x: float, y: float, radius: float | None = None) -> Item:
    """The same object elsewhere, and of another radius."""
    return replace(item, x=x, y=y, radius=radius or item.radius)


def _anywhere(stream: Stream, layout: Layout, item: Item) -> tuple[float, float]:
    """A place whole in the picture, or, one time in six, perhaps cut by its border."""
    margin = item.reach + 1 if stream.chance(0.83) else item.radius * 0.55
    margin = min(margin, layout.side / 2)
    return stream.between(margin, layout.width - margin), stream.between(margin, layout.height - margin)


def _beside(stream: Stream, layout: Layout, item: Item, whole: Sequence[Item]) -> tuple[float, float]:
    """A place where it covers part of one that nothing covers yet, so that heaps stay low."""
    other = stream.choice(whole)
    away = (item.radius + other.radius) * stream.between(0.5, 0.95)
    across, down = stream.any_turn()
    return (
        min(max(other.x + away * across, item.radius * 0.7), layout.width - item.radius * 0.7),
        min(max(other.y + away * down, item.radius * 0.7), layout.height - item.radius * 0.7),
    )


def _free(layout: Layout, item: Item) -> bool:
    """Whether it is likely not to touch another: a quick look before the exact one."""
    for other in layout.items:
        apart = 0.8 * (item.radius + other.radius)
        x, y = item.x - other.x, item.y - other.y
        if x * x + y * y < apart * apart:
            return other.holed and item.radius < 0.6 * other.radius
    return True
