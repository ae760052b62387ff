"""The pipelines of diffusers that are supported, by class: how they are guided, and how they take pictures.

Read in the source of diffusers 0.42.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Guidance:
    """How a pipeline is guided.

    argument: of its call, which takes the scale g. formula: of the guided prediction. negative: whether it takes a
    negative prompt. image: argument of the scale i of the guidance by the image, "" where there is none.
    """

    argument: str
    formula: str
    negative: bool = True
    image: str = ""


@dataclass(frozen=True)
class PictureInput:
    """How the call of a pipeline takes a picture.

    image: its argument. mask: that of the mask, "" where it takes none. spent: how many of n steps a strength spends,
    where sampling starts at the picture; None where the networks read the picture, and there is no strength.
    """

    image: str = "image"
    mask: str = ""
    spent: Callable[[int, float], int] | None = None

    @property
    def use(self) -> Literal["start", "source"]:
        """As in `ImageSettings`."""
        return "source" if self.spent is None else "start"


def steps_rounded_down(steps: int, strength: float) -> int:
    """Steps that Stable Diffusion and its kin spend, which may be none."""
    return min(int(steps * strength), steps)


def steps_rounded_up(steps: int, strength: float) -> int:
    """Steps that pipelines of flow matching spend; the same sum as theirs, for the same rounding."""
    return steps - int(max(steps - steps * strength, 0))


def all_steps(steps: int, strength: float) -> int:
    """Steps that latent consistency models spend: their scheduler spreads all of them from the start on."""
    return steps if strength > 0 else 0


CLASSIFIER_FREE = Guidance("guidance_scale", "negative + g (positive - negative) for g above 1")
FROM_POSITIVE = Guidance("guidance_scale", "positive + g (positive - negative) for g above 0: g is one less than usual")
TRUE_CFG = Guidance("true_cfg_scale", "negative + g (positive - negative) for g above 1")
DISTILLED = Guidance("guidance_scale", "g is an input of the network; there is no negative prompt", negative=False)
INSTRUCTED = Guidance(
    "guidance_scale",
    "no image + i (negative - no image) + g (positive - negative), for g above 1 and i from 1 on",
    image="image_guidance_scale",
)

# For some of them `pipelines.guidance` decides by the config of the network.
PIPELINES: Mapping[str, Guidance] = {
    "StableDiffusionPipeline": CLASSIFIER_FREE,
    "StableDiffusionImg2ImgPipeline": CLASSIFIER_FREE,
    "StableDiffusionInpaintPipeline": CLASSIFIER_FREE,
    "StableDiffusionControlNetPipeline": CLASSIFIER_FREE,
    "StableDiffusionInstructPix2PixPipeline": INSTRUCTED,
    "StableDiffusionXLPipeline": CLASSIFIER_FREE,
    "StableDiffusionXLImg2ImgPipeline": CLASSIFIER_FREE,
    "StableDiffusionXLInpaintPipeline": CLASSIFIER_FREE,
    "StableDiffusionXLControlNetPipeline": CLASSIFIER_FREE,
    "StableDiffusion3Pipeline": CLASSIFIER_FREE,
    "StableDiffusion3Img2ImgPipeline": CLASSIFIER_FREE,
    "StableDiffusion3InpaintPipeline": CLASSIFIER_FREE,
    "StableDiffusion3ControlNetPipeline": CLASSIFIER_FREE,
    "LatentConsistencyModelPipeline": DISTILLED,
    "LatentConsistencyModelImg2ImgPipeline": DISTILLED,
    "FluxPipeline": TRUE_CFG,
    "FluxImg2ImgPipeline": TRUE_CFG,
    "FluxInpaintPipeline": TRUE_CFG,
    "FluxControlNetPipeline": TRUE_CFG,
    "FluxKontextPipeline": TRUE_CFG,
    "FluxControlPipeline": DISTILLED,
    "FluxFillPipeline": DISTILLED,
    "ChromaPipeline": CLASSIFIER_FREE,
    "ChromaImg2ImgPipeline": CLASSIFIER_FREE,
    "PixArtAlphaPipeline": CLASSIFIER_FREE,
    "PixArtSigmaPipeline": CLASSIFIER_FREE,
    "QwenImagePipeline": TRUE_CFG,
    "QwenImageImg2ImgPipeline": TRUE_CFG,
    "QwenImageInpaintPipeline": TRUE_CFG,
    "ZImagePipeline": FROM_POSITIVE,
    "ZImageImg2ImgPipeline": FROM_POSITIVE,
    "ZImageInpaintPipeline": FROM_POSITIVE,
    "WanPipeline": CLASSIFIER_FREE,
    "WanImageToVideoPipeline": CLASSIFIER_FREE,
    "LTXPipeline": CLASSIFIER_FREE,
    "LTXImageToVideoPipeline": CLASSIFIER_FREE,
    "CogVideoXPipeline": CLASSIFIER_FREE,
    "CogVideoXImageToVideoPipeline": CLASSIFIER_FREE,
}

# The pipelines that paint from a picture; the others paint from text alone.
PICTURE_INPUTS: Mapping[str, PictureInput] = {
    "StableDiffusionImg2ImgPipeline": PictureInput(spent=steps_rounded_down),
    "StableDiffusionInpaintPipeline": PictureInput(mask="mask_image", spent=steps_rounded_down),
    "StableDiffusionControlNetPipeline": PictureInput(),
    "StableDiffusionInstructPix2PixPipeline": PictureInput(),
    "StableDiffusionXLImg2ImgPipeline": PictureInput(spent=steps_rounded_down),
    "StableDiffusionXLInpaintPipeline": PictureInput(mask="mask_image", spent=steps_rounded_down),
    "StableDiffusionXLControlNetPipeline": PictureInput(),
    "StableDiffusion3Img2ImgPipeline": PictureInput(spent=steps_rounded_up),
    "StableDiffusion3InpaintPipeline": PictureInput(mask="mask_image", spent=steps_rounded_up),
    "StableDiffusion3ControlNetPipeline": PictureInput("control_image"),
    "LatentConsistencyModelImg2ImgPipeline": PictureInput(spent=all_steps),
    "FluxImg2ImgPipeline": PictureInput(spent=steps_rounded_up),
    "FluxInpaintPipeline": PictureInput(mask="mask_image", spent=steps_rounded_up),
    "FluxControlNetPipeline": PictureInput("control_image"),
    "FluxKontextPipeline": PictureInput(),
    "FluxControlPipeline": PictureInput("control_image"),
    "FluxFillPipeline": PictureInput(mask="mask_image", spent=steps_rounded_up),
    "ChromaImg2ImgPipeline": PictureInput(spent=steps_rounded_up),
    "QwenImageImg2ImgPipeline": PictureInput(spent=steps_rounded_up),
    "QwenImageInpaintPipeline": PictureInput(mask="mask_image", spent=steps_rounded_up),
    "ZImageImg2ImgPipeline": PictureInput(spent=steps_rounded_up),
    "ZImageInpaintPipeline": PictureInput(mask="mask_image", spent=steps_rounded_up),
    "WanImageToVideoPipeline": PictureInput(),
    "LTXImageToVideoPipeline": PictureInput(),
    "CogVideoXImageToVideoPipeline": PictureInput(),
}

# Pipelines of the same networks that paint from a picture, and those that paint within a mask. ChromaInpaintPipeline
# reads an option that its networks do not have, and fails.
IMAGE_TO_IMAGE: Mapping[str, str] = {
    "StableDiffusionPipeline": "StableDiffusionImg2ImgPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusion3Pipeline": "StableDiffusion3Img2ImgPipeline",
    "LatentConsistencyModelPipeline": "LatentConsistencyModelImg2ImgPipeline",
    "FluxPipeline": "FluxImg2ImgPipeline",
    "ChromaPipeline": "ChromaImg2ImgPipeline",
    "QwenImagePipeline": "QwenImageImg2ImgPipeline",
    "ZImagePipeline": "ZImageImg2ImgPipeline",
}
INPAINTING: Mapping[str, str] = {
    "StableDiffusionPipeline": "StableDiffusionInpaintPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLInpaintPipeline",
    "StableDiffusion3Pipeline": "StableDiffusion3InpaintPipeline",
    "FluxPipeline": "FluxInpaintPipeline",
    "QwenImagePipeline": "QwenImageInpaintPipeline",
    "ZImagePipeline": "ZImageInpaintPipeline",
}
