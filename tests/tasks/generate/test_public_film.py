"""Public pipelines that make films, tiny and with random weights, beside diffusers' own calls."""

import inspect
import json
import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.checkpoints.film_pipeline_classes import FILM_PIPELINES, _whole_tubes, film_pipeline_spec
from saccade.checkpoints.pipeline_classes import PICTURE_INPUTS
from saccade.checkpoints.pipelines import load_pipeline
from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.tasks.generate.film import KnownFrames
from saccade.tasks.generate.film_settings import FilmSettings
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.public_film import PublicFilmTask, load_film_pipeline
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.settings import Layout, Settings

from .film_pipelines import FILM_VARIANTS, FILMS, IMAGE_FILMS, WORDS, wan_latents
from .pipelines import diffusers, stable_diffusion

pytestmark = pytest.mark.filterwarnings("ignore")
PROMPT = "a red star"
FRAMES = 9
HEIGHT, WIDTH = 32, 64
FAST = Sampling(2, 4.0)
BUILD = FILMS | FILM_VARIANTS | IMAGE_FILMS
FPS = {"wan": 16, "ltx": 25, "cogvideox": 8, "stages": 16, "masked": 24, "tubes": 16, "wan_image": 16, "ltx_image": 25}


@pytest.fixture(autouse=True)
def text_fixing(monkeypatch):
    """Wan's prompts go through ftfy, which the tests do without."""
    if "ftfy" not in sys.modules:
        plain = SimpleNamespace(fix_text=lambda text: text, __spec__=SimpleNamespace())
        monkeypatch.setitem(sys.modules, "ftfy", plain)
        monkeypatch.setattr("diffusers.pipelines.wan.pipeline_wan_i2v.ftfy", plain, raising=False)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    loaded = {}

    def task(name) -> PublicFilmTask:
        if name not in loaded:
            folder = tmp_path_factory.mktemp("pipelines") / name
            BUILD[name]().save_pretrained(folder)
            loaded[name] = load_film_pipeline(f"diffusers:{folder}")
        return loaded[name]

    return task


