"""Public pipelines that paint from pictures, beside diffusers called directly, and what they refuse."""

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from saccade.checkpoints.pipeline_classes import IMAGE_TO_IMAGE, INPAINTING, PICTURE_INPUTS, PIPELINES
from saccade.errors import SaccadeError
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.public_look import trace_pipeline
from saccade.tasks.generate.public_pictures import picture_pipeline
from saccade.tasks.generate.settings import Settings
from saccade.tasks.public_loading import load_generator

from .pipelines import FAMILIES, PICTURE_PIPELINES, VARIANTS, diffusers

pytestmark = pytest.mark.filterwarnings("ignore")
BUILD = {**FAMILIES, **VARIANTS, **PICTURE_PIPELINES}
SIZE = (24, 16)  # width, height
PROMPT = "a red star"
STRENGTH = 0.7
BOX = (4, 4, 12, 8)  # of whole latent pixels


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Saved and loaded when first used."""
    loaded = {}

    def task(name) -> PublicGenerateTask:
        if name not in loaded:
            folder = tmp_path_factory.mktemp("pipelines") / name
            BUILD[name]().save_pretrained(folder)
            loaded[name] = load_generator(folder)
        return loaded[name]

    return task


def random_picture(width=SIZE[0], height=SIZE[1]) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


def hole(box=BOX, size=SIZE) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def pixels(picture) -> np.ndarray:
    return np.asarray(getattr(picture, "image", picture)).astype(int)


def directly(pipeline, **options) -> np.ndarray:
    """The picture of seed 6 by diffusers alone, in 3 steps."""
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    generator = torch.Generator().manual_seed(6)
    found = pipeline(prompt=PROMPT, generator=generator, num_inference_steps=3, output_type="np", **options).images[0]
    return (found * 255).round().astype(int)


# Of a text-to-image pipeline, diffusers' own choice of the class. Of the others, the arguments of their call.
SIDES = {"height": SIZE[1], "width": SIZE[0]}
START = {"image": random_picture(), "strength": STRENGTH}
MASKED = {**START, "mask_image": hole()}
CASES = {
    "unet": START,
    "sdxl": START,
    "sd3": START | SIDES,
    "flux": START | SIDES,
    "lcm": START,
    "img2img": START,
    "inpaint": MASKED | SIDES,
    "fill": MASKED | SIDES,
    "controlnet": {"image": random_picture()},
    "pix2pix": {"image": random_picture(), "image_guidance_scale": 1.9},
    "control": {"control_image": random_picture(), **SIDES},
    "kontext": {"image": random_picture(), "max_area": math.prod(SIZE), "_auto_resize": False, **SIDES},
}


OURS = ("image", "mask_image", "strength", "image_guidance_scale")


@pytest.mark.parametrize("name", CASES)
def test_a_picture_is_that_of_the_pipeline(tasks, name):
    task, options = tasks(name), CASES[name]
    pipeline = BUILD[name]()
    if name not in PICTURE_PIPELINES:
        pipeline = diffusers.AutoPipelineForImage2Image.from_pipe(pipeline)
    expected = directly(pipeline, **options)

    given = {name: value for name, value in options.items() if name in OURS}
    if "control_image" in options:
        given["image"] = options["control_image"]
    log = []
    report = {"callback": lambda *each: log.append(each)}
    found = task.generate(PROMPT, seed=5, n=2, num_inference_steps=3, **given, **SIDES, **report)
    spent = 3 if "strength" not in options or name == "lcm" else 2
    if name in ("sd3", "flux", "fill"):
        spent = 3  # 2.1, rounded up
    assert log == [(i, 2 * spent) for i in range(1, 2 * spent + 1)]
    assert task.spent_steps(found[0].settings) == spent == pipeline.num_timesteps
    if "mask_image" in options:
        outside = pixels(hole()) == 0
        expected[outside] = pixels(random_picture())[outside]
    np.testing.assert_array_equal(pixels(found[1]), expected)
    assert (pixels(found[0]) != expected).any()
    assert found[0].settings.image.use == ("start" if "strength" in options else "source")


@pytest.mark.parametrize("name", ["unet", "sdxl", "sd3", "flux"])
def test_a_mask_is_painted_by_the_inpainting_pipeline(tasks, name):
    """Blocks that the mask touches are painted, and the pixels outside it kept."""
    ragged = (5, 5, 11, 7)
    expected = directly(diffusers.AutoPipelineForInpainting.from_pipe(BUILD[name]()), **MASKED, **SIDES)
    given = {"image": random_picture(), "mask_image": hole(ragged), "strength": STRENGTH, **SIDES}
    (found,) = tasks(name).generate(PROMPT, seed=6, num_inference_steps=3, **given)
    outside = pixels(hole(ragged)) == 0
    np.testing.assert_array_equal(pixels(found)[~outside], expected[~outside])
    np.testing.assert_array_equal(pixels(found)[outside], pixels(random_picture())[outside])


def test_settings_paint_it_again_and_pictures_do_not_depend_on_one_another(tasks):
    task = tasks("unet")
    photo = SourceImage.read(random_picture(61, 23), hole((7, 5, 40, 18), (61, 23)))
    options = {"image": photo.image, "mask_image": photo.mask, "num_inference_steps": 2}
    found = task.generate(PROMPT, seed=4, n=3, **options)
    assert found[2].image.size == (61, 23)
    assert found[2].settings.size == (8, 24)  # of about 16 x 16 pixels, in multiples of 8
    read = Settings.parse(str(found[2].settings))
    assert read == found[2].settings
    assert (read.digest, read.image.strength) == (task.digest, 1.0)
    originals = SourceImages(photo)
    (again,) = task.generate_all([read], originals=originals)
    assert again.to_png() == found[2].to_png()
    together = task.generate_all([each.settings for each in found], batch=3, originals=originals)
    assert max(np.abs(pixels(a) - pixels(b)).max() for a, b in zip(found, together, strict=True)) <= 1
    for other in (
        SourceImages(),
        SourceImages(SourceImage.read(photo.image)),
        SourceImages(SourceImage.read(random_picture())),
    ):
        with pytest.raises(SaccadeError, match="the settings are of"):
            list(task.generate_all([read], originals=other))


def test_one_set_of_networks_serves_text_and_pictures(tasks):
    task = tasks("unet")
    photo = SourceImages(SourceImage.read(random_picture()))
    other = task.image_to_image_task(photo)
    assert task.image_to_image_task(SourceImages()) is task
    assert task.image_to_image_task(photo) is other
    assert other.image_to_image_task(photo) is other
    assert type(other.model).__name__ == "StableDiffusionImg2ImgPipeline"
    assert other.model.unet is task.model.unet
    assert PublicGenerateTask.digest.func(other) == task.digest
    plain = task.settings(PROMPT, seed=1, sampling=replace(task.default_sampling, steps=2), **SIDES)
    mixed = [plain, replace(plain, image=photo.image.image_settings(0.5))]
    for each, picture in zip(mixed, task.generate_all(mixed, originals=photo), strict=True):
        (alone,) = task.generate_all([each], originals=photo)
        assert alone.to_png() == picture.to_png()


def test_steps_are_counted_as_the_pipelines_do(tasks):
    for name in ("unet", "sd3", "flux"):
        for masked in (False, True):
            pipeline = picture_pipeline(tasks(name).model, masked, name)
            spent = PICTURE_INPUTS[type(pipeline).__name__].spent
            for steps in (7, 10):
                for strength in (0.05, 0.29, 0.3, 0.57, 0.7, 0.9999, 1.0):
                    pipeline.scheduler.set_timesteps(steps)
                    assert spent(steps, strength) == pipeline.get_timesteps(steps, strength, "cpu")[1]


def test_tables_agree_with_diffusers():
    for kind in PIPELINES:
        arguments = inspect.signature(getattr(diffusers, kind).__call__).parameters
        takes = PICTURE_INPUTS.get(kind)
        assert (takes is not None) == bool({"image", "control_image"} & set(arguments))
        if takes is not None:
            named = {name for name in (takes.image, takes.mask, PIPELINES[kind].image) if name}
            assert named <= set(arguments)
            assert ("strength" in arguments) == (takes.use == "start")
            assert ("mask_image" in arguments) == (takes.mask == "mask_image")
            assert not {"image", "control_image"} <= set(arguments)
    from diffusers.pipelines import auto_pipeline

    for ours, name in ((IMAGE_TO_IMAGE, "IMAGE2IMAGE"), (INPAINTING, "INPAINT")):
        theirs = getattr(auto_pipeline, f"AUTO_{name}_PIPELINES_MAPPING")
        text = {kind.__name__: key for key, kind in auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING.items()}
        assert {kind: theirs[text[kind]].__name__ for kind in ours if text[kind] in theirs} == {
            kind: found for kind, found in ours.items() if kind != "ChromaPipeline"
        }


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {"strength": 0.3}, "a strength of 0.3 spends none of 3 steps in unet: use 0.34 or more"),
        ("flux", {"strength": 0.0}, "a strength of 0 spends none of 3 steps"),
        ("unet", {"strength": 1.2}, "a strength of 1.2"),
        ("unet", {"image": None, "strength": 0.5}, "a strength goes with an image"),
        ("unet", {"image": None, "mask_image": hole()}, "a mask_image goes with an image"),
        ("unet", {"image_guidance_scale": 2.0}, "is a StableDiffusionImg2ImgPipeline, which has no image guidance"),
        ("unet", {"style_image": random_picture()}, "unet has no IP adapter, by which it would take a style"),
        ("pixart", {}, "is a PixArtAlphaPipeline, for which there is no image-to-image pipeline"),
        ("pixart", {"image": None, "style_image": random_picture()}, "is a PixArtAlphaPipeline, which takes no style"),
        ("lcm", {"mask_image": hole()}, "for which there is no inpainting pipeline .*: leave out the mask"),
        ("img2img", {"image": None}, "is a StableDiffusionImg2ImgPipeline, which paints from a picture: give an image"),
        ("img2img", {"mask_image": hole()}, "is a StableDiffusionImg2ImgPipeline, which takes no mask"),
        ("inpaint", {}, "is a StableDiffusionInpaintPipeline, which paints within a mask: give one"),
        ("inpaint", {"image": None}, "which paints within a mask: give an image and a mask"),
        ("controlnet", {"image": None}, "which paints from a picture: give an image"),
        ("controlnet", {"strength": 0.5}, "which reads the picture and takes no strength"),
        ("pix2pix", {"image_guidance_scale": 0.5}, "an image guidance of 0.5 turns all guidance of pix2pix off"),
        ("pix2pix", {"mask_image": hole()}, "which takes no mask"),
    ],
)
def test_what_is_refused(tasks, name, options, message):
    with pytest.raises(SaccadeError, match=message) as error:
        tasks(name).generate(PROMPT, **{"image": random_picture(), "num_inference_steps": 3, **options})
    assert "\n" not in str(error.value)


def test_settings_of_another_kind_of_model_are_refused(tasks):
    photo = SourceImages(SourceImage.read(random_picture()))
    (found,) = tasks("controlnet").generate(PROMPT, image=random_picture(), seed=1, num_inference_steps=1)
    with pytest.raises(SaccadeError, match="which starts at the picture; the settings are of another kind of model"):
        list(tasks("unet").generate_all([found.settings], originals=photo))
    with pytest.raises(SaccadeError, match="which paints from a picture: give an image"):
        list(tasks("controlnet").generate_all([replace(found.settings, image=None)]))


def test_defaults_are_those_of_the_pipeline(tasks):
    assert tasks("pix2pix").default_sampling.image_guidance == 1.5
    assert tasks("pix2pix").notes[0].startswith("guidance of StableDiffusionInstructPix2PixPipeline: no image + i")
    assert tasks("img2img").default_size == (16, 16)
    photo = SourceImages(SourceImage.read(random_picture()))
    for name, strength in (("unet", 0.8), ("sdxl", 0.3), ("sd3", 0.6)):
        assert tasks(name).settings(PROMPT, originals=photo, **SIDES).image.strength == strength
    assert tasks("unet").fit_size(photo.image, width=40) == (24, 40)


@pytest.mark.parametrize("name", ["unet", "sd3", "flux", "controlnet"])
def test_words_of_a_picture_that_is_painted_from_another(tasks, name):
    task, original = tasks(name), SourceImage.read(random_picture())
    strength = None if name == "controlnet" else STRENGTH
    originals = SourceImages(original)
    task = task.image_to_image_task(originals)
    sampling = replace(task.default_sampling, steps=3)
    settings = task.settings(PROMPT, seed=6, sampling=sampling, originals=originals, strength=strength, **SIDES)
    trace = trace_pipeline(task, settings, originals=originals)
    (plain,) = task.generate_all([settings], originals=originals)
    assert trace.picture.to_png() == plain.to_png()
    assert len(trace.calls) == task.spent_steps(settings)
    assert trace.word_maps(0, 0).shape[1] == 3


def test_no_maps_where_the_prompt_is_elsewhere_in_the_batch(tasks):
    task, originals = tasks("pix2pix"), SourceImages(SourceImage.read(random_picture()))
    settings = task.settings(PROMPT, originals=originals, **SIDES)
    with pytest.raises(SaccadeError, match="how its text is laid out is not known here"):
        trace_pipeline(task, settings, originals=originals)


def test_a_style_by_an_ip_adapter(tmp_path):
    BUILD["unet"]().save_pretrained(tmp_path / "unet")
    task = load_generator(tmp_path / "unet")
    add_adapter(task.model)
    style = random_picture(9, 9)
    options = {"seed": 6, "num_inference_steps": 3, "height": 16, "width": 24}
    (weak,), (found,) = (
        task.generate(PROMPT, style_image=style, style_strength=strength, **options) for strength in (0.0, 0.8)
    )
    task.model.set_ip_adapter_scale(0.8)
    np.testing.assert_array_equal(pixels(found), directly(task.model, ip_adapter_image=style, **SIDES))
    assert (pixels(weak) != pixels(found)).any()
    read = Settings.parse(str(found.settings))
    assert (read, read.style.strength) == (found.settings, 0.8)
    (again,) = task.generate_all([read], originals=SourceImages(style=SourceImage.read(style)))
    assert again.to_png() == found.to_png()
    (both,) = task.generate(PROMPT, style_image=style, image=random_picture(), **options)
    assert (pixels(both) != pixels(found)).any()


def add_adapter(pipeline):
    """One with random weights, and the image encoder that it reads."""
    torch.manual_seed(37)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=19, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4,
        projection_dim=12,
    )  # fmt: skip
    processor = CLIPImageProcessor(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    pipeline.register_modules(image_encoder=CLIPVisionModelWithProjection(config).eval(), feature_extractor=processor)
    read = [name for name in pipeline.unet.attn_processors if name.endswith("attn2.processor")]
    layers = {name: pipeline.unet.get_submodule(name.removesuffix(".processor")).to_k for name in read}
    weights = {
        f"{2 * i + 1}.{part}_ip.weight": torch.randn_like(layer.weight)
        for i, layer in enumerate(layers.values())
        for part in ("to_k", "to_v")
    }
    projection = {
        "proj.weight": torch.randn(4 * 24, 12), "proj.bias": torch.zeros(4 * 24), "norm.weight": torch.ones(24),
        "norm.bias": torch.zeros(24),
    }  # fmt: skip
    pipeline.load_ip_adapter({"image_proj": projection, "ip_adapter": weights}, subfolder="", weight_name="")
