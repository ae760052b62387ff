"""The page of a generated picture in a real headless Chromium: its maps and numbers are the generator's."""

import re

import pytest

from saccade.studio.views import generate
from saccade.studio.views.generate import write_generation_page
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.sample import Sampling

from ..tasks.generate import generators
from . import webdriver
from .phone import check_on_phone

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

ROWS, COLUMNS = generators.GRID
STEPS = 4
READY = "document.getElementById('readout').textContent.includes('Highest')"
DONE = "document.getElementById('maps').ariaBusy === 'false'"
TEXT = "return document.getElementById(args[0]).textContent"
LINES = """
const lines = [...document.querySelectorAll(args[0])];
return lines.map((line) => [...line.querySelectorAll(args[1])].map((one) => one.textContent));
"""
CLICK = """
const box = document.getElementById('scene').getBoundingClientRect();
document.getElementById('scene').dispatchEvent(new MouseEvent('click', {
  bubbles: true, clientX: box.left + (box.width * (args[0] + 0.5)) / 7,
  clientY: box.top + (box.height * (args[1] + 0.5)) / 5 }));
"""
STEP = """
const slider = document.getElementById('step');
slider.value = args[0];
slider.dispatchEvent(new Event('input'));
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    task = generators.task()
    settings = task.settings("a (red:1.5) star beside a ring", "", 5, Sampling(STEPS))
    page = tmp_path_factory.mktemp("page") / "look.html"
    write_generation_page(task, settings, page)
    return trace_generation(task, settings), page


def share(text):
    return float(text.removesuffix("%")) / 100


def check_peak(browser, weights):
    """The patch that the page names has the highest weight, and its number."""
    text = browser.run(TEXT, "readout")
    row, column, value = re.search(r"row (\d+), column (\d+), ([\d.]+%)", text).groups()
    assert float(weights[int(row) - 1, int(column) - 1]) == pytest.approx(float(weights.max()), rel=0.005)
    assert share(value) == pytest.approx(float(weights.max()), rel=0.02)


def test_words_at_every_step(found, tmp_path):
    generation, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&layer=1&token=2&step=2")
        browser.wait(READY)
        assert browser.run(TEXT, "chosen") == "Selected: star"
        assert browser.run(TEXT, "step-name") == "2 of 4"
        check_peak(browser, generation.word_maps(1, 0).mean(dim=0)[2, 0])
        for step in (4, 1):
            browser.run(STEP, step)
            for word in (1, 5):
                browser.run(f"document.querySelector('#chips button[data-token=\"{word}\"]').click()")
                check_peak(browser, generation.word_maps(step - 1, 0).mean(dim=0)[word, 0])
        browser.wait(DONE)
        browser.run("document.querySelectorAll('#maps [role=row]')[2].children[3].click()")  # layer 2, head 2
        browser.wait("document.getElementById('layer-name').textContent === '2 of 2'")
        check_peak(browser, generation.word_maps(0, 1)[1, 5, 0])
        chips = browser.run("return [...document.querySelectorAll('#chips button')].map((one) => one.textContent)")
        assert [chip.strip() for chip in chips] == ["a¹", "red × 1.5", "star", "beside", "a²", "ring"]
        browser.run("document.querySelectorAll('#through button')[2].click()")
        assert browser.run(TEXT, "step-name") == "3 of 4"
        check_peak(browser, generation.word_maps(2, 1)[1, 5, 0])
        pressed = "return [...document.querySelectorAll('#through button')].map((one) => one.ariaPressed)"
        assert browser.run(pressed) == ["false", "false", "true", "false"]
        end = re.search(r"from 0 to ([\d.]+%)", browser.run(TEXT, "through-where"))[1]
        most = max(float(generation.word_maps(step, 1)[1, 5].max()) for step in range(STEPS))
        assert share(end) == pytest.approx(max(most, 1 / 6), rel=0.01)
        assert browser.console() == []


def test_a_patch_and_its_words_with_all_numbers(found, tmp_path):
    generation, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&layer=2&head=3&token=0&step=3")
        browser.wait(READY)
        patch = 2 * COLUMNS + 4
        browser.run(CLICK, 4, 2)
        expected = generation.patch_words(2, 1, patch)[2]
        listed = browser.run(LINES, "#words .prediction", "span")
        names = ["a¹", "red", "star", "beside", "a²", "ring"]
        assert [name for name, _ in listed] == [names[i] for i in expected.argsort(descending=True).tolist()]
        for name, value in listed:
            assert share(value) == pytest.approx(float(expected[names.index(name)]), rel=0.03)
        assert "row 3, column 5" in browser.run(TEXT, "words-where")
        call = generation.call(2, 1)
        products = (call.k[0, 2, :6] @ call.q[0, 2, patch]).tolist()
        table = browser.run(LINES, "#word-numbers tbody tr", "td")
        assert len(table) == 7
        for name, product, score, bias, _, weight in table[:-1]:
            i = names.index(name)
            number, scaled, extra = (float(x.replace("−", "-")) for x in (product, score, bias))
            assert number == pytest.approx(products[i], rel=0.01, abs=0.02)
            assert scaled == pytest.approx(products[i] * call.scale, rel=0.01, abs=0.005)
            assert extra == pytest.approx(0.405 if name == "red" else 0)
            assert share(weight) == pytest.approx(float(expected[i]), rel=0.03)
        assert table[-1] == ["sum over all 6 words", "100%"]
        browser.run("document.getElementById('scene').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="ArrowUp", code="ArrowUp")
        assert "row 2, column 5" in browser.run(TEXT, "words-where")
        assert browser.console() == []


def test_phone_dark_korean_and_the_patches_alone(found, tmp_path):
    _, page = found
    check_on_phone(page, tmp_path / "profile")


def test_the_page_of_a_pipeline(tmp_path, monkeypatch):
    task, public = generators.task(), object.__new__(PublicGenerateTask)
    public.name = "another"
    traced = generators.pipeline_trace(task)
    monkeypatch.setattr(generate, "trace_pipeline", lambda *_, **__: traced)
    write_generation_page(public, traced.picture.settings, tmp_path / "look.html")
    with webdriver.Browser(tmp_path / "profile", width=360, height=740) as browser:
        browser.open(tmp_path / "look.html", "#language=en&layer=1&head=2&token=1&step=4")
        browser.wait(READY)
        expected = traced.word_maps(3, 0)[1, 1]
        row, column, value = re.search(r"row (\d+), column (\d+), ([\d.]+%)", browser.run(TEXT, "readout")).groups()
        assert share(value) == pytest.approx(float(expected.max()), rel=0.02)
        assert float(expected[int(row) - 1, int(column) - 1]) == pytest.approx(float(expected.max()), rel=0.005)
        assert len(browser.run(LINES, "#words .prediction", "span")) == 4
        assert browser.run("return document.getElementById('word-how-title').offsetParent") is None
        for language in ("#language=ko", "#language=en"):
            browser.open(tmp_path / "look.html", language)
            browser.wait(DONE)
            assert "{" not in browser.run("return document.body.innerText")
            assert browser.run("return document.documentElement.scrollWidth") <= 360
        assert browser.console() == []
