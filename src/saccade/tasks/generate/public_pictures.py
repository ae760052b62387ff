"""Pictures that public pipelines paint from: which pipeline takes them, and as which arguments of its call."""

import inspect
import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from saccade.checkpoints.pipeline_classes import IMAGE_TO_IMAGE, INPAINTING, PICTURE_INPUTS, PictureInput
from saccade.checkpoints.pipelines import denoiser, quiet_diffusers
from saccade.errors import SaccadeError
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages, resize_mask, resized
from saccade.tasks.generate.settings import ImageSettings, Settings


def picture_input(pipeline: Any) -> PictureInput | None:
    """How a pipeline takes a picture; None where it paints from text alone."""
    return PICTURE_INPUTS.get(type(pipeline).__name__)


def picture_pipeline(pipeline: Any, masked: bool, name: str) -> Any:
    """The pipeline that paints from a picture with the networks of this one; this one where it does. masked: within a
    mask. name: for messages.

    Raises SaccadeError where diffusers has none."""
    kind = type(pipeline).__name__
    if kind in PICTURE_INPUTS:
        return pipeline
    found = (INPAINTING if masked else IMAGE_TO_IMAGE).get(kind)
    if found is None:
        what, leave = ("inpainting", "mask") if masked else ("image-to-image", "image")
        raise SaccadeError(
            f"{name} is a {kind}, for which there is no {what} pipeline that can be used here: leave out the "
            f"{leave}, or use another model"
        )
    return convert_pipeline(pipeline, found, name)


def convert_pipeline(pipeline: Any, kind: str, name: str) -> Any:
    """A pipeline of another class with the same networks. name: for messages."""
    with quiet_diffusers(name) as diffusers:
        found = getattr(diffusers, kind).from_pipe(pipeline, torch_dtype=denoiser(pipeline).dtype)
    found.set_progress_bar_config(disable=True)
    return found


def image_settings(
    pipeline: Any, name: str, image: SourceImage | None, strength: float | None, steps: int
) -> ImageSettings | None:
    """For `Settings.image`. strength: default: the pipeline's own. name: for messages.

    Raises SaccadeError where the pipeline takes no picture or mask, needs one, takes no strength, or would spend no
    step."""
    takes, kind = picture_input(pipeline), type(pipeline).__name__
    if takes is None or image is None:
        if strength is not None:
            raise SaccadeError("a strength goes with an image: give it too")
        check_image(pipeline, name, None, steps)
        return None
    if takes.use == "source":
        if strength is not None:
            raise SaccadeError(f"{name} is a {kind}, which reads the picture and takes no strength: leave it out")
        found = replace(image.image_settings(1.0), use="source")
    else:
        usual = inspect.signature(type(pipeline).__call__).parameters["strength"].default
        found = image.image_settings(usual if strength is None else strength)
    check_image(pipeline, name, found, steps)
    return found


def check_image(pipeline: Any, name: str, image: ImageSettings | None, steps: int) -> None:
    """Raises SaccadeError unless the pipeline paints from the picture and the mask of the settings, or from none."""
    takes, kind = picture_input(pipeline), type(pipeline).__name__
    if image is None and takes is not None:
        needs = "within a mask: give an image and a mask" if takes.mask else "from a picture: give an image"
        raise SaccadeError(f"{name} is a {kind}, which paints {needs}")
    if image is None or takes is None:
        return
    if image.mask_digest and not takes.mask:
        raise SaccadeError(f"{name} is a {kind}, which takes no mask: leave it out, or use a pipeline for inpainting")
    if takes.mask and not image.mask_digest:
        raise SaccadeError(f"{name} is a {kind}, which paints within a mask: give one")
    if takes.use != image.use:
        how = "starts at the picture" if takes.use == "start" else "reads the picture"
        raise SaccadeError(f"{name} is a {kind}, which {how}; the settings are of another kind of model")
    if takes.spent is not None and takes.spent(steps, image.strength) < 1:
        least = math.ceil(100 / steps) / 100
        raise SaccadeError(
            f"a strength of {image.strength:g} spends none of {steps} steps in {name}: use {least:g} or more, or more "
            "steps"
        )


def check_style(pipeline: Any, name: str, given: bool) -> None:
    """given: whether there is a style. Raises SaccadeError for one without an IP adapter, by which it is taken, and for
    none where a U-Net has an adapter, which needs one."""
    arguments = inspect.signature(type(pipeline).__call__).parameters
    network = denoiser(pipeline)
    if not given:
        if getattr(network.config, "encoder_hid_dim_type", None) == "ip_image_proj":
            raise SaccadeError(f"{name} has an IP adapter, which reads a style: give one, or unload the adapter")
        return
    if "ip_adapter_image" not in arguments:
        raise SaccadeError(f"{name} is a {type(pipeline).__name__}, which takes no style: leave it out")
    if all(getattr(network, part, None) is None for part in ("encoder_hid_proj", "image_proj")):
        raise SaccadeError(
            f"{name} has no IP adapter, by which it would take a style: leave it out, or load one in Python with "
            "task.model.load_ip_adapter"
        )


def spent_steps(pipeline: Any, settings: Settings) -> int:
    """How many of the steps of the settings a pipeline spends."""
    takes, steps = picture_input(pipeline), settings.sampling.steps
    if takes is None or takes.spent is None or settings.image is None:
        return steps
    return takes.spent(steps, settings.image.strength)


def picture_options(pipeline: Any, settings: Settings, originals: SourceImages, b: int) -> dict[str, Any]:
    """Arguments of the call of a pipeline that take the pictures, for b pictures that are painted at once."""
    takes, options = picture_input(pipeline), dict[str, Any]()
    if takes is not None and originals.image is not None and settings.image is not None:
        options[takes.image] = [resized(originals.image.image, settings.size)] * b
        if takes.spent is not None:
            options["strength"] = settings.image.strength
        if takes.mask:
            options[takes.mask] = [_mask(originals.image, settings.size, pipeline.vae_scale_factor)] * b
    if type(pipeline).__name__ == "FluxKontextPipeline":  # which would paint and read about a million pixels
        options |= {"max_area": settings.size[0] * settings.size[1], "_auto_resize": False}
    if originals.style is not None and settings.style is not None:
        pipeline.set_ip_adapter_scale(settings.style.strength)
        options["ip_adapter_image"] = originals.style.image
    return options


def _mask(original: SourceImage, size: tuple[int, int], block: int) -> Image.Image:
    """White blocks where any pixel is to be painted: pipelines look at one pixel of each block that is a latent pixel,
    and would miss finer parts."""
    assert original.mask is not None
    part = resize_mask(original.mask, size)[None].float()
    blocks = F.max_pool2d(part, block, ceil_mode=True)[0].bool()
    whole = blocks.repeat_interleave(block, dim=0).repeat_interleave(block, dim=1)[: size[0], : size[1]]
    return Image.fromarray((whole.to(torch.uint8) * 255).numpy())
