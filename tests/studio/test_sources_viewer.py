"""The page of a picture that was painted from others, in a real headless Chromium: what a place of the result attends
to in each source, what attends to a place of a source, and the same of the negative prompt."""

import re

import pytest

from saccade.studio.views.generate import write_generation_page
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.sample import Sampling

from ..tasks.generate import generators
from ..tasks.generate.test_image_to_image import random_picture
from . import webdriver
from .phone import check_on_phone

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

COLUMNS = generators.GRID[1]
READY = "document.getElementById('shares').textContent && document.getElementById('readout').textContent.includes('Hi')"
DONE = "document.getElementById('maps').ariaBusy === 'false'"
TEXT = "return document.getElementById(args[0]).textContent"
CLICK = """
const stage = document.querySelector(args[0]);
const box = stage.getBoundingClientRect();
stage.dispatchEvent(new MouseEvent('click', {
  bubbles: true, clientX: box.left + box.width * args[1], clientY: box.top + box.height * args[2] }));
"""
SHARES = """
return Object.fromEntries([...document.querySelectorAll('#shares li')].map((line) =>
  [line.querySelector('i').className, Number(line.querySelector('b').textContent)]));
"""
TEXTS = "return [...document.querySelectorAll(args[0])].map((one) => one.textContent.trim())"
FILLED = """[...document.querySelectorAll('.source .maps canvas')].every((canvas) =>
  canvas.getContext('2d').getImageData(0, 0, 1, 1).data[3] === 255 && canvas.width !== 300)"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    task = generators.task(("picture", "masked", "style"))
    originals = SourceImages(SourceImage.read(random_picture(56, 40)), SourceImage.read(random_picture(24, 40)))
    sampling = Sampling(3, 3.0, (0.3, 1.0))  # the first step is not guided
    settings = task.settings("a (red:1.5) star", "blue sky a b c", 5, sampling, originals=originals)
    page = tmp_path_factory.mktemp("page") / "look.html"
    write_generation_page(task, settings, page, originals=originals)
    return trace_generation(task, settings, originals=originals), page


def share(text):
    return float(text.removesuffix("%")) / 100


def spot(text):
    row, column, value = re.search(r"row (\d+), column (\d+), ([\d.]+%)", text).groups()
    return int(row) - 1, int(column) - 1, share(value)


def check_rows(browser, generation, step, layer, patch, text="prompt", head=None):
    """Shares and the highest places are those of the weights."""
    pick = (lambda weights: weights.mean(dim=0)) if head is None else (lambda weights: weights[head])
    shares = browser.run(SHARES)
    assert sum(shares.values()) == pytest.approx(1, abs=0.0021)
    names = {"caption": "words", "masked": "absent"}
    for name, value in generation.shares(step, layer, patch, text).items():
        assert shares[names.get(name, name)] == pytest.approx(float(pick(value)), abs=0.001)
    for name, line in zip(("picture", "style"), browser.run(TEXTS, ".source > .caption"), strict=True):
        weights = pick(generation.patch_places(step, layer, patch, name, text))
        row, column, value = spot(line)
        assert value == pytest.approx(float(weights.max()), rel=0.02)
        assert float(weights[row * generation.source_grid(name)[1] + column]) == pytest.approx(value, rel=0.02)


def check_column(browser, generation, step, layer, source, place, text="prompt", head=None):
    """The patch that the page names attends most to the place, with that weight."""
    every = generation.place_patches(step, layer, source, place, text)[:, 0]
    weights = every.mean(dim=0) if head is None else every[head]
    row, column, value = spot(browser.run(TEXT, "readout"))
    assert value == pytest.approx(float(weights.max()), rel=0.02)
    assert float(weights[row, column]) == pytest.approx(value, rel=0.02)


def test_a_place_of_the_result_and_what_it_attends_to(found, tmp_path):
    generation, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&layer=1&step=2")
        browser.wait(READY)
        browser.run(CLICK, "#scene", 4.5 / 7, 2.5 / 5)
        patch = 2 * COLUMNS + 4
        assert "row 3, column 5" in browser.run(TEXT, "beside-where")
        check_rows(browser, generation, 1, 0, patch)
        browser.wait(DONE)
        browser.wait(FILLED)
        browser.run("document.querySelectorAll('[data-source=style] ~ .scroll [role=row]')[2].children[3].click()")
        browser.wait("document.getElementById('layer-name').textContent === '2 of 2'")
        check_rows(browser, generation, 1, 1, patch, head=1)
        browser.run("document.getElementById('scene').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="ArrowUp", code="ArrowUp")
        check_rows(browser, generation, 1, 1, patch - COLUMNS, head=1)
        browser.run("document.querySelectorAll('#through button')[2].click()")
        check_rows(browser, generation, 2, 1, patch - COLUMNS, head=1)
        assert browser.console() == []


def test_a_place_of_a_source_and_what_attends_to_it(found, tmp_path):
    generation, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&layer=2&step=3&head=3")
        browser.wait(READY)
        browser.run(CLICK, "[data-source=style]", 1.5 / 5, 6.5 / 8)
        assert browser.run(TEXT, "chosen") == "Selected: style, row 7, column 2"
        assert browser.run(TEXT, "map-name") == "Where the result attends to “style, row 7, column 2”"
        check_column(browser, generation, 2, 1, "style", 31, head=2)
        browser.run("document.querySelector('[data-source=style]').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft")
        assert browser.run(TEXT, "chosen") == "Selected: style, row 7, column 1"
        check_column(browser, generation, 2, 1, "style", 30, head=2)
        browser.run(CLICK, "[data-source=picture]", 6.5 / 7, 0.5 / 5)
        check_column(browser, generation, 2, 1, "picture", 6, head=2)
        table = browser.run(TEXTS, "#word-numbers .pointed td")
        assert table[0] == "picture, row 1, column 7"
        row, column = re.search(r"row (\d+), column (\d+)", browser.run(TEXT, "word-how-where")).groups()
        exact = generation.place_patches(2, 1, "picture", 6)[2, 0, int(row) - 1, int(column) - 1]
        assert share(table[-1]) == pytest.approx(float(exact), rel=0.02)
        assert browser.console() == []


def test_the_negative_prompt(found, tmp_path):
    generation, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&layer=2&step=1")
        browser.wait(READY)
        browser.run(CLICK, "[data-source=style]", 1.5 / 5, 6.5 / 8)
        browser.run(CLICK, "#scene", 4.5 / 7, 2.5 / 5)
        browser.run("document.querySelectorAll('#texts button')[1].click()")
        browser.wait("document.getElementById('chips').textContent.includes('blue')")
        assert browser.run(TEXT, "step-name") == "2 of 3"  # the first step is not guided
        assert browser.run("return document.querySelectorAll('#through button')[0].disabled") is True
        assert browser.run(TEXT, "chosen") == "Selected: style, row 7, column 2"
        check_rows(browser, generation, 1, 1, 2 * COLUMNS + 4, "negative")
        check_column(browser, generation, 1, 1, "style", 31, "negative")
        chips = browser.run(TEXTS, "#chips button")
        assert chips == ["blue", "sky", "a", "b", "c", "(picture)", "(no masked picture)", "(style)"]
        browser.run("document.querySelector('#chips button[data-token=\"4\"]').click()")
        row, column, value = spot(browser.run(TEXT, "readout"))
        weights = generation.word_maps(1, 1, "negative").mean(dim=0)[4, 0]
        assert value == pytest.approx(float(weights.max()), rel=0.02)
        assert float(weights[row, column]) == pytest.approx(value, rel=0.02)
        browser.open(page, "#language=en&layer=2&step=3&text=negative&token=4")
        browser.wait(READY)
        assert browser.run(TEXT, "chosen") == "Selected: c"
        browser.run("document.querySelectorAll('#texts button')[0].click()")
        browser.wait("document.getElementById('chips').textContent.includes('star')")
        assert browser.console() == []


def test_phone_dark_korean_and_the_patches_alone(found, tmp_path):
    _, page = found
    check_on_phone(page, tmp_path / "profile")
