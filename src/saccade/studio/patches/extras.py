"""What a page shows of patches beside attention: their features, a second image to look in, and maps of classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from saccade.lens import Call
from saccade.studio.patches.class_maps import ClassMaps
from saccade.studio.patches.features import Features, pack_features


@dataclass(frozen=True)
class OtherImage:
    """A second image as the same model sees it. picture: the part that its grid of (rows, columns) covers."""

    name: str
    picture: Image.Image
    grid: tuple[int, int]
    features: Features


@dataclass(frozen=True)
class Extras:
    """Each None where a model has none."""

    features: Features | None = None
    other: OtherImage | None = None
    classes: ClassMaps | None = None

    def content(self, calls: Sequence[Call], grid: tuple[int, int]) -> tuple[dict[str, Any], dict[str, bytes]]:
        """JSON for the viewer, and planes as bytes, by name. calls: the layers of the page."""
        content, data = dict[str, Any](), dict[str, bytes]()
        names = [call.name for call in calls]
        if self.features is not None and names and names[-1] in self.features.layers:
            images = [(self.features, grid), *([(self.other.features, self.other.grid)] if self.other else [])]
            packed = pack_features([one for one, _ in images], [grid for _, grid in images], names)
            content["features"] = {
                "layers": [None if layer is None else layer.meta for layer in packed],
                "normed": self.features.normed,
            }
            data = {f"features-{i}-{j}": each for i, p in enumerate(packed) if p for j, each in enumerate(p.data)}
            if self.other is not None:
                content["other"] = {"name": self.other.name, "grid": list(self.other.grid)}
        if self.classes is not None:
            content["classes"], data["classes"] = self.classes.content(grid)
        return content, data