def picture(height=HEIGHT, width=WIDTH, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def known_of(name, image=None, last=None):
    """The picture that a film begins with, where the pipeline needs one."""
    if name not in IMAGE_FILMS and image is None:
        return KnownFrames()
    return KnownFrames.of(SourceImage.read(image or picture()), None if last is None else SourceImage.read(last))


def settings(task, known=None, frames=FRAMES, fps=None, prompt=PROMPT, negative="", seed=6, sampling=FAST, **size):
    size = {"height": HEIGHT, "width": WIDTH} | size
    film = task.film_settings(frames, fps, known)
    return task.settings(prompt, negative, seed, sampling, **size, film=film)


def directly(pipeline, seed=6, frames=FRAMES, **options):
    """Frames, 0 to 255, by a call of the pipeline itself."""
    if getattr(pipeline.transformer.config, "max_text_seq_length", None):
        options |= {"max_sequence_length": WORDS}
    usual = {"prompt": PROMPT, "height": HEIGHT, "width": WIDTH, "num_inference_steps": 2, "guidance_scale": 4.0}
    generator = torch.Generator().manual_seed(seed)
    made = pipeline(num_frames=frames, generator=generator, output_type="np", **(usual | options)).frames[0]
    return (made * 255).round()


def pixels(film):
    return np.stack([np.asarray(frame) for frame in film.frames])


@pytest.mark.parametrize("name", BUILD)
def test_a_film_is_that_of_the_pipeline(tasks, name):
    task, known, log = tasks(name), known_of(name), []
    given = [settings(task, known, seed=seed) for seed in (5, 6)]
    first, second = task.generate_films(given, known, callback=lambda *steps: log.append(steps))
    assert log == [(i, 4) for i in range(1, 5)]
    assert (pixels(first) != pixels(second)).mean() > 0.2
    image = {"image": picture()} if known.before else {}
    np.testing.assert_array_equal(pixels(second), directly(task.model, **image))
    assert pixels(second).shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert (second.settings, second.fps, second.seed) == (given[1], FPS.get(name, 8), 6)


def test_generate_takes_the_names_of_diffusers(tasks):
    options = {"num_inference_steps": 2, "guidance_scale": 4.0, "height": HEIGHT, "width": WIDTH, "num_frames": FRAMES}
    first, second = tasks("ltx").generate(PROMPT, negative_prompt="blue", n=2, seed=5, fps=50, **options)
    np.testing.assert_array_equal(pixels(second), directly(tasks("ltx").model, frame_rate=50, negative_prompt="blue"))
    assert (first.seed, second.seed, second.fps) == (5, 6, 50)
    [begun] = tasks("ltx").generate(PROMPT, seed=6, image=picture(40, 80), **options | {"width": None})
    assert begun.frames[0].size == (WIDTH, HEIGHT)
    assert begun.settings.film.first is not None


@pytest.mark.parametrize("name", FILMS)
def test_settings_survive_their_text_and_give_the_same_film(tasks, name):
    task = tasks(name)
    given = settings(task, negative="blue", fps=12.5)
    read = Settings.parse(str(given))
    assert (read, read.sampler) == (given, type(task.model.scheduler).__name__)
    films = list(task.generate_films([given, read]))
    np.testing.assert_array_equal(pixels(films[0]), pixels(films[1]))
    rate = {"frame_rate": 12.5} if name == "ltx" else {}
    np.testing.assert_array_equal(pixels(films[0]), directly(task.model, negative_prompt="blue", **rate))


def test_a_file_of_a_film_says_how_to_make_it_again(tasks, tmp_path):
    task, known = tasks("ltx_image"), known_of("ltx_image")
    [film] = task.generate_films([settings(task, known, fps=12.5)], known)
    film.save(tmp_path / "film.webp")
    read = Settings.from_metadata(tmp_path / "film.webp")
    assert (read, read.frames, read.film.fps) == (film.settings, FRAMES, 12.5)
    [again] = task.generate_films([read], known)
    np.testing.assert_array_equal(pixels(again), pixels(film))


@pytest.mark.parametrize("name", FILMS)
def test_guidance_is_classifier_free(tasks, name):
    task = tasks(name)
    cases = [(1.0, ""), (1.0, "blue"), (4.0, ""), (4.0, "blue")]
    given = [settings(task, negative=negative, sampling=Sampling(1, scale)) for scale, negative in cases]
    plain, also, guided, blue = map(pixels, task.generate_films(given))
    assert (plain == also).all()
    assert (plain != guided).any()
    assert (guided != blue).any()
    assert task.guidance.negative
    assert not task.notes


@pytest.mark.parametrize("name", ["ltx", "masked"])
def test_one_set_of_networks_serves_text_and_a_first_frame(tasks, name):
    task, known = tasks(name), known_of(name, picture())
    other = task.image_to_video_task(known.settings(FRAMES, 25))
    assert other is task.image_to_video_task(known.settings(FRAMES, 8))
    assert task.image_to_video_task(task.film_settings()) is task
    assert other.image_to_video_task(known.settings(FRAMES, 25)) is other
    assert other.model.transformer is task.model.transformer
    assert PublicFilmTask.digest.func(other) == task.digest
    [begun] = task.generate_films([settings(task, known)], known)
    [free] = task.generate_films([settings(task)])
    np.testing.assert_array_equal(pixels(begun), directly(other.model, image=picture()))
    assert (pixels(begun) != pixels(free)).mean() > 0.2


def test_a_last_frame(tmp_path):
    """Wan's networks with noise in all frames take one, where they do not read pictures beside the text."""
    task = load_film_pipeline(save(wan_latents(), tmp_path / "wan"))
    known = known_of("wan", picture(), picture(seed=1))
    [film] = task.generate_films([settings(task, known)], known)
    np.testing.assert_array_equal(pixels(film), directly(task.model, image=picture(), last_image=picture(seed=1)))
    assert (pixels(film) != directly(task.model, image=picture())).any()


def test_the_image_is_resized_to_the_film(tasks):
    task, image = tasks("ltx_image"), picture(40, 90)
    known = known_of("ltx_image", image)
    assert task.fit_size(known) == (416, 896)
    assert task.fit_size(known, height=32) == (32, 64)
    assert task.fit_size(KnownFrames(), width=32) == (None, 32)
    [film] = task.generate_films([settings(task, known)], known)
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(pixels(film), directly(task.model, image=image))


def test_the_frames_a_second_go_into_the_network_that_reads_them(tasks):
    for name, differs in (("ltx", True), ("wan", False), ("cogvideox", False)):
        task = tasks(name)
        slow, fast = task.generate_films([settings(task, fps=fps, sampling=Sampling(1, 1.0)) for fps in (5, 50)])
        assert (pixels(slow) != pixels(fast)).any() == differs


def test_defaults_are_the_pipelines(tasks):
    found = {name: tasks(name) for name in FILMS}
    assert {name: (task.default_frames, task.default_size) for name, task in found.items()} == {
        "wan": (81, (480, 832)), "ltx": (161, (512, 704)), "cogvideox": (9, (32, 32)),
    }  # fmt: skip
    sampling = {name: (task.default_sampling.steps, task.default_sampling.guidance) for name, task in found.items()}
    assert sampling == {"wan": (50, 5.0), "ltx": (50, 3.0), "cogvideox": (50, 6.0)}
    assert found["wan"].film_settings() == FilmSettings(81, 16.0)
    assert found["ltx"].film_settings(9) == FilmSettings(9, 25.0)
    assert settings(found["wan"], frames=None).film == FilmSettings(81, 16.0)
    assert found["wan"].unknown_words("a zzz") == []


# -- lengths and sizes -------------------------------------------------------------------------------------------------

# What diffusers makes of a number of frames: the number itself, or another without an error. CogVideoX makes 8 of 8 by
# 4 frames of the first latent frame, which holds one.
MADE = {
    "wan": {1: 1, 3: 1, 4: 5, 5: 5, 7: 5, 8: 9, 9: 9},
    "ltx": {1: 1, 5: 1, 8: 1, 9: 9, 13: 9, 17: 17},
    "cogvideox": {1: 1, 4: 1, 5: 8, 8: 8, 9: 9, 12: 9, 13: 16, 17: 17},
    "tubes": {1: 1, 5: 8, 9: 9, 13: 16},
}


@pytest.mark.parametrize("name", MADE)
def test_a_number_of_frames_that_diffusers_rounds_is_refused(tasks, name):
    task = tasks(name)
    options = {"num_inference_steps": 1, "height": 32, "width": 32, "guidance_scale": 1.0}
    assert all(task.geometry.fits(frames) == (frames == made) for frames, made in MADE[name].items() if frames != 8)
    assert {frames: len(directly(task.model, frames=frames, **options)) for frames in MADE[name]} == MADE[name]
    for frames in range(1, 34):
        assert task.geometry.fits(frames) == ((frames - 1) % (4 if name == "wan" else 8) == 0)
        if not task.geometry.fits(frames):
            below, above = task.geometry.nearest_frame_counts(frames)
            assert below < frames < above
            assert task.geometry.fits(below)
            assert task.geometry.fits(above)
            nearest = above if below == 1 else f"{below} or {above}"
            with pytest.raises(SaccadeError, match=f"a film of {frames} frames: {name} makes .*: use {nearest}$"):
                settings(task, frames=frames)


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (0, None, "a film of 0 frames was requested; 2 to 10000 expected"),
        (1, None, "a film of 1 frames was requested"),
        (2, None, r"a film of 2 frames: wan makes 5, 9, 13 and so on, each 4 more: use 5$"),
        (10000, None, "use 9997 or 10001"),
        (9, 0.0, "0 frames a second were requested"),
        (9, math.nan, "nan frames a second"),
    ],
)
def test_lengths_that_are_refused(tasks, frames, fps, message):
    with pytest.raises(SaccadeError, match=message):
        settings(tasks("wan"), frames=frames, fps=fps)


