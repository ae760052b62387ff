"""The content of a scene as data: input of captions and edits, and reference of judges; and the content of a caption
before it is put into words."""

from collections.abc import Sequence
from dataclasses import dataclass

from saccade.data.scenes.random_stream import RandomStream, T
from saccade.data.scenes.vocabulary import BASES, INVERSES

Relation = tuple[int, str, int]  # subject, name, object


@dataclass(frozen=True)
class Description:
    """Objects and their relations.

    Attributes:
        objects: (shape, colour) of each. In a scene's own description they are in the order of `Scene.objects`. The
            colour is "" for a sprite of many colours, and if a caption omits the colour.
        relations: (subject, relation, object): indices in `objects`, and one of `RELATIONS`. Each fact is
            stored in one direction: "right of", "below", "behind" and "smaller than" are written as the inverse
            relation with subject and object exchanged. "same colour" is symmetric and present in both directions.
        background: "light", "dark", "striped", "checked" or "dotted", or None if it is none of these or not mentioned.
    """

    objects: tuple[tuple[str, str], ...]
    relations: tuple[Relation, ...] = ()
    background: str | None = None

    def select(self, order: Sequence[int]) -> "Description":
        """The objects at these indices, in this order, and the relations between them."""
        position = {old: new for new, old in enumerate(order)}
        relations = tuple(
            (position[a], name, position[b]) for a, name, b in self.relations if a in position and b in position
        )
        return Description(tuple(self.objects[i] for i in order), relations, self.background)

    def as_json(self) -> dict[str, object]:
        """Plain lists and dictionaries, as `from_json` reads them."""
        return {
            "objects": [{"shape": shape, "colour": colour} for shape, colour in self.objects],
            "relations": [list(relation) for relation in self.relations],
            "background": self.background,
        }

    @classmethod
    def from_json(cls, data: dict) -> "Description":
        objects = tuple((each["shape"], each["colour"]) for each in data["objects"])
        return cls(objects, tuple((a, name, b) for a, name, b in data["relations"]), data["background"])


@dataclass(frozen=True)
class CaptionPlan:
    """Attributes:
    links: (subject, relation or its inverse, object). The subject of each is mentioned for the first time; its object
        may have been mentioned.
    alone: objects that no link mentions.
    extra: relations, or their inverses, between objects that have been mentioned.
    """

    links: list[Relation]
    alone: list[int]
    extra: list[Relation]

    def relations(self) -> list[Relation]:
        """All relations, each in the direction of `RELATIONS`."""
        return [(b, BASES[r], a) if r in BASES else (a, r, b) for a, r, b in [*self.links, *self.extra]]


def sample_caption_plan(stream: RandomStream, description: Description, links: int, extra: int) -> CaptionPlan:
    """An outline that mentions every object, with at most `links` links and `extra` extra relations."""
    outline = CaptionPlan([], [], [])
    mentioned: set[int] = set()
    for a, relation, b in shuffled(stream, [each for each in description.relations if each[1] in INVERSES]):
        if stream.bernoulli(0.5):
            a, relation, b = b, INVERSES[relation], a
        if a in mentioned and b not in mentioned:
            a, relation, b = b, BASES.get(relation) or INVERSES[relation], a
        if a not in mentioned and len(outline.links) < links:
            outline.links.append((a, relation, b))
            mentioned |= {a, b}
        elif len(outline.extra) < extra:
            outline.extra.append((a, relation, b))
    outline.alone.extend(i for i in shuffled(stream, list(range(len(description.objects)))) if i not in mentioned)
    return outline


def shuffled(stream: RandomStream, values: list[T]) -> list[T]:
    """The values in a random order (Fisher and Yates), in place."""
    for i in range(len(values) - 1, 0, -1):
        j = stream.integer(i + 1)
        values[i], values[j] = values[j], values[i]
    return values
