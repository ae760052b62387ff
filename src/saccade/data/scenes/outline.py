"""The content of a caption before it is put into words: the objects, their order, and the relations to mention."""

from dataclasses import dataclass

from saccade.data.scenes.description import Description, Relation
from saccade.data.scenes.stream import Stream, T
from saccade.data.scenes.vocabulary import BASES, INVERSES


@dataclass(frozen=True)
class Outline:
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


def draw_outline(stream: Stream, description: Description, links: int, extra: int) -> Outline:
    """An outline that mentions every object, with at most `links` links and `extra` extra relations."""
    outline = Outline([], [], [])
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


def shuffled(stream: Stream, values: list[T]) -> list[T]:
    """The values in a random order (Fisher and Yates), in place."""
    for i in range(len(values) - 1, 0, -1):
        j = stream.integer(i + 1)
        values[i], values[j] = values[j], values[i]
    return values
