"""The procedural world: seeded scenes of which everything is known."""

from saccade.data.scenes.relations import RELATIONS
from saccade.data.scenes.scenes import Scene, Scenes
from saccade.data.scenes.shapes import SHAPES

__all__ = ["RELATIONS", "SHAPES", "Scene", "Scenes"]
