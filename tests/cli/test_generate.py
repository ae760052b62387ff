"""`saccade generate`, from a prompt to a PNG and back."""

import json
import os
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from saccade.data.scenes import Scenes
from saccade.tasks.generate.sample import Sampler, Sampling
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask

from ..tasks.generate import generators

RED = "a red star"


@pytest.fixture
def painter(tmp_path):
    generators.task().save(tmp_path / "toy", words=["a", "red", "star"])
    return tmp_path / "toy"


@pytest.fixture
def paint(saccade, painter):
    """paint("a red star", ...) -> the completed command, in 2 steps."""
    return lambda *arguments: saccade("generate", *arguments, "--model", painter, "--steps", 2)


def test_a_picture_with_its_settings(paint, tmp_path):
    done = paint(RED, "--seed", 7)
    assert (done.code, done.err) == (0, "")
    assert done.out == 'generated.png: "a red star", seed 7, 56 x 40 pixels\n'
    with Image.open(tmp_path / "generated.png") as picture:
        assert picture.size == (56, 40)
        assert "Steps: 2, Sampler: Euler, CFG scale: 3, " in picture.info["parameters"]
    expected = Settings(RED, 7, (40, 56), sampling=Sampling(2), model="toy", digest=generators.task().digest)
    assert Settings.from_metadata(tmp_path / "generated.png") == expected


def test_nothing_is_overwritten_by_default(paint, tmp_path):
    for name in ("generated.png", "generated-1.png", "generated-2.png"):
        assert name in paint(RED).out
    contents = {(tmp_path / f"generated{i}.png").read_bytes() for i in ("", "-1", "-2")}
    assert len(contents) == 3, "each has a seed of its own"
    for name in ("generated", "generated-1"):
        assert name in paint(RED, "--n", 2).out
        assert sorted(os.listdir(tmp_path / name)) == ["0.png", "1.png"]


def test_several_pictures_and_their_sheet(paint, tmp_path):
    done = paint(RED, "--n", 5, "--seed", 3, "--out", "stars", "--grid", "sheet.png")
    assert (done.code, done.err) == (0, "")
    assert 'stars: 5 pictures, the first "a red star", seed 3' in done.out
    assert "sheet.png" in done.out
    assert sorted(os.listdir(tmp_path / "stars")) == [f"{i}.png" for i in range(5)]
    paint(RED, "--seed", 5, "--out", "alone.png")
    alone, third = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("alone.png", "stars/2.png"))
    assert np.abs(alone - third).max() <= 1
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 44 + 4, 3 * 60 + 4, 3)
    assert np.array_equal(sheet[4:44, 124:180], third), "the third is in the third column"
    assert (sheet[48:, 124:] == 255).all(), "five leave one place empty"


def test_the_sheet_may_lie_beside_the_pictures(paint, tmp_path):
    assert paint(RED, "--n", 2, "--out", "stars", "--grid", "stars/all.png").code == 0
    assert sorted(os.listdir(tmp_path / "stars")) == ["0.png", "1.png", "all.png"]


def test_json(paint):
    found = json.loads(paint("a (red:1.5) zebra", "--n", 2, "--seed", 1, "--json", "--negative", "blue").out)
    assert [each["path"] for each in found["pictures"]] == ["generated/0.png", "generated/1.png"]
    assert [each["seed"] for each in found["pictures"]] == [1, 2]
    assert found["pictures"][0]["prompt"] == "a (red:1.5) zebra"
    assert found["pictures"][0]["num_inference_steps"] == 2
    assert found["unknown_words"] == ["zebra", "blue"]


def test_words_that_training_did_not_have_are_named(paint):
    assert 'toy was trained without "zebra"' in paint("a red zebra").err
    assert paint(RED).err == ""


def test_like_gives_the_same_bytes(saccade, painter, tmp_path):
    options = ("--guidance", 2.5, "--guidance-interval", 0.1, 0.9, "--sampler", "heun", "--steps", 3, "--height", 24)
    first = saccade("generate", "a (red:1.5) star", *options, "--negative", "red", "--model", painter, "--out", "a.png")
    assert (first.code, first.err) == (0, "")
    again = saccade("generate", "--like", "a.png", "--model", painter, "--out", "b.png")
    assert (again.code, again.err) == (0, "")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    one, other = Settings.from_metadata(tmp_path / "a.png"), "c.png"
    saccade("generate", "a star", "--like", "a.png", "--model", painter, "--out", other, "--steps", 2, "--width", 16)
    changed = Settings.from_metadata(tmp_path / other)
    assert (changed.prompt, changed.sampling.steps, changed.size) == ("a star", 2, (24, 16))
    assert (changed.seed, changed.negative, changed.sampling.interval) == (one.seed, "red", (0.1, 0.9))


