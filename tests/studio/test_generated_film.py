"""The page of a generated film: words and places against the weights of the calls, in Python, node and Chromium."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.studio.views.generated_film import film_layout, generated_film_page_data, write_film_page
from saccade.tasks.generate.film import KnownFrames
from saccade.tasks.generate.film_look import trace_generated_film
from saccade.tasks.generate.image_to_image import SourceImage
from saccade.tasks.generate.sample import Sampling

from ..tasks.generate import generators
from . import webdriver
from .node import decode, needs_node
from .phone import check_on_phone

PATCHES, WORDS = 6, 3  # of a frame of 16 x 24 pixels, of the prompt
needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")


def picture(seed):
    return SourceImage(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 24, 3), np.uint8)))


KNOWN = {"none": None, "windows": None, "both": KnownFrames.of(picture(1), picture(2))}
FRAMES = {"none": 9, "windows": 12, "both": 7}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Pages and traces of a film in one window, in several, and between two known frames."""
    task, made = generators.film_task(), {}
    for name, known in KNOWN.items():
        film = task.film_settings(FRAMES[name], None, known)
        settings = task.settings("a (red:1.5) star", "", 5, Sampling(4), film=film)
        page = tmp_path_factory.mktemp("page") / "look.html"
        window = 1 if name == "windows" else -1
        write_film_page(task, settings, page, known, window=window)
        made[name] = (trace_generated_film(task, settings, known, window), page)
    return made


