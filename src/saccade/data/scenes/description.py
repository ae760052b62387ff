"""The content of a scene as data: input of captions and edits, and reference of judges."""

from collections.abc import Sequence
from dataclasses import dataclass

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