def test_tubes_of_several_latent_frames(tasks):
    """A network of Wan whose tokens are 3 latent frames: 9, 21, 33 frames."""
    geometry = _whole_tubes(4, 8, (3, 2, 2), 16)
    assert [n for n in range(1, 40) if geometry.fits(n)] == [9, 21, 33]
    assert geometry.nearest_frame_counts(4) == [9]
    assert geometry.grid(21, (32, 48)) == (2, 2, 3)
    assert geometry.spans(21) == [range(0, 9), range(9, 21)]


@pytest.mark.parametrize(
    ("name", "size", "multiple"), [("wan", (32, 40), 16), ("ltx", (48, 64), 32), ("cogvideox", (24, 32), 16)]
)
def test_sizes_are_multiples(tasks, name, size, multiple):
    for wrong in (size, (0, 64)):
        with pytest.raises(SaccadeError, match=f"multiples of {multiple} x {multiple}, from there on, are expected"):
            settings(tasks(name), height=wrong[0], width=wrong[1])


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"prompt": " "}, DataError, "the prompt is empty"),
        ({"prompt": "a (red:1.5) star"}, DataError, "has weights, which cogvideox does not take"),
        ({"prompt": "abc " * 6}, DataError, "the prompt has .. tokens; cogvideox takes 16"),
        ({"seed": -1}, SaccadeError, "the seed -1 is out of range"),
        ({"sampling": Sampling(sampler="heun")}, SaccadeError, "sampled by its own CogVideoXDDIMScheduler"),
        ({"known": KnownFrames.of(SourceImage.read(picture()))}, SaccadeError, "whose networks begin with no picture"),
        ({"known": KnownFrames((picture(),), film=True)}, SaccadeError, "which goes on from no film"),
    ],
)
def test_bad_requests(tasks, given, error, message):
    with pytest.raises(error, match=message) as found:
        settings(tasks("cogvideox"), **given)
    assert "\n" not in str(found.value)


