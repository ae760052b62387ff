"""Where the queries and keys of a call come from, as far as the operations before it tell."""

from dataclasses import dataclass

from saccade.lens.windows import Step


@dataclass(frozen=True, eq=False)
class Whence:
    """kind: "self" or "cross". parts: of sequences put together, by name. steps: by which queries and keys were made of
    a feature map, where that is followed."""

    kind: str
    parts: dict[str, slice] | None = None
    steps: tuple[Step | None, Step | None] = (None, None)
