"""The page of words and patches in a real headless Chromium: its maps and numbers are Python's."""

import re

import pytest
import torch

pytest.importorskip("transformers")

from saccade.checkpoints.matchers import load_matcher
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.studio.views import attribution as module

from ..checkpoints import tiny_matchers
from . import webdriver
from .detectors import noise
from .phone import check_on_phone

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

READY = "document.getElementById('readout').textContent.includes('Highest')"
PEAK = "return document.getElementById('readout').textContent"
CHOSEN = "return document.getElementById('chosen').textContent"
PIXELS = "return document.querySelector('#map canvas').toDataURL()"
ANSWERS = """
const lines = [...document.querySelectorAll('#words .prediction')];
return lines.map((line) => [...line.querySelectorAll('span')].map((one) => one.textContent));
"""
CLICK = """
const box = document.getElementById('scene').getBoundingClientRect();
document.getElementById('scene').dispatchEvent(new MouseEvent('click', {
  bubbles: true, clientX: box.left + (box.width * (args[0] + 0.5)) / 5,
  clientY: box.top + (box.height * (args[1] + 0.5)) / 5 }));
"""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """The look, and its page."""
    monkeypatch.setattr(module, "MAX_STEPS", 16)
    one = look(load_matcher(tiny_matchers.save(tmp_path)), noise(61, 43), LookOptions(texts=["a Red table, on"]))
    return one.targets, one.page(tmp_path / "look.html").path


def number(text):
    return float(text.replace("−", "-"))


def check_peak(browser, row, off, sign=1):
    """The place that the page names has the most but for rounding, and its number. off: by which parts are rounded."""
    said = browser.run(PEAK)
    r, c = (int(x) for x in re.search(r"row (\d+), column (\d+)", said).groups())
    assert float(row[5 * (r - 1) + c - 1]) >= float(row.max()) - 2 * off
    assert number(said.split()[-1]) == pytest.approx(sign * float(row.max()), abs=off, rel=0.06)


def test_words_and_their_patches(found, tmp_path):
    words, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait(READY)
        first = words.layers[0].attributions
        speaker = int(first[:-1].sum(dim=1).argmax())
        assert browser.run(CHOSEN) == f"Selected: {words.words[speaker]}"
        off = float(first.abs().max()) / 127
        for i, row in [*enumerate(first[:-1]), (len(first), first.sum(dim=0))]:  # the marks, last but one, add nothing
            browser.run(f"document.querySelector('#chips button[data-token=\"{i}\"]').click()")
            browser.wait("document.getElementById('maps').ariaBusy === 'false'")
            check_peak(browser, row, off)
        browser.run("document.querySelectorAll('#maps [role=row]')[3].children[4].click()")  # depth 3, "table"
        browser.wait("document.getElementById('layer-name').textContent.startsWith('3')")
        assert browser.run(CHOSEN) == "Selected: table"
        row = words.layers[2].attributions[2]
        check_peak(browser, row, float(row.abs().max()) / 127)
        before = browser.run(PIXELS)
        browser.run("document.querySelectorAll('#view button')[1].click()")  # negative
        assert browser.run(PIXELS) != before
        check_peak(browser, -row, float(row.abs().max()) / 127, sign=-1)
        assert "Negative" in browser.run("return document.getElementById('map-name').textContent")
        assert browser.console() == []


def test_a_patch_and_its_words(found, tmp_path):
    words, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait(READY)
        browser.run(CLICK, 3, 1)
        column = words.layers[0].attributions[:, 8]
        told = browser.run(ANSWERS)
        order = torch.sort(column, descending=True, stable=True).indices.tolist()
        names = [*words.words[:-1], "(begin and end)"]
        assert [name for name, _ in told] == [names[i] for i in order]
        scale = words.layers[0].attributions.abs().amax(dim=1)
        for (_, said), i in zip(told, order, strict=True):
            assert number(said) == pytest.approx(float(column[i]), rel=0.06, abs=float(scale[i]) / 127)
        assert "row 2, column 4" in browser.run("return document.getElementById('words-where').textContent")
        browser.run("document.getElementById('scene').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", code="ArrowRight")
        assert "row 2, column 5" in browser.run("return document.getElementById('words-where').textContent")
        assert browser.console() == []


def test_phone_dark_korean_and_the_patches_alone(found, tmp_path):
    _, page = found
    without_reach = check_on_phone(page, tmp_path / "profile", "return document.getElementById('reach').hidden")
    assert without_reach == [False, True]


def test_several_texts_are_ranked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_STEPS", 16)
    texts = ["a red ball", "blue star", "a tab"]
    one = look(load_matcher(tiny_matchers.save(tmp_path)), noise(61, 43), LookOptions(texts=texts))
    ranking, page = one.text_comparison.ranking, one.page(tmp_path / "look.html").path
    assert one.targets.text == ranking.text
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait(READY)
        told = browser.run(ANSWERS.replace("#words", "#predictions"))
        assert [text for text, _ in told] == list(ranking.texts)
        for (_, said), score, similarity in zip(told, ranking.scores, ranking.similarities, strict=True):
            share, cosine = re.fullmatch(r"([\d.]+)% \(similarity (.+)\)", said).groups()
            assert float(share) / 100 == pytest.approx(score, rel=0.06)
            assert number(cosine) == pytest.approx(similarity, rel=0.01)
        assert "7 unrelated texts" in browser.run("return document.getElementById('predictions').textContent")
        assert browser.console() == []