def test_known_frames_that_are_refused(tasks):
    known, last = known_of("wan_image"), known_of("wan_image", last=picture(seed=1))
    for name in ("wan", "stages", "cogvideox"):
        with pytest.raises(SaccadeError, match="whose networks begin with no picture: leave the image out"):
            settings(tasks(name), known)
    with pytest.raises(SaccadeError, match="is a WanImageToVideoPipeline, which begins with a picture: give an image"):
        settings(tasks("wan_image"))
    for name in ("wan_image", "ltx_image", "cogvideox_image", "ltx", "masked"):
        with pytest.raises(SaccadeError, match="which takes no last frame: leave it out"):
            settings(tasks(name), last)
    for originals in (SourceImages(SourceImage.read(picture())), SourceImages(style=SourceImage.read(picture()))):
        with pytest.raises(SaccadeError, match="takes no strength and no style: an image is the first frame of a film"):
            tasks("ltx_image").settings(PROMPT, originals=originals)
    given = settings(tasks("ltx_image"), known)
    for other, what in ((KnownFrames(), "none is given"), (known_of("ltx_image", picture(seed=2)), "is given")):
        with pytest.raises(SaccadeError, match=f"the settings have the first frame .*{what}"):
            next(tasks("ltx_image").generate_films([given], other))


def test_what_fails_is_named_in_one_line(tasks, monkeypatch):
    task = tasks("wan")
    given = settings(task)
    with pytest.raises(SaccadeError, match="takes no layout of another prompt, no style and no picture"):
        next(task.generate_films([replace(given, layout=Layout("b"))]))
    with pytest.raises(SaccadeError, match="a film of 8 frames"):
        next(task.generate_films([replace(given, film=FilmSettings(8))]))
    with pytest.raises(SaccadeError, match="the settings are those of a picture"):
        next(task.generate_films([replace(given, film=None)]))
    with monkeypatch.context() as patch:
        patch.setattr(task.model, "encode_prompt", lambda *a, **k: 1 / 0)
        with pytest.raises(SaccadeError, match=r"^wan cannot paint this: division by zero$"):
            next(task.generate_films([given]))
    with monkeypatch.context() as patch:
        patch.setattr(task.model.vae.decoder.conv_out.bias, "data", torch.full((3,), torch.nan))
        with pytest.raises(SaccadeError, match="the output of wan is not a number"):
            next(task.generate_films([given]))
    with monkeypatch.context() as patch:
        patch.setattr(type(task.geometry), "fits", lambda self, frames: True)
        with pytest.raises(SaccadeError, match="wan made 9 frames of 64 x 32 pixels instead of 8 of 64 x 32"):
            next(task.generate_films([replace(given, film=FilmSettings(8))]))
    with pytest.raises(KeyboardInterrupt):
        list(task.generate_films([given], callback=interrupt))


