"""The page of a matcher of ours in a real headless Chromium: its maps and numbers are the head's."""

import re

import pytest

from saccade.studio.look import look
from saccade.studio.views import LookOptions

from . import webdriver
from .detectors import noise
from .matchers import task
from .phone import check_on_phone

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

TEXTS = ["a red star left of a ring", "blue", "빨간 공"]
READY = "document.getElementById('readout').textContent.includes('Highest')"
DONE = "document.getElementById('maps').ariaBusy === 'false'"
TEXT = "return document.getElementById(args[0]).textContent"
LINES = """
const lines = [...document.querySelectorAll(args[0])];
return lines.map((line) => [...line.querySelectorAll('span')].map((one) => one.textContent));
"""
CLICK = """
const box = document.getElementById('scene').getBoundingClientRect();
document.getElementById('scene').dispatchEvent(new MouseEvent('click', {
  bubbles: true, clientX: box.left + (box.width * (args[0] + 0.5)) / 4,
  clientY: box.top + (box.height * (args[1] + 0.5)) / 4 }));
"""


@pytest.fixture
def found(tmp_path):
    one = look(task(), noise(61, 43), LookOptions(texts=TEXTS))
    return one, one.page(tmp_path / "look.html").path


def share(text):
    return float(text.removesuffix("%")) / 100


def check_peak(browser, row):
    """The patch that the page names has the highest weight but for rounding, and its number."""
    said = browser.run(TEXT, "readout")
    r, c, value = re.search(r"row (\d+), column (\d+), ([\d.]+%)", said).groups()
    assert float(row[4 * (int(r) - 1) + int(c) - 1]) >= float(row.max()) * (1 - 2 / 255)
    assert share(value) == pytest.approx(float(row.max()), rel=0.06)


def test_words_and_their_patches(found, tmp_path):
    view, page = found
    words = view.targets
    best = words.texts[0]
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait(READY)
        assert browser.run(TEXT, "chosen").startswith(f"Selected: {best.words[int(best.logits.argmin())]}")
        for i in range(len(best.words)):
            browser.run(f"document.querySelector('#chips button[data-token=\"{i}\"]').click()")
            check_peak(browser, words.layers[1].weights[:, i].mean(dim=0))
        browser.wait(DONE)
        browser.run("document.querySelectorAll('#maps [role=row]')[1].children[4].click()")  # layer 1, head 3
        check_peak(browser, words.layers[0].weights[2, len(best.words) - 1])
        among = dict(browser.run(LINES.replace("'span'", "'span:not(.track)'"), "#among li"))
        own = best.layers[0].self_weights[2, -1]
        assert share(among["itself"]) == pytest.approx(float(own[-1]), rel=0.05, abs=1e-4)
        assert len(among) == len(best.words)
        assert browser.console() == []


def test_texts_and_their_scores(found, tmp_path):
    view, page = found
    ranking, unrelated = view.text_comparison.ranking, view.text_comparison.unrelated.values()
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait(READY)
        told = browser.run(LINES, "#predictions button")
        assert [text for text, _ in told] == list(ranking.texts)
        assert [share(score) for _, score in told] == pytest.approx(ranking.scores, rel=0.06)
        low, high = re.search(r"scores of (.+%) to (.+%) with", browser.run(TEXT, "predictions")).groups()
        assert (share(low), share(high)) == pytest.approx((min(unrelated), max(unrelated)), rel=0.06)
        browser.run("document.querySelectorAll('#predictions button')[2].click()")
        chips = browser.run("return [...document.querySelectorAll('#chips button')].map((one) => one.textContent)")
        third = view.targets.texts[2]
        assert [chip.rsplit(" ", 2)[0] for chip in chips] == third.words
        scores = third.logits.sigmoid().tolist()
        assert [share(" ".join(chip.rsplit(" ", 2)[1:])) for chip in chips] == pytest.approx(scores, rel=0.06)
        pressed = "return [...document.querySelectorAll('#predictions button')].map((one) => one.ariaPressed)"
        assert browser.run(pressed) == ["false", "false", "true"]
        assert browser.console() == []


def test_a_patch_and_its_words(found, tmp_path):
    view, page = found
    start = [text.text for text in view.targets.texts].index(TEXTS[0])
    first = sum(len(text.words) for text in view.targets.texts[:start])
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, f"#language=en&token={first}&layer=1&head=2")
        browser.wait(READY)
        rows = view.targets.layers[0].weights[1, first : first + 7]
        at = int(rows.std(dim=0).argmax())
        browser.run(CLICK, at % 4, at // 4)
        column = rows[:, at]
        told = browser.run(LINES, "#words .prediction")
        names = ["a¹", "red", "star", "left", "of", "a²", "ring"]
        assert sorted(name for name, _ in told) == sorted(names)
        assert told == sorted(told, key=lambda line: -share(line[1])), "the highest weight comes first"
        assert float(column.max()) > 1.3 * float(column.min())
        scale = view.targets.layers[0].weights[1].amax(dim=1)
        for name, said in told:
            i = names.index(name)
            assert share(said) == pytest.approx(float(column[i]), rel=0.06, abs=float(scale[first + i]) / 255)
        assert f"row {at // 4 + 1}, column {at % 4 + 1}" in browser.run(TEXT, "words-where")
        browser.run("document.getElementById('scene').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="ArrowDown", code="ArrowDown")
        assert f"row {min(at // 4 + 2, 4)}, column {at % 4 + 1}" in browser.run(TEXT, "words-where")
        assert browser.console() == []


def test_phone_dark_korean_and_the_patches_alone(found, tmp_path):
    _, page = found
    check_on_phone(page, tmp_path / "profile")
