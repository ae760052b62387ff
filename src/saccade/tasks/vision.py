"""Any other model of transformers that takes a picture: it can be looked into."""

from saccade.checkpoints.vision_models import VisionModel
from saccade.tasks.base import PublicTask


class PublicVisionTask(PublicTask):
    """A model of transformers in its own class. It has no `predict`: pages show it.

    vision: the model with its processor.
    """

    kind = "picture"

    def __init__(self, wrapper: VisionModel):
        super().__init__(wrapper)
        self.vision: VisionModel = wrapper