def interrupt(done, steps):
    raise KeyboardInterrupt


def test_a_missing_package_is_named(tasks, monkeypatch):
    task, known = tasks("wan_image"), known_of("wan_image")
    given = settings(task, known)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SaccadeError, match="diffusers needs the package ftfy: pip install ftfy"):
        next(task.generate_films([given], known))


def test_pictures_and_films_are_not_taken_for_one_another(tasks, tmp_path):
    with pytest.raises(CheckpointError, match="is a LTXPipeline, which makes films and no pictures: load it with"):
        PublicGenerateTask(load_pipeline(save(FILMS["ltx"](), tmp_path / "ltx")))
    with pytest.raises(CheckpointError, match=r"makes no films; expected one of WanPipeline, .*CogVideoXImageToVideo"):
        load_film_pipeline(save(stable_diffusion(), tmp_path / "unet"))
    folder = save(FILMS["ltx"](), tmp_path / "other")
    index = tmp_path / "other" / "model_index.json"
    for kind, message in (
        ("MochiPipeline", r"is a MochiPipeline, not a pipeline that can be used here; expected one of .*WanPipeline"),
        (["pipeline", "LTXPipeline"], "a pipeline with code of its own, which is refused"),
    ):
        index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": kind}))
        with pytest.raises(CheckpointError, match=message) as error:
            load_film_pipeline(folder)
        assert "\n" not in str(error.value)


def test_pickled_weights_are_refused(tmp_path):
    FILMS["wan"]().save_pretrained(tmp_path / "wan", safe_serialization=False)
    with pytest.raises(CheckpointError, match=r"has only .*\.bin, a pickle"):
        load_film_pipeline(tmp_path / "wan")


def test_films_read_no_pictures(tasks):
    with pytest.raises(SaccadeError, match="paints pictures and reads none"):
        tasks("wan").predict("a.png")


def save(pipeline, folder):
    pipeline.save_pretrained(folder)
    return folder


# -- tables ------------------------------------------------------------------------------------------------------------


def test_tables_agree_with_diffusers():
    for kind, film in FILM_PIPELINES.items():
        arguments = inspect.signature(getattr(diffusers, kind).__call__).parameters
        assert {"num_frames", "height", "width", "guidance_scale", "negative_prompt", "max_sequence_length"} <= set(
            arguments
        )
        assert ("frame_rate" in arguments) == (film.rate == "frame_rate")
        assert ("image" in arguments) == (kind in PICTURE_INPUTS)
        assert arguments["output_type"].default in ("np", "pil")
    assert film_pipeline_spec(SimpleNamespace()) is None


def test_frames_of_a_film_by_frames_of_tokens(tasks):
    assert tasks("wan").geometry.spans(9) == [range(0, 1), range(1, 5), range(5, 9)]
    assert tasks("ltx").geometry.spans(17) == [range(0, 1), range(1, 9), range(9, 17)]
    # Three latent frames are four with one before the first, which is not shown.
    assert tasks("tubes").geometry.spans(9) == [range(0, 1), range(1, 9)]
    assert tasks("tubes").geometry.grid(9, (32, 64)) == (2, 2, 4)
    for name in BUILD:
        geometry = tasks(name).geometry
        for frames in (1, 9, 17):
            spans = geometry.spans(frames)
            assert len(spans) == geometry.grid(frames, (32, 32))[0]
            assert [frame for span in spans for frame in span] == list(range(frames))
