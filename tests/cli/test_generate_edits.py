"""`saccade generate` with --look, --instead and --keep-layout."""

import json

import numpy as np
import pytest
from PIL import Image

from saccade.errors import DataError

from ..tasks.generate import generators

PROMPT, OTHER = "a red star left of a ring", "a blue star left of a ring"


@pytest.fixture
def generate(saccade, tmp_path):
    generators.task().save(tmp_path / "tiny")
    return lambda *arguments: saccade("generate", *arguments, "--model", "tiny", "--device", "cpu")


def painted(generate, *arguments):
    """The pixels of one picture."""
    done = generate(PROMPT, "--seed", "5", "--steps", "3", "--out", "one.png", *arguments)
    assert done.code == 0, done.err
    return np.asarray(Image.open("one.png")).astype(int)


def test_look_writes_a_page_and_the_same_picture(generate, tmp_path):
    plain = painted(generate)
    done = generate(PROMPT, "--seed", "5", "--steps", "3", "--out", "two.png", "--look", "look.html", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["page"] == "look.html"
    assert (np.asarray(Image.open("two.png")) == plain).all()
    page = (tmp_path / "look.html").read_text(encoding="utf-8")
    assert '"kind":"painting"' in page
    assert PROMPT in page


def test_a_page_that_cannot_be_written_loses_no_picture(generate, monkeypatch):
    plain = painted(generate)

    def full(path, *content):
        raise DataError(f"{path} could not be written: No space left on device")

    monkeypatch.setattr("saccade.studio.page.page.output.write_file", full)
    done = generate(PROMPT, "--seed", "5", "--steps", "3", "--out", "two.png", "--look", "look.html")
    assert done.code == 1
    assert "look.html could not be written" in done.err
    assert (np.asarray(Image.open("two.png")) == plain).all()


def test_another_prompt_with_the_layout_of_the_first(generate):
    plain = painted(generate)
    assert np.abs(painted(generate, "--instead", PROMPT, "--keep-layout") - plain).max() <= 1
    words = painted(generate, "--instead", OTHER)
    layout = painted(generate, "--instead", OTHER, "--keep-layout")
    assert np.abs(layout - plain).mean() > 2
    assert (layout != words).any()
    done = generate("--like", "one.png", "--out", "two.png")
    assert done.code == 0, done.err
    assert (np.asarray(Image.open("two.png")) == layout).all()


def test_an_inverted_picture_with_other_words_and_again(generate, tmp_path):
    painted(generate)
    given = ("--image", "one.png", "--invert", PROMPT, "--steps", "3")
    plain, layout = generate(OTHER, *given, "--json"), generate(OTHER, *given, "--keep-layout", "--out", "kept.png")
    assert (plain.code, layout.code) == (0, 0), plain.err + layout.err
    [picture] = json.loads(plain.out)["pictures"]
    assert (picture["source_prompt"], picture["negative_prompt"], picture["strength"]) == (PROMPT, PROMPT, 1.0)
    kept = (tmp_path / "kept.png").read_bytes()
    assert kept != (tmp_path / "generated.png").read_bytes()
    again = generate("--like", "kept.png", "--image", "one.png", "--out", "again.png")
    assert again.code == 0, again.err
    assert (tmp_path / "again.png").read_bytes() == kept
    assert "give it with --image" in generate("--like", "kept.png").line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep-layout"], "--keep-layout goes with --instead"),
        (["--instead", " "], "--instead is empty"),
        (["--invert", "a star"], "--invert goes with --image"),
        (["--invert", " ", "--image", "x.png"], "--invert is empty"),
        (["--invert", "a star", "--image", "x.png", "--style", "y.png"], "leave it or --style out"),
        (["--invert", "a star", "--image", "x.png", "--look", "look.html"], "leave it or --look out"),
        (["--invert", "a star", "--image", "x.png", "--n", "2"], "would be equal"),
        (["--invert", "a star", "--image", "x.png", "--frames", "4"], "--invert is for pictures"),
        (["--look", "look.html", "--n", "2"], "--look shows one picture"),
        (["--look", "look.html", "--instead", OTHER], "leave it or --instead out"),
        (["--look", "look.png"], "give a name that ends in .html"),
        (["--look", "absent/look.html"], "absent is not a folder"),
        (["--instead", "(blue:1.5"], "( without its partner"),
    ],
)
def test_options_that_do_not_go_together(generate, tmp_path, arguments, message):
    done = generate(PROMPT, *arguments)
    assert done.code != 0
    assert message in done.err
    assert not list(tmp_path.glob("*.png"))
