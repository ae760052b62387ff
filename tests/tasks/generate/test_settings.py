"""Settings as text and in a PNG, and back."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saccade.errors import DataError, printable
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.settings import ImageSettings, Layout, Settings

PLAIN = Settings("a red star", 7, (64, 48), "blue", Sampling(), "painter", "0a1b2c3d4e")
NAMED = ImageSettings(0, 'a, "b": c.png', "d")
LINE = "Steps: 25, Sampler: Euler, CFG scale: 3, CFG interval: 0 to 1, Seed: 7, Size: 48x64, Model hash: 0a1b2c3d4e"

# Text that a prompt can hold, with what the format itself is written in.
PIECES = st.sampled_from(
    ["Steps: 5, Sampler: Euler", "Negative prompt: ", "Steps:", "\n", ", ", ": ", '"', "\\", "빨간 별"]
)
TEXTS = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9), max_size=6).map("".join)


def test_the_text_is_that_of_the_web_ui():
    text = str(PLAIN)
    prompt, negative, line = text.splitlines()
    assert (prompt, negative) == ("a red star", "Negative prompt: blue")
    assert line.startswith(f"{LINE}, Model: painter, Version: saccade ")


@given(
    TEXTS.filter(str.strip),
    TEXTS,
    st.integers(0, 2**63 - 1),
    st.floats(0, 100),
    st.sampled_from(["euler", "heun", "mean-flow"]),
    st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
    st.text(max_size=9),
    st.sampled_from([None, Layout("a, (b:1.5): c", 0.3, 1 / 3)]),
    st.none()
    | st.builds(ImageSettings, st.floats(0.001, 1), st.text(max_size=9), st.just("ab1"), st.sampled_from(["", "c"])),
)
@example("Negative prompt: red", "Negative prompt: blue", 0, 3, "euler", [0, 1], "", None, None)
@example(
    "Steps: 1, Sampler: x\nNegative prompt: y",
    "Steps: 2, Sampler: z",
    0,
    0.1,
    "heun",
    [0.1, 0.3],
    '":,',
    None,
    ImageSettings(0, 'a, "b": c.png', "d"),
)
def test_settings_survive_their_text(prompt, negative, seed, guidance, sampler, interval, model, layout, image):
    sampling = Sampling(11, guidance, tuple(interval), sampler)
    written = Settings(prompt, seed, (8, 16), negative, sampling, model, "abc", "bf16", layout=layout, image=image)
    read = Settings.parse(str(written))
    assert str(read) == str(written)
    assert read.prompt == " ".join(prompt.split())
    assert read.negative == " ".join(negative.split())
    assert read.image == (image and replace(image, name=printable(image.name)))
    assert (read.seed, read.size, read.sampling, read.precision, read.layout) == (
        seed, (8, 16), sampling, "bf16", layout
    )  # fmt: skip


def test_whole_numbers_are_the_same_as_fractions():
    assert str(replace(PLAIN, sampling=Sampling(guidance=3))) == str(replace(PLAIN, sampling=Sampling(guidance=3.0)))


@pytest.mark.parametrize("prompt", ["a red star, left", "빨간 별 é 🟥", "Steps: 3, Sampler: x"])
def test_settings_survive_a_png(tmp_path, prompt):
    settings = replace(PLAIN, prompt=prompt)
    picture = GeneratedPicture(Image.new("RGB", (48, 64), (9, 80, 200)), settings)
    picture.save(tmp_path / "a.png")
    assert Settings.from_metadata(tmp_path / "a.png") == settings
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["parameters"] == str(settings)
        assert image.getpixel((3, 5)) == (9, 80, 200)
    assert (tmp_path / "a.png").read_bytes() == picture.to_png() == picture._repr_png_()


def test_texts_of_other_tools():
    text = (
        "a cat, (sitting:1.2)\non a mat\nNegative prompt: blurry,\nlow quality\n"
        "Steps: 20, Sampler: Euler, Schedule type: Automatic, CFG scale: 7, Seed: 5, Size: 512x768, "
        'Model: "a, Seed: 6", Lora hashes: "x: 1, Seed: 8", Version: v1.10'
    )
    found = Settings.parse(text)
    assert found.prompt == "a cat, (sitting:1.2) on a mat"
    assert found.negative == "blurry, low quality"
    assert (found.seed, found.size, found.sampling) == (5, (768, 512), Sampling(20, 7.0))
    assert found.digest == ""


def test_a_strength_of_other_tools_is_of_no_picture():
    assert Settings.parse(f"a\n{LINE}, Denoising strength: 0.4, Hires upscale: 2").image is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{LINE}, Init image hash: ab", "the line of settings lacks Denoising strength"),
        (f'{LINE}, Denoising strength: 2, Init image: "a", Init image hash: ab', "a strength of 2"),
        (f"{LINE}, Denoising strength: 1, Init image: a, Init image hash: ab", "cannot be read"),
        ("", "there is no line of settings"),
        ("a red star", "there is no line of settings"),
        (LINE.replace("Seed: 7, ", ""), "the line of settings lacks Seed"),
        (f"{LINE}, Layout prompt: 5, Layout shares: 0.5 0.5", "'5' is not in quotes"),
        (f"{LINE}, Denoising strength: 1, Init image: {'[' * 9999}, Init image hash: ab", "is not in quotes"),
        (f'{LINE}, Style strength: 1, Style image: "\\ud800", Style hash: ab', "surrogates not allowed"),
        (f"{LINE}, Frames: 16, First frame: null, First frame hash: ab", "'null' is not in quotes"),
        (LINE.replace("Size: 48x64", "Size: big"), "cannot be read"),
        (LINE.replace("Size: 48x64", "Size: 48x64x3"), "cannot be read"),
        (LINE.replace("Seed: 7", "Seed: x"), "cannot be read"),
        (LINE.replace("Euler", "DPM++ 2M"), r"there is no sampler 'dpm\+\+ 2m'"),
        (LINE.replace("Steps: 25", "Steps: 0"), "0 steps were requested"),
        (LINE.replace("scale: 3", "scale: nan"), "guidance of nan"),
        (LINE.replace("0 to 1", "1 to 0"), "guidance interval 1 to 0"),
        (LINE.replace("0 to 1", "all"), "cannot be read"),
        (LINE.replace("Steps: 25", "Steps: " + "9" * 5000), "cannot be read"),
    ],
)
def test_texts_that_hold_no_settings(text, message):
    with pytest.raises(DataError, match=message) as caught:
        Settings.parse(text, "a.png")
    assert str(caught.value).startswith("a.png: ")
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_hold_no_settings(tmp_path):
    file = tmp_path / "x.png"
    with pytest.raises(DataError, match="cannot be read as a picture"):
        Settings.from_metadata(file)
    file.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DataError, match="cannot be read as a picture"):
        Settings.from_metadata(file)
    Image.new("RGB", (4, 4)).save(file)
    with pytest.raises(DataError, match="holds no settings"):
        Settings.from_metadata(file)
    long = PngInfo()
    long.add_text("parameters", "a" * 3_000_000, zip=True)
    Image.new("RGB", (4, 4)).save(file, pnginfo=long)
    with pytest.raises(DataError, match="cannot be read as a picture"):
        Settings.from_metadata(file)


def test_pictures_of_too_many_pixels_are_not_opened(tmp_path, monkeypatch):
    GeneratedPicture(Image.new("RGB", (48, 64)), PLAIN).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 * 64 // 2 - 1)
    with pytest.raises(DataError, match="cannot be read as a picture: Image size"):
        Settings.from_metadata(tmp_path / "large.png")


def test_what_json_holds():
    found = GeneratedPicture(Image.new("RGB", (48, 64)), PLAIN).to_dict()
    assert (found["prompt"], found["seed"], found["height"], found["width"]) == ("a red star", 7, 64, 48)
    assert (found["num_inference_steps"], found["guidance_scale"], found["sampler"]) == (25, 3.0, "euler")
