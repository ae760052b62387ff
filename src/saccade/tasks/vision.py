"""Any other model that takes a picture, in the class of its own library: it can be looked into."""

from saccade.checkpoints.picture_module import PictureModule
from saccade.checkpoints.vision_models import VisionModel
from saccade.tasks.base import PublicTask


class PublicVisionTask(PublicTask):
    """A model of transformers or timm, or any module. It has no `predict`: pages show it.

    vision: the model with its preprocessing.
    """

    kind = "picture"

    def __init__(self, wrapper: VisionModel | PictureModule):
        super().__init__(wrapper)
        self.vision = wrapper