def test_like_of_another_model_is_said(saccade, painter, paint, tmp_path):
    paint(RED, "--out", "a.png")
    other = generators.task()
    other.model.out.first.bias.data += 0.1
    other.save(tmp_path / "other")
    done = saccade("generate", "--like", "a.png", "--model", "other")
    assert done.code == 0
    assert "the settings are of the model toy, " in done.err
    assert "other, " in done.err


def test_bf16_is_kept_in_the_settings(paint, tmp_path):
    assert paint(RED, "--out", "half.png", "--precision", "bf16", "--seed", 1).code == 0
    assert Settings.from_metadata(tmp_path / "half.png").precision == "bf16"
    assert paint("--like", "half.png", "--out", "again.png").code == 0
    assert (tmp_path / "half.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    paint(RED, "--out", "whole.png", "--seed", 1)
    half, whole = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("half", "whole"))
    assert 0 < np.abs(half - whole).mean() < 8


def test_an_interrupt_keeps_what_is_done(paint, tmp_path, monkeypatch):
    painted = GenerateTask.generate_all

    def interrupted(self, settings, callback=None, **options):
        yield from list(painted(self, settings, callback))[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(GenerateTask, "generate_all", interrupted)
    done = paint(RED, "--n", 4, "--out", "stars", "--grid", "sheet.png")
    assert done.code == 130
    assert done.err == "saccade: interrupted\n"
    assert "stars: 2 of 4 pictures" in done.out
    assert sorted(os.listdir(tmp_path / "stars")) == ["0.png", "1.png"]
    assert (tmp_path / "sheet.png").exists()


def test_a_full_disk_leaves_no_half_of_a_picture(paint, tmp_path, monkeypatch):
    replace, written = os.replace, []

    def full(source, target):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    done = paint(RED, "--n", 4, "--out", "stars")
    assert done.code == 1
    why = "(No space left on device), nothing of it is left; free some space or choose another path"
    assert done.line == f"saccade: stars/2.png cannot be written there {why}"
    assert sorted(os.listdir(tmp_path / "stars")) == ["0.png", "1.png"]


@pytest.fixture
def photo(tmp_path):
    """photo.png, 112 x 80 pixels, and hole.png, white in a part of it."""
    pixels = np.random.default_rng(0).integers(0, 256, (80, 112, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    mask = Image.new("L", (112, 80))
    mask.paste(255, (30, 20, 75, 61))
    mask.save(tmp_path / "hole.png")
    return pixels


def test_a_picture_from_a_picture_and_again(paint, photo, tmp_path):
    done = paint(RED, "--image", "photo.png", "--strength", 0.4, "--seed", 3, "--out", "a.png")
    assert done.code == 0
    assert done.err == "note: photo.png, 112 x 80 pixels, is painted at 56 x 40 pixels\n"
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (56, 40)
        assert 'Denoising strength: 0.4, Init image: "photo.png", Init image hash: ' in picture.info["parameters"]
    assert paint("--like", "a.png", "--image", "photo.png", "--out", "b.png").code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "which they do not contain: give it with --image" in paint("--like", "a.png").line
    Image.new("RGB", (50, 90)).save(tmp_path / "other.png")
    changed = paint("--like", "a.png", "--image", "other.png", "--strength", 0, "--out", "c.png")
    assert "is another picture" in changed.err
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (32, 64)
        assert not np.asarray(picture).any()
    assert paint(RED, "--image", "photo.png", "--strength", 0.5, "--look", "look.html").code == 0
    assert (tmp_path / "look.html").stat().st_size > 10_000


def test_a_part_of_a_picture_and_again(paint, photo, tmp_path):
    mask = ("--image", "photo.png", "--mask", "hole.png")
    done = paint(RED, *mask, "--n", 2, "--seed", 3, "--out", "parts", "--json")
    assert done.code == 0
    assert [(each["image"], each["strength"]) for each in json.loads(done.out)["pictures"]] == [("photo.png", 1)] * 2
    first, second = (np.asarray(Image.open(tmp_path / "parts" / f"{i}.png")) for i in range(2))
    outside = np.asarray(Image.open(tmp_path / "hole.png")) == 0
    assert np.array_equal(first[outside], photo[outside])
    assert np.array_equal(second[outside], photo[outside])
    assert (first[~outside] != second[~outside]).mean() > 0.5
    assert "give it with --mask" in paint("--like", "parts/0.png", "--image", "photo.png").line
    assert paint("--like", "parts/0.png", *mask, "--out", "again.png").code == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "again.png")), first)


