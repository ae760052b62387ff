"""Public pipelines, tiny and with random weights, through the same methods as our own generator."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.settings import Layout, Settings
from saccade.tasks.loading import load
from saccade.tasks.public_loading import load_generator
from saccade.tasks.trained_models import is_generator

from .pipelines import FAMILIES, VARIANTS, diffusers, flux, stable_diffusion

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = {"height": 16, "width": 24}  # in latent pixels 8 x 12
SMALL = {"num_inference_steps": 2, **SIZE}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Saved when first used."""
    saved = {}

    def folder(name):
        if name not in saved:
            saved[name] = tmp_path_factory.mktemp("pipelines") / name
            FAMILIES[name]().save_pretrained(saved[name])
        return saved[name]

    return folder


@pytest.fixture(scope="module")
def tasks(folders):
    loaded = {}

    def task(name) -> PublicGenerateTask:
        if name not in loaded:
            loaded[name] = load_generator(f"diffusers:{folders(name)}")
        return loaded[name]

    return task


def pixels(picture):
    return np.asarray(picture.image).astype(int)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_picture_is_that_of_the_pipeline_and_depends_on_its_seed_alone(tasks, name, tmp_path):
    task = tasks(name)
    log = []
    found = task.generate("a red star", n=3, seed=5, **SMALL, callback=lambda *steps: log.append(steps))
    assert log == [(i, 6) for i in range(1, 7)]
    assert [picture.seed for picture in found] == [5, 6, 7]
    assert all(picture.image.size == (24, 16) for picture in found)
    assert (pixels(found[0]) != pixels(found[1])).mean() > 0.5

    extra = {"clean_caption": False, "use_resolution_binning": False} if name == "pixart" else {}
    generator = torch.Generator().manual_seed(6)
    plain = task.model("a red star", generator=generator, output_type="np", **SMALL, **extra).images[0]
    np.testing.assert_array_equal(pixels(found[1]), (plain * 255).round())

    (alone,) = task.generate("a red star", seed=6, **SMALL)
    assert alone.to_png() == found[1].to_png()
    together = task.generate_all([picture.settings for picture in found], batch=3)
    assert max(np.abs(pixels(a) - pixels(b)).max() for a, b in zip(found, together, strict=True)) <= 1

    found[2].save(tmp_path / "star.png")
    settings = Settings.from_metadata(tmp_path / "star.png")
    assert settings == found[2].settings
    assert settings.sampler == type(task.model.scheduler).__name__ == found[2].to_dict()["sampler"]
    (again,) = task.generate_all([settings])
    assert again.to_png() == found[2].to_png()


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_depend_on_the_seed_alone_too(name, tmp_path):
    """Also where the scheduler draws noise in each step."""
    VARIANTS[name]().save_pretrained(tmp_path / name)
    task = load_generator(tmp_path / name)
    log = []
    found = task.generate("a red star", n=2, seed=5, **SMALL, callback=lambda *steps: log.append(steps))
    assert log == [(i, 4) for i in range(1, 5)]
    together = list(task.generate_all([picture.settings for picture in found], batch=2))
    assert max(np.abs(pixels(a) - pixels(b)).max() for a, b in zip(found, together, strict=True)) <= 1
    assert (pixels(found[0]) != pixels(found[1])).any()
    assert task.guidance.negative == (name != "lcm")


def test_default_steps_guidance_and_size_are_the_pipelines(tasks):
    found = {name: tasks(name) for name in FAMILIES}
    sampling = {name: (task.default_sampling.steps, task.default_sampling.guidance) for name, task in found.items()}
    assert sampling == {"unet": (50, 7.5), "sd3": (28, 7.0), "flux": (28, 3.5), "pixart": (20, 4.5)}
    assert {name: task.default_size for name, task in found.items()} == {
        "unet": (16, 16), "sd3": (16, 16), "flux": (256, 256), "pixart": (16, 16),
    }  # fmt: skip
    settings = found["unet"].settings("a star", height=10)
    assert (settings.size, settings.sampling, settings.scheduler) == ((10, 16), Sampling(50, 7.5), "DDIMScheduler")
    assert found["unet"].unknown_words("a zzz") == []
    assert found["unet"].parameters == sum(
        p.numel() for part in (found["unet"].model.unet, found["unet"].model.vae, found["unet"].model.text_encoder)
        for p in part.parameters()
    )  # fmt: skip


@pytest.mark.parametrize("name", ["unet", "sd3", "pixart"])
def test_guidance_is_classifier_free(tasks, name):
    """The same as the pipeline's, and a negative prompt has an effect where the scale is above 1."""
    task = tasks(name)
    given = {"seed": 3, **SMALL}
    pictures = {
        (scale, negative): pixels(
            task.generate("a red star", negative_prompt=negative, guidance_scale=scale, **given)[0]
        )
        for scale in (1.0, 4.0)
        for negative in ("", "blue")
    }
    assert (pictures[1.0, ""] == pictures[1.0, "blue"]).all()
    assert (pictures[4.0, ""] != pictures[4.0, "blue"]).any()
    assert not task.notes


