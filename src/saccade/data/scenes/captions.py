"""What a scene shows, in words."""

from collections.abc import Sequence

from saccade.data.scenes.relations import Triplet


def captions(names: Sequence[str], colours: Sequence[str], triplets: Sequence[Triplet]) -> dict[str, str]:
    said = ", ".join(f"a {colour} {name}" for name, colour in zip(names, colours, strict=True))
    return {"en": said, "ko": said}