def test_notes_on_pictures_to_start_from(paint, tmp_path):
    clear = Image.new("RGBA", (56, 40), (255, 0, 0, 90))
    clear.save(tmp_path / "clear.png")
    clear.save(tmp_path / "film.gif", save_all=True, append_images=[Image.new("RGBA", (56, 40), "blue")])
    Image.fromarray(np.arange(56 * 40, dtype=np.uint16).reshape(40, 56)).save(tmp_path / "deep.png")
    for name, note in (
        ("clear.png", "transparency laid on white"),
        ("film.gif", "GIF: its first frame was taken"),
        ("deep.png", "16-bit pixels of which 12 bits are used: scaled from 0..4095"),
    ):
        done = paint(RED, "--image", name, "--strength", 0)
        assert done.code == 0
        assert f"{name}: {note}" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (("--strength", 0.5), 2, "--strength goes with --image"),
        (("--mask", "hole.png"), 2, "--mask goes with --image"),
        (("--image", "none.png"), 1, "none.png does not exist"),
        (("--image", "toy/config.json"), 1, "is not a picture that can be read"),
        (("--image", "photo.png", "--mask", "none.png"), 1, "none.png does not exist"),
        (("--image", "photo.png", "--mask", "small.png"), 1, "small.png has 8 x 8 pixels and photo.png has 112 x 80"),
        (("--image", "small.png", "--mask", "small.png"), 1, "small.png has nothing to paint"),
        (("--image", "photo.png", "--strength", 1.01), 2, "Must be <= 1"),
        (("--image", "photo.png", "--strength", -0.1), 2, "Must be >= 0"),
        (("--image", "photo.png", "--strength", "nan"), 2, "--strength"),
        (("--image", "photo.png", "--strength", 1e-5), 1, "0.001 to 1, or 0"),
        (("--image", "photo.png", "--height", 20), 1, "multiples of 8"),
        (("--image", "photo.png", "--instead", "a star"), 2, "leave it or --image out"),
        (("--image", "photo.png", "--strength", 0, "--look", "a.html"), 2, "--strength 0 paints nothing"),
        (("--image", "photo.png", "--out", "photo.png"), 1, "writing there would destroy it"),
        (("--image", "photo.png", "--mask", "hole.png", "--grid", "hole.png"), 1, "writing there would destroy it"),
    ],
)
def test_mistakes_with_pictures(paint, photo, tmp_path, arguments, code, found):
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    before = sorted(os.listdir(tmp_path))
    done = paint(RED, *arguments)
    assert done.code == code
    assert found in done.line
    assert sorted(os.listdir(tmp_path)) == before, "nothing is left behind"


def test_an_image_and_a_style_that_the_model_attends_to(saccade, photo, tmp_path):
    generators.task(("picture", "masked", "style")).save(tmp_path / "sources")
    model = ("--model", tmp_path / "sources")
    Image.new("RGB", (31, 29), "red").save(tmp_path / "style.png")
    pictures = ("--image", "photo.png", "--style", "style.png")
    given = (*pictures, "--style-strength", 2, "--image-guidance", 1.5, "--style-guidance", 1.25, *model, "--steps", 2)
    done = saccade("generate", *given, "--seed", 3, "--out", "one.png", "--json")
    assert done.code == 0
    [picture] = json.loads(done.out)["pictures"]
    assert (picture["image"], picture["style"], picture["style_strength"]) == ("photo.png", "style.png", 2)
    assert (picture["image_guidance_scale"], picture["style_guidance_scale"]) == (1.5, 1.25)
    assert "strength" not in picture
    again = saccade("generate", "--like", "one.png", *pictures, *model, "--out", "two.png")
    assert (again.code, again.err) == (0, done.err)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    missing = saccade("generate", "--like", "one.png", "--image", "photo.png", *model)
    assert "take the style of style.png, which they do not contain: give it with --style" in missing.line
    alone = saccade("generate", RED, "--style-strength", 2, *model)
    assert "--style-strength goes with --style" in alone.line
    page = saccade("generate", RED, *given, "--look", "page.html")
    assert page.code == 0
    assert "(style)" in (tmp_path / "page.html").read_text()


def test_a_mask_in_words(paint, tmp_path):
    scene = next(
        s for s in map(Scenes(50, 96, 1, objects=(1, 1)).scene, range(50)) if s.description.objects[0][0] == "star"
    )
    Image.fromarray(scene.pixels).save(tmp_path / "scene.png")
    done = paint("a blue ring", "--image", "scene.png", "--mask-of", "the star", "--seed", 1, "--out", "ring.png")
    assert done.code == 0
    painted = np.asarray(Image.open(tmp_path / "ring.png"))
    changed = (painted != scene.pixels).any(axis=2)
    assert changed[scene.semantic > 0].mean() > 0.9
    assert changed.mean() < 0.7
    assert "names no class" in paint(RED, "--image", "scene.png", "--mask-of", "the dog").line
    assert "--mask-of goes with --image" in paint(RED, "--mask-of", "the star").line
    assert "give one of them" in paint(RED, "--image", "scene.png", "--mask", "scene.png", "--mask-of", "the star").line