def content(page):
    return json.loads(re.search(r'id="content">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)[1])


def expected(generation, step, layer):
    """Self-attention over all places of the window in the order of time, 0 for known targets; (h n n)."""
    window, weights = generation.window, generation.call(step, layer, "self").weights()[0]
    known = [group[0] for group in window.known_groups]
    first = [group[0] for group in window.painted_groups]
    # The last frame can have the number of the second frame of the last tube, never that of a first one.
    order = torch.tensor([*known, *first]).argsort()
    whole = torch.zeros(weights.shape[0], weights.shape[2], weights.shape[2])
    whole[:, len(known) * PATCHES :] = weights
    places = (order[:, None] * PATCHES + torch.arange(PATCHES)).flatten()
    return whole[:, places][:, :, places]


@pytest.mark.parametrize("name", KNOWN)
def test_rows_and_distances_are_those_of_the_calls(found, name):
    generation, _ = found[name]
    film = generated_film_page_data(generation)
    layout = film.layout
    centres = torch.tensor(layout.centres).repeat_interleave(PATCHES)
    spots = torch.tensor([(y, x) for y in range(2) for x in range(3)]).float().repeat(len(layout.groups), 1)
    far = torch.stack([(centres[:, None] - centres).abs(), torch.cdist(spots, spots)])
    for i, call in enumerate(film.layers):
        rows = expected(generation, *divmod(i, generation.depth))
        torch.testing.assert_close(call.rows(range(layout.tokens))[0], rows, atol=1e-6, rtol=1e-4)
        painted = rows[:, layout.targets]
        assert len(layout.targets) == len(generation.window.painted_groups) * PATCHES
        distances = torch.einsum("hin,din->dh", painted, far[:, layout.targets]) / len(layout.targets)
        torch.testing.assert_close(torch.stack(call.attention_distances()), distances, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", KNOWN)
def test_words_are_those_of_the_calls(found, name):
    generation, _ = found[name]
    for layer, scores in enumerate(generated_film_page_data(generation).words.layers):
        for step in range(len(generation.steps)):
            maps = generation.word_maps(step, layer).flatten(2)
            torch.testing.assert_close(scores.weights[step], maps, atol=1e-6, rtol=1e-4)


def test_layouts(found):
    whole, later, between = (film_layout(found[name][0]) for name in KNOWN)
    assert (whole.numbers, whole.known) == (list(range(9)), [])
    assert (later.numbers, later.known) == (list(range(2, 11)), [0, 1, 2, 3])
    assert later.centres == [2, 3.5, 5.5, 7.5, 9.5]
    assert (between.numbers, between.known) == ([0, 1, 2, 3, 4, 5, 6], [0, 4])
    assert between.centres == [0, 1.5, 3.5, 5, 6]  # of the last tube, one frame is part of the film
    frames = found["both"][0].film.frames
    shown = [between.frames[i] for i in (0, 1, 5, 6)]
    assert all((np.asarray(a) == np.asarray(frames[n])).all() for a, n in zip(shown, (0, 1, 5, 6), strict=True))


def test_the_page(found):
    targets = content(found["windows"][1])["targets"]
    assert [step["step"] for step in targets["steps"]] == [0, 2, 3]
    assert (targets["window"], targets["windows"], targets["names"][-1]) == (1, 3, "10–11")
    notes = content(found["windows"][1])["notes"]
    assert any("painted in 3 windows; the page shows window 2, in which frames 10 to 11" in note for note in notes)
    assert any("3 of 4 steps" in note for note in notes)
    assert any("is not part of the film" in note for note in content(found["both"][1])["notes"])
    assert not any("windows" in note for note in content(found["none"][1])["notes"])


@needs_node
@pytest.mark.parametrize("name", KNOWN)
def test_numbers_of_the_page(found, name, node_viewer):
    generation, page = found[name]
    layout = film_layout(generation)
    places = [int(layout.targets[4]), layout.tokens - 1, 2, layout.tokens + 1]  # the last one is a word
    asked = [
        {"step": step, "layer": layer, "head": head, "token": token}
        for step, layer, head in [(0, 0, 1), (2, 1, -1), (1, 1, 2)]
        for token in places
    ]
    painted = [group for group in range(len(layout.groups)) if group not in layout.known]
    for one, got in zip(
        asked, decode(node_viewer, Path(__file__).with_name("decode_painted_film.mjs"), page, asked), strict=True
    ):
        step, layer, head, token = one.values()
        heads = slice(None) if head < 0 else slice(head, head + 1)
        rows = expected(generation, step, layer)[heads].mean(0)
        maps = generation.word_maps(step, layer)[heads].mean(0).flatten(2)  # (m, g, p)
        means = maps.mean(-1)
        torch.testing.assert_close(torch.tensor(got["frames"]), means, atol=1e-5, rtol=5e-3)
        if token < layout.tokens:
            row, column, group = rows[token], rows[:, token], token // PATCHES
            shares = row.view(-1, PATCHES).sum(-1)
            torch.testing.assert_close(torch.tensor(got["column"]).float(), column, atol=5e-3, rtol=0.05)
            words = maps[:, painted.index(group), token % PATCHES].tolist() if group in painted else []
            assert got["words"] == pytest.approx(words, rel=5e-3)
        else:
            row = torch.zeros(len(layout.groups), PATCHES)
            row[painted] = maps[token - layout.tokens]
            row, shares = row.flatten(), row.mean(-1)
        torch.testing.assert_close(torch.tensor(got["row"]).float(), row, atol=5e-3, rtol=0.05)
        torch.testing.assert_close(torch.tensor(got["shares"]).float(), shares, atol=5e-3, rtol=0.05)
        centres = torch.tensor(layout.centres)
        assert got["even"] == pytest.approx(float((centres[painted, None] - centres).abs().mean()), rel=1e-4)


CLICK = """
const stage = document.querySelectorAll('#film .stage')[args[0]];
const box = stage.getBoundingClientRect();
stage.dispatchEvent(new MouseEvent('click', { bubbles: true,
  clientX: box.left + (box.width * (args[2] + 0.5)) / 3, clientY: box.top + (box.height * (args[1] + 0.5)) / 2 }));
"""
READY = "document.getElementById('readout').textContent.includes('Highest')"
TEXT = "return document.getElementById(args[0]).textContent"
BOLD = "return [...document.querySelectorAll('#film b')].map((one) => one.textContent)"


def share(text):
    return float(text.removeprefix("mean ").removesuffix("%")) / 100


@needs_chromium
def test_page_in_chromium(found, tmp_path):
    generation, page = found["windows"]
    layout = film_layout(generation)
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, f"#language=en&token={layout.tokens + 2}&layer=1&head=2&step=1")
        browser.wait(READY)
        assert browser.run(TEXT, "chosen") == "Selected: star"
        assert browser.run(TEXT, "step-name") == "1 of 4"
        mean = float(generation.word_maps(0, 0)[1, 2].mean())
        bold = browser.run(BOLD)
        assert bold[:-1] == ["known"] * 4
        assert share(bold[-1]) == pytest.approx(mean, rel=0.02)
        table = browser.run("return [...document.querySelectorAll('#by-frame td')].map((one) => one.textContent)")
        means = generation.word_maps(0, 0)[1].mean(dim=(1, 2, 3)).tolist()
        assert [share(one) for one in table] == pytest.approx(means, rel=0.02)
        browser.run(CLICK, 8, 1, 2)  # the second frame of the tube that is painted
        browser.wait(READY)
        assert browser.run(TEXT, "chosen") == "Selected: frames 10–11 (1.13 s), row 2, column 3"
        row = expected(generation, 0, 0)[1, -1]
        assert [share(one) for one in browser.run(BOLD)] == pytest.approx(
            row.view(5, PATCHES).sum(-1).tolist(), abs=4e-3
        )
        listed = browser.run(
            "return [...document.querySelectorAll('#words .prediction')].map((one) => one.textContent)"
        )
        assert len(listed) == WORDS
        best = int(generation.patch_words(0, 0, 5)[1].argmax())
        assert listed[0].startswith(generation.words[best])
        browser.run("const s = document.getElementById('step'); s.value = 3; s.dispatchEvent(new Event('input'))")
        browser.wait(READY)
        assert browser.run(TEXT, "step-name") == "4 of 4"
        browser.run(CLICK, 0, 0, 0)  # of a known frame
        browser.wait("document.querySelectorAll('#film .barred').length === 5")
        assert "known before" in browser.run(TEXT, "words-where")
        browser.run("document.querySelectorAll('#view button')[1].click()")
        browser.wait("document.querySelectorAll('#film .barred').length === 4")
        column = expected(generation, 2, 0)[1, :, 0]
        given = browser.run(BOLD)[-1].removeprefix("sum ")
        assert share(given) == pytest.approx(float(column.sum()), rel=0.03)
        assert browser.console() == []
        assert browser.run("return document.getElementById('trouble').hidden")


@needs_chromium
def test_on_a_phone(found, tmp_path):
    check_on_phone(found["both"][1], tmp_path / "profile")


def test_a_small_budget(found, tmp_path):
    """Fewer bits, then fewer layers."""
    film = generated_film_page_data(found["none"][0])
    free, small = film.fitting(1_000_000).packing_result, film.fitting(20_000).packing_result
    assert free is not None
    assert small is not None
    assert small.bits < free.bits
    assert replace(film, packed=small).content()[0]["precision"]["typical"] == small.error_typical