def test_guidance_of_flux_goes_into_the_network_or_is_the_true_one(tasks, tmp_path):
    task = tasks("flux")
    assert task.notes == ["guidance of FluxPipeline: g is an input of the network; there is no negative prompt"]
    with pytest.raises(SaccadeError, match="flux takes no negative prompt: its guidance is an input of the network"):
        task.settings("a star", "blue", **SIZE)
    weak, strong = (pixels(task.generate("a", guidance_scale=g, seed=1, **SMALL)[0]) for g in (1.0, 50.0))
    assert (weak != strong).any()

    flux(guidance_embeds=False).save_pretrained(tmp_path / "schnell")
    task = load_generator(tmp_path / "schnell")
    assert task.default_sampling.guidance == 1
    plain, also, guided, blue = (
        pixels(task.generate("a", guidance_scale=g, negative_prompt=negative, seed=1, **SMALL)[0])
        for g, negative in ((1.0, ""), (1.0, "blue"), (5.0, ""), (5.0, "blue"))
    )
    assert (plain == also).all()
    assert (plain != guided).any()
    assert (guided != blue).any()


def test_progress_of_a_scheduler_with_more_evaluations_than_steps(tmp_path):
    scheduler = diffusers.HeunDiscreteScheduler()
    stable_diffusion(scheduler).save_pretrained(tmp_path / "heun")
    log = []
    load_generator(tmp_path / "heun").generate("a", n=2, seed=1, **SMALL, callback=lambda *steps: log.append(steps))
    assert log[-1] == (4, 4)
    assert log == sorted(log)


def test_the_digest_is_of_weights_and_scheduler(tasks, tmp_path):
    task = tasks("unet")
    assert len(task.digest) == 10
    pipe = stable_diffusion()
    pipe.save_pretrained(tmp_path / "same")
    assert load_generator(tmp_path / "same").digest == task.digest
    with torch.no_grad():
        pipe.vae.decoder.conv_out.bias[1] += 1e-3
    pipe.save_pretrained(tmp_path / "other")
    assert load_generator(tmp_path / "other").digest != task.digest
    config = tmp_path / "same" / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"beta_end": 0.013}))
    assert load_generator(tmp_path / "same").digest != task.digest


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"prompt": " "}, DataError, "the prompt is empty"),
        ({"prompt": "a (red:1.5) star"}, DataError, "has weights, which unet does not take"),
        ({"prompt": "a", "negative": "[b]"}, DataError, "the negative prompt .* has weights"),
        ({"prompt": "a (red"}, DataError, "without its partner"),
        ({"prompt": "abc " * 4}, DataError, "the prompt has 14 tokens; unet takes 13"),
        ({"prompt": "a", "negative": "b " * 12}, DataError, "the negative prompt has 14 tokens"),
        ({"prompt": "a", "seed": -1}, SaccadeError, "the seed -1 is out of range"),
        ({"prompt": "a", "width": 17}, SaccadeError, "17 x 16 pixels: multiples of 2"),
        ({"prompt": "a", "height": 0}, SaccadeError, "16 x 0 pixels"),
        ({"prompt": "a", "sampling": Sampling(sampler="heun")}, SaccadeError, "sampled by its own DDIMScheduler"),
        ({"prompt": "a", "sampling": Sampling(interval=(0.5, 1))}, SaccadeError, "without a guidance interval"),
    ],
)
def test_bad_requests(tasks, given, error, message):
    with pytest.raises(error, match=message):
        tasks("unet").settings(**given)


def test_plain_brackets_reach_the_pipeline(tasks):
    settings = tasks("unet").settings(r"a \(red\) star", **SIZE)
    assert tasks("unet")._options([settings], SourceImages())["prompt"] == ["a (red) star"]


def test_sizes_lie_in_patches(tasks):
    for name, multiple in (("flux", 4), ("sd3", 2), ("pixart", 4)):
        with pytest.raises(SaccadeError, match=f"a size of 21 x 12 pixels: multiples of {multiple}, from"):
            tasks(name).settings("a", height=12, width=21)


def test_what_fails_is_named_in_one_line(tasks, monkeypatch):
    task = tasks("unet")
    with pytest.raises(SaccadeError, match="0 pictures were requested"):
        task.generate("a", n=0)
    with pytest.raises(SaccadeError, match=r"^unet cannot paint this: `height` and `width` have to be divisible by 8"):
        task.generate("a", height=10)
    settings = task.settings("a", sampling=Sampling(2, 4.0), **SIZE)
    with monkeypatch.context() as patch:
        patch.setattr(task.model, "encode_prompt", lambda *a, **k: 1 / 0)
        with pytest.raises(SaccadeError, match=r"^unet cannot paint this: division by zero$"):
            next(task.generate_all([settings]))
    with monkeypatch.context() as patch:
        patch.setattr(task.model.vae.decoder.conv_out.bias, "data", torch.tensor([torch.nan] * 3))
        with pytest.raises(SaccadeError, match="the output of unet is not a number"):
            next(task.generate_all([settings]))
    with monkeypatch.context() as patch:
        checked = lambda image, *rest: (image, [True])  # noqa: E731
        patch.setattr(task.model, "run_safety_checker", checked)
        with pytest.raises(SaccadeError, match="safety checker of unet blanked the picture of seed 9"):
            next(task.generate_all([replace(settings, seed=9)]))
    with pytest.raises(SaccadeError, match="unet cannot keep the layout of another prompt"):
        next(task.generate_all([replace(settings, layout=Layout("b"))]))
    with pytest.raises(KeyboardInterrupt):
        list(task.generate_all([settings], interrupt))