def test_a_picture_cannot_take_a_layout(paint, photo):
    assert paint(RED, "--instead", "a star", "--out", "a.png").code == 0
    assert "take the layout of another prompt" in paint("--like", "a.png", "--image", "photo.png").line


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        ((), 2, "no prompt was given"),
        ((RED, "--n", 1.5), 2, "--n: 1.5 is not a whole number"),  # cyclopts 5.4 would round it to 2
        ((RED, "--seed", "2.0"), 2, "--seed: 2.0 is not a whole number"),
        (("",), 2, "the prompt is empty"),
        (("  ",), 2, "the prompt is empty"),
        (("( )",), 1, "the prompt has no words"),
        (("word " * 32,), 1, "more than 31: shorten it"),
        (("(red:1.5",), 1, "has a ( without its partner"),
        (("(red:0)",), 1, "have the weight 0"),
        (("(red:-1)",), 1, "a number from 0 to 100 is expected"),
        (("(red:1e9)",), 1, "a number from 0 to 100 is expected"),
        (("(red:nan)",), 1, "a number from 0 to 100 is expected"),
        ((RED, "--height", 20), 1, "a size of 56 x 20 pixels: multiples of 8"),
        ((RED, "--width", 0), 2, "Must be >= 1"),
        ((RED, "--guidance", "nan"), 2, "--guidance"),
        ((RED, "--guidance", -1), 2, "Must be >= 0"),
        ((RED, "--guidance-interval", 0.8, 0.2), 1, "guidance interval 0.8 to 0.2"),
        ((RED, "--sampler", "ddim"), 2, "ddim"),
        ((RED, "--seed", -1), 2, "Must be >= 0"),
        ((RED, "--seed", 2**63), 1, "is out of range"),
        ((RED, "--n", 0), 2, "Must be >= 1"),
        ((RED, "--out", "star.jpg"), 2, "give a name that ends in .png"),
        ((RED, "--out", "no/star.png"), 1, "no is not a folder"),
        ((RED, "--out", "toy"), 2, "ends in .png"),
        ((RED, "--n", 2, "--out", "stars.png"), 2, "with --n 2 a folder is expected"),
        ((RED, "--n", 2, "--out", "toy/config.json"), 2, "with --n 2 a folder is expected"),
        ((RED, "--n", 2, "--out", "no/stars"), 1, "no is not a folder"),
        ((RED, "--grid", "sheet.gif"), 2, "give a name that ends in .png"),
        ((RED, "--grid", "a.png", "--out", "a.png"), 2, "name the same file"),
        ((RED, "--n", 2, "--grid", "stars/0.png", "--out", "stars"), 2, "name the same file"),
        ((RED, "--n", 2, "--grid", "no/all.png", "--out", "stars"), 1, "no is not a folder"),
        (("--like", "none.png"), 1, "none.png does not exist"),
        (("--like", "toy/config.json"), 1, "cannot be read as a picture"),
        (("--like", "plain.png"), 1, "plain.png holds no settings"),
        (("--like", "plain.png", "--out", "plain.png"), 1, "writing there would destroy it"),
        (("--like", "plain.png", "--grid", "plain.png"), 1, "writing there would destroy it"),
    ],
)
def test_mistakes(paint, tmp_path, arguments, code, found):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    before = sorted(os.listdir(tmp_path))
    done = paint(*arguments)
    assert done.code == code
    assert found in done.line
    assert sorted(os.listdir(tmp_path)) == before, "nothing is left behind"


def test_no_steps(saccade, painter):
    assert "Must be >= 1" in saccade("generate", RED, "--model", painter, "--steps", 0).line


def test_models_that_paint_nothing(saccade, model):
    done = saccade("generate", RED, "--model", model)
    assert done.code == 1
    assert "paints no pictures: it is a classify model" in done.line
    assert "there is no model 'nosuch'" in saccade("generate", RED, "--model", "nosuch").line


def test_a_generator_reads_no_pictures(saccade, painter, red):
    for command in (("predict", red), ("look", red)):
        done = saccade(*command, "--model", painter)
        assert done.code == 1
        assert 'paints pictures and reads none: use saccade generate "a red star" --model ' in done.line


def test_the_help_names_the_defaults(saccade):
    text = " ".join(saccade("generate", "--help").out.replace("│", " ").split())
    usual = Sampling()
    assert f"Default: {usual.steps}." in text
    assert "Default: the model's own." in text
    assert f"Default: {usual.interval[0]:g} {usual.interval[1]:g}." in text
    assert f"Default: {usual.sampler}." in text
    assert f"choices: {', '.join(get_args(Sampler))}" in text
