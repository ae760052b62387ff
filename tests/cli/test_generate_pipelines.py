"""`saccade generate` with a pipeline of diffusers and pictures, end to end."""

import numpy as np
import pytest
from PIL import Image

from ..tasks.generate.pipelines import stable_diffusion

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def generate(saccade, tmp_path):
    stable_diffusion().save_pretrained(tmp_path / "tiny")
    pixels = np.random.default_rng(1).integers(0, 256, (23, 61, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    hole = Image.new("L", (61, 23))
    hole.paste(255, (7, 5, 40, 18))
    hole.save("hole.png")
    model = ("--model", "diffusers:tiny", "--device", "cpu", "--steps", "3")
    return lambda *arguments: saccade("generate", "a red star", *arguments, *model)


def test_pictures_and_masks(generate, saccade, tmp_path):
    done = generate("--image", "photo.png", "--strength", "0.7", "--seed", "5", "--out", "one.png")
    assert done.code == 0, done.err
    assert "photo.png, 61 x 23 pixels, is painted at 24 x 8 pixels" in " ".join(done.err.split())
    assert "StableDiffusionImg2ImgPipeline: a strength of 0.7 spends 2 of 3 steps" in " ".join(done.err.split())
    done = saccade(
        "generate", "--like", "one.png", "--image", "photo.png", "--model", "diffusers:tiny", "--out", "two.png"
    )
    assert done.code == 0, done.err
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()

    done = generate("--image", "photo.png", "--mask", "hole.png", "--out", "filled.png", "--look", "look.html")
    assert done.code == 0, done.err
    photo, filled, hole = (np.asarray(Image.open(name)) for name in ("photo.png", "filled.png", "hole.png"))
    assert (filled[hole == 0] == photo[hole == 0]).all()
    assert (filled[hole > 0] != photo[hole > 0]).mean() > 0.5
    assert (tmp_path / "look.html").is_file()

    done = generate("--image", "photo.png", "--strength", "0.1")
    assert "a strength of 0.1 spends none of 3 steps in tiny: use 0.34 or more" in done.err.splitlines()[-1]
    done = generate("--image", "photo.png", "--invert", "a blue star")
    assert "tiny inverts no pictures: use another model, or --strength" in done.line
    done = generate("--style", "photo.png")
    assert "tiny has no IP adapter, by which it would take a style" in done.line