def interrupt(done, steps):
    raise KeyboardInterrupt


def copied(folder, place):
    shutil.copytree(folder, place)
    return place


def edited(folder, file, change):
    path = folder / file
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    return folder


BAD_INDEX = {
    "custom": ({"_class_name": ["pipeline", "MyPipeline"]}, "a pipeline with code of its own, which is refused"),
    "other": ({"_class_name": "AudioLDMPipeline"}, "AudioLDMPipeline, not a pipeline that can be used"),
    "part": ({"unet": ["my_unet", "MyUNet"]}, "its unet is MyUNet of my_unet, code that is not part of diffusers"),
    "path": ({"../unet": ["diffusers", "UNet2DConditionModel"]}, r"its ../unet is UNet2DConditionModel of diffusers"),
    "absent": ({"upscaler": ["diffusers", "AutoencoderKL"]}, "its upscaler is missing"),
    "class": ({"unet": ["diffusers", "NoSuchModel"]}, "diffusers cannot load it"),
}


@pytest.mark.parametrize("case", BAD_INDEX)
def test_pipelines_with_code_or_of_another_kind_are_refused(folders, tmp_path, case):
    change, message = BAD_INDEX[case]
    folder = edited(copied(folders("unet"), tmp_path / "p"), "model_index.json", lambda index: index | change)
    (folder / "pipeline.py").write_text("raise SystemError('it ran')")
    (folder / "unet" / "my_unet.py").write_text("raise SystemError('it ran')")
    with pytest.raises(CheckpointError, match=message) as error:
        load_generator(folder)
    assert "\n" not in str(error.value)


def test_a_pipeline_reads_no_pictures(folders):
    for spec in (folders("unet"), f"diffusers:{folders('unet')}"):
        assert is_generator(spec)
        task = load(spec)
        assert isinstance(task, PublicGenerateTask)
        for predict in (task.predict, task.predict_all):
            with pytest.raises(SaccadeError, match="unet paints pictures and reads none: use saccade generate"):
                predict(["a.png"])


def test_damaged_folders(folders, tmp_path):
    unet = "unet/diffusion_pytorch_model.safetensors"
    folder = copied(folders("unet"), tmp_path / "pickled")
    torch.save(load_file(folder / unet), folder / "unet" / "diffusion_pytorch_model.bin")
    (folder / unet).unlink()
    with pytest.raises(CheckpointError, match=r"its unet has only diffusion_pytorch_model\.bin, a pickle"):
        load_generator(folder)

    folder = copied(folders("unet"), tmp_path / "missing")
    weights = load_file(folder / unet)
    del weights["conv_in.weight"]
    save_file(weights, folder / unet, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 weights are missing or misshapen, such as conv_in\.weight"):
        load_generator(folder)

    folder = copied(folders("unet"), tmp_path / "cut")
    (folder / unet).write_bytes((folder / unet).read_bytes()[:900])
    with pytest.raises(CheckpointError, match="cut: diffusers cannot load it"):
        load_generator(folder)

    folder = copied(folders("unet"), tmp_path / "shards")
    index = {"weight_map": {"a": "diffusion_pytorch_model.safetensors", "b": "part-2.safetensors"}}
    (folder / f"{unet}.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"its unet is incomplete: part-2.safetensors is missing"):
        load_generator(folder)

    folder = copied(folders("unet"), tmp_path / "kernels")
    edited(folder, "text_encoder/config.json", lambda config: config | {"_attn_implementation": "someone/kernels"})
    with pytest.raises(CheckpointError, match="its text_encoder needs code for its attention, someone/kernels"):
        load_generator(folder)


def unreachable(*args, **kwargs):
    raise OSError("no network")


def test_names_without_a_pipeline(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match=r"diffusers:.*nothing: there is no model_index.json"):
        load_generator(f"diffusers:{tmp_path / 'nothing'}")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    with pytest.raises(
        CheckpointError,
        match=r"some/one: its pipeline is not in the local cache .* \(no network\)",
    ):
        load_generator("hf:some/one")
    with pytest.raises(CheckpointError, match=r"could not be fetched"):
        load_generator("hf:not a name")


def test_a_pipeline_in_the_hubs_cache_is_used_as_it_is(folders, tmp_path, monkeypatch):
    repo = tmp_path / "models--some--one"
    shutil.copytree(folders("unet"), repo / "snapshots" / "abc")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)

    def network(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", network)
    monkeypatch.setattr("huggingface_hub.snapshot_download", network)
    task = load_generator("hf:some/one")
    assert task.name == "some/one"
