"""Minimal edits: a description with one changed attribute or relation, so that it no longer describes the picture, and
the picture with the same change and everything else the same."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from saccade.data.scenes import shapes
from saccade.data.scenes.colours import COLOURS, jitter_colour, second_tone
from saccade.data.scenes.constraints import Combinations, is_held_out
from saccade.data.scenes.description import Description, Relation, shuffled
from saccade.data.scenes.layout import MAX_SAME_COLOUR, Layout, moved, touches_nothing
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.render import Item
from saccade.data.scenes.vocabulary import INVERSES
from saccade.errors import DataError

if TYPE_CHECKING:
    from saccade.data.scenes.scenes import Scene, Scenes

Kind = Literal["colour", "shape", "relation"]
SWAPPED = 0.7  # fraction of edits of "left of" and "above" that exchange subject and object; the others change the axis
_EDIT = 2  # stream of random numbers; scenes and films use 0 and 1


def minimal_edit(
    description: Description,
    stream: RandomStream,
    kind: Kind,
    *,
    scene: Description | None = None,
    combinations: Combinations = "all",
) -> Description | None:
    """The description with one change that makes it false for the scene; None if there is no such change.

    "colour" and "shape" change one object into one that is not in the scene. "relation" exchanges subject and object of
    one relation, or replaces "left of" by "above" and vice versa. "same colour" is not edited itself, and is removed
    for an object that changes its colour.

    Args:
        description: a correct description of the scene or of a part of it, such as that of a `Caption`.
        scene: the full description of the scene, if `description` is a part of it.
        combinations: "seen": the edited description has no held-out combination, so that it can be used in training.

    Raises:
        DataError: an unknown kind.
    """
    if kind not in get_args(Kind):
        raise DataError(f"kind={kind!r} was given; one of {', '.join(get_args(Kind))} expected")
    edits = _relation_edits(description, stream) if kind == "relation" else _object_edits(description, stream, kind)
    full = scene or description
    for edit in edits:
        allowed = combinations != "seen" or not is_held_out(edit.objects, edit.relations)
        if allowed and (kind == "relation" or _is_false(edit, description, full)):
            return edit
    return None


def _object_edits(description: Description, stream: RandomStream, kind: Kind) -> Iterator[Description]:
    """All changes of one colour or one shape, in random order. Sprites and unnamed colours are not changed."""
    for i in shuffled(stream, list(range(len(description.objects)))):
        shape, colour = description.objects[i]
        if shape not in shapes.SHAPES or (kind == "colour" and not colour):
            continue
        for value in shuffled(stream, list(COLOURS if kind == "colour" else shapes.SHAPES)):
            changed = (shape, value) if kind == "colour" else (value, colour)
            objects = (*description.objects[:i], changed, *description.objects[i + 1 :])
            relations = tuple(
                each
                for each in description.relations
                if kind == "shape" or each[1] != "same colour" or i not in (each[0], each[2])
            )
            yield replace(description, objects=objects, relations=relations)


def _is_false(edit: Description, description: Description, scene: Description) -> bool:
    """Whether the scene has no object like the changed one, and no colour becomes more frequent than scenes allow."""
    changed = [new for new, old in zip(edit.objects, description.objects, strict=True) if new != old]
    if not changed:
        return False
    shape, colour = changed[0]
    if any(shape == other and colour in ("", paint) for other, paint in scene.objects):
        return False
    return not colour or [paint for _, paint in edit.objects].count(colour) <= MAX_SAME_COLOUR


def _relation_edits(description: Description, stream: RandomStream) -> Iterator[Description]:
    """Changes of one relation. At most one spatial relation holds for a pair, and the other relations are asymmetric,
    so each change is false."""
    for relation in shuffled(stream, [each for each in description.relations if each[1] in INVERSES]):
        for changed in _alternatives(relation, stream):
            yield replace(
                description, relations=tuple(changed if each == relation else each for each in description.relations)
            )


def _alternatives(relation: Relation, stream: RandomStream) -> list[Relation]:
    a, name, b = relation
    swapped = (b, name, a)
    if name not in ("left of", "above"):
        return [swapped]
    other = "above" if name == "left of" else "left of"
    turned = (a, other, b) if stream.bernoulli(0.5) else (b, other, a)
    return [swapped, turned] if stream.bernoulli(SWAPPED) else [turned, swapped]


def edited_scene(scenes: "Scenes", scene: "Scene", edit: Description) -> "Scene | None":
    """The scene rendered again with one change; backdrop, light, sizes and other positions are the same.

    Args:
        scenes: the set that the scene is from, with the same arguments.
        scene: from its `scene`, `fresh` or `batch`.
        edit: from `minimal_edit` of `scene.description`.

    A new colour keeps the outline; a new shape keeps the enclosing circle. For a new relation two objects exchange
    positions, or move to the other axis around their midpoint ("left of" and "above"), exchange sizes ("bigger than"),
    or the order in which they are drawn ("in front of"), in which the new scene's description lists them; no change
    makes an object lie inside another.

    Returns None if the changed picture would not show the change, or violates a constraint of `scenes`: visibility of
    the objects, no overlap, no held-out combination.

    Raises:
        DataError: the scene is not from this set or is already edited, or the edit is of another scene.
    """
    layout, backdrop = scenes.layout_and_backdrop(scene)
    if tuple((item.name, item.colour) for item in layout.items) != scene.description.objects:
        raise DataError("the scene is not one of these scenes as it was drawn; give an unedited one and its own scenes")
    if len(edit.objects) != len(scene.description.objects):
        raise DataError(
            f"the edit has {len(edit.objects)} objects; the {len(scene.description.objects)} of the scene expected"
        )
    seed, index = scene.key
    relations = new_relations(scene.description, edit)
    items = _edited_items(layout, scene.description, edit, relations, RandomStream(seed, _EDIT, index))
    order = _drawing_order(len(edit.objects), relations)
    changed = _lay(layout, [items[i] for i in order], scenes.composition.apart) if items else None
    if changed is None:
        return None
    new = scenes.render_scene(changed, backdrop, scene.key)
    wanted = {(order.index(a), relation, order.index(b)) for a, relation, b in relations}
    objects = tuple(edit.objects[i] for i in order)
    if new.description.objects != objects or not wanted <= set(new.description.relations):
        return None
    if scenes.composition.combinations == "seen" and is_held_out(new.description.objects, new.description.relations):
        return None
    return new


def _edited_items(
    layout: Layout, before: Description, edit: Description, relations: Sequence[Relation], stream: RandomStream
) -> list[Item] | None:
    """The items of the scene with the change, but for their order; None for a relation that this cannot change."""
    items, size = layout.items, (layout.width, layout.height)
    edited = list(items)
    for i, ((old_shape, old_colour), (shape, colour)) in enumerate(zip(before.objects, edit.objects, strict=True)):
        item = items[i]
        if shape != old_shape:
            grown = replace(item, name=shape, radius=1.0).enclosing_radius
            item = replace(item, name=shape, radius=min(item.radius, item.enclosing_radius / grown))
        if colour != old_colour:
            first = jitter_colour(stream, colour)
            item = replace(item, colour=colour, tones=(first, second_tone(stream, first)))
        edited[i] = item
    for a, relation, b in relations:
        if relation == "inside":
            return None
        if relation in ("left of", "above"):
            edited[a], edited[b] = _placed(items[a], items[b], relation, size)
        elif relation == "bigger than":
            grown = math.sqrt(layout.seen[b] / layout.seen[a])
            edited[a], edited[b] = _scaled(items[a], grown, size), _scaled(items[b], 1 / grown, size)
    return edited


def new_relations(before: Description, edit: Description) -> list[Relation]:
    """Those of the edit that the description before it does not have."""
    return [each for each in edit.relations if each not in before.relations]


def _drawing_order(objects: int, relations: Sequence[Relation]) -> list[int]:
    """The objects from back to front: of a new "in front of", what was in front is drawn where the other one was."""
    order = list(range(objects))
    for front, relation, back in relations:
        if relation == "in front of":
            order[front], order[back] = order[back], order[front]
    return order


def _scaled(item: Item, factor: float, size: tuple[int, int]) -> Item:
    """Larger or smaller around its centre, which moves if the border of the picture would cut it."""
    item = moved(item, item.x, item.y, item.radius * factor)
    x, y = (
        _shift((at,), (item.enclosing_radius + 1,), length) for at, length in zip((item.x, item.y), size, strict=True)
    )
    return moved(item, item.x + x, item.y + y)


def _placed(first: Item, other: Item, relation: str, size: tuple[int, int]) -> tuple[Item, Item]:
    """Both objects moved around their midpoint, so that the relation holds between the first and the other. Both are
    shifted together if the border of the picture of `size` (width, height) would cut one."""
    x, y = (first.x + other.x) / 2, (first.y + other.y) / 2
    across, down = abs(first.x - other.x) / 2, abs(first.y - other.y) / 2
    far, near = max(across, down), min(across, down)
    dx, dy = (far, near) if relation == "left of" else (near, far)
    if (first.x - other.x) * (first.y - other.y) < 0:  # they stay on their side of the axis
        dx, dy = (dx, -dy) if relation == "left of" else (-dx, dy)
    first, other = moved(first, x - dx, y - dy), moved(other, x + dx, y + dy)
    rooms = first.enclosing_radius + 1, other.enclosing_radius + 1
    x = _shift((first.x, other.x), rooms, size[0])
    y = _shift((first.y, other.y), rooms, size[1])
    return moved(first, first.x + x, first.y + y), moved(other, other.x + x, other.y + y)


def _shift(centres: Sequence[float], rooms: Sequence[float], length: int) -> float:
    """The smallest shift after which all centres are at least `rooms` away from 0 and `length`."""
    least = max(room - centre for centre, room in zip(centres, rooms, strict=True))
    most = min(length - room - centre for centre, room in zip(centres, rooms, strict=True))
    return min(max(0.0, least), most)


def _lay(layout: Layout, items: Sequence[Item], apart: bool) -> Layout | None:
    """A layout of the items with the same light; None if one does not fit."""
    changed = Layout(layout.height, layout.width, layout.light)
    for item in items:
        if apart and not touches_nothing(changed, item):
            return None
        if not changed.put(item, may_cover=not apart):
            return None
    return changed
