"""The page of a detector in a real headless Chromium: its maps and numbers are Python's."""

import pytest

from saccade.studio.look import look
from saccade.studio.views import LookOptions

from . import webdriver
from .detectors import noise, task

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

PEAK = "return document.getElementById('readout').textContent"
CHOSEN = "return document.getElementById('chosen').textContent"
PIXELS = "return document.querySelector('#map canvas').toDataURL()"
CLICK = """
const scene = document.getElementById('scene').getBoundingClientRect();
document.getElementById('scene').dispatchEvent(new MouseEvent('click', {
  bubbles: true, clientX: scene.left + scene.width * args[0], clientY: scene.top + scene.height * args[1] }));
"""
LIST = "return [...document.querySelectorAll('#among li')].map((li) => [...li.children].map((one) => one.innerText))"


@pytest.fixture
def found(tmp_path):
    """The look, and its page."""
    one = look(task(queries=5), noise(), LookOptions(threshold=0.3))
    return one, one.page(tmp_path / "look.html").path


def peak(layer, head, i, columns=6):
    """Where the map of an object is brightest, as the page says it."""
    weights = layer.weights[:, i].mean(0) if head == 0 else layer.weights[head - 1, i]
    at = int(weights.argmax())
    return f"row {at // columns + 1}, column {at % columns + 1},", float(weights.max())


def shown_percent(text):
    return float(text.split("%")[0].split()[-1].lstrip("(")) / 100


def test_clicks_keys_and_numbers(found, tmp_path):
    one, page = found
    objects = one.targets
    names = objects.names
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait("document.getElementById('readout').textContent.includes('Highest')")
        where, most = peak(objects.layers[-1], 0, 0)
        assert where in browser.run(PEAK)
        assert shown_percent(browser.run(PEAK)) == pytest.approx(most, rel=0.02)
        area = objects.region_coverage.mean(dim=1)
        i, around = int(area.argmin()), int(area.argmax())
        browser.run(f"document.querySelectorAll('#chips button')[{around}].click()")
        first = browser.run(PIXELS)
        left, top, right, bottom = objects.boxes[i].tolist()
        browser.run(CLICK, (left + right) / 2, (top + bottom) / 2)
        assert browser.run(CHOSEN) == f"Selected: {names[i]}", "of boxes one in the other, the smallest"
        browser.wait("document.getElementById('maps').ariaBusy === 'false'")
        assert browser.run(PIXELS) != first
        browser.run("document.getElementById('scene').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", code="ArrowRight")
        i = (i + 1) % len(names)
        assert browser.run(CHOSEN) == f"Selected: {names[i]}"
        browser.run("document.querySelectorAll('#maps [role=row]')[1].children[3].click()")  # layer 1, head 2
        where, most = peak(objects.layers[0], 2, i)
        assert where in browser.run(PEAK)
        assert shown_percent(browser.run(PEAK)) == pytest.approx(most, rel=0.02)
        inside = float(objects.layers[0].attention_inside_region(objects.region_coverage)[2, i])
        assert shown_percent(browser.run("return document.getElementById('inside').textContent")) == pytest.approx(
            inside, abs=0.005
        )
        told = {name.strip(): weight for name, _, weight in browser.run(LIST)}
        among = objects.layers[0].self_weights[1, i]
        for j, name in enumerate(names):
            said = told["itself" if j == i else name]
            assert float(said.removesuffix("%")) / 100 == pytest.approx(float(among[j]), abs=0.001)
        assert browser.console() == []


def test_relations_and_lines(found, tmp_path):
    one, page = found
    objects = one.targets
    i, relation, j, _ = objects.relations[0]
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, f"#language=en&token={i}")
        browser.wait("document.querySelectorAll('#relations li').length")
        lines = browser.run("return [...document.querySelectorAll('#relations li')].map((li) => li.innerText)")
        assert any(objects.names[i] in line and relation in line and objects.names[j] in line for line in lines)
        arrows = "return document.querySelectorAll('#scene polygon').length"
        assert browser.run(arrows) >= 1
        words = "return [...document.querySelectorAll('#scene .word')].map((word) => word.innerText)"
        assert any(relation in word for word in browser.run(words))
        browser.run("document.querySelectorAll('#links button')[1].click()")  # attention
        assert browser.run(arrows) == 0
        assert all(word.endswith("%") for word in browser.run(words))
        browser.run("document.querySelectorAll('#links button')[2].click()")  # none
        assert browser.run(words) == []
        assert browser.console() == []


def test_to_the_patches_and_back(found, tmp_path):
    one, page = found
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&token=2")
        browser.wait("document.getElementById('readout').textContent.includes('Highest')")
        before = browser.run(PEAK)
        browser.run("document.querySelectorAll('#mode button')[1].click()")
        browser.wait("document.getElementById('scene').offsetParent === null")
        browser.run("document.querySelectorAll('#chips button')[0].click()")
        browser.run("document.querySelectorAll('#view button')[0].click()")
        browser.wait("document.querySelectorAll('#numbers tbody tr').length > 1")
        assert browser.run(CHOSEN) == "Selected: cls"
        browser.run("document.querySelectorAll('#mode button')[0].click()")
        assert browser.run(CHOSEN) == f"Selected: {one.targets.names[2]}"
        assert browser.run(PEAK) == before
        assert browser.run("return document.getElementById('numbers').offsetParent === null")
        assert browser.console() == []


def test_phone_dark_and_korean(found, tmp_path):
    _, page = found
    with webdriver.Browser(tmp_path / "profile", width=360, height=740, dark=True) as browser:
        browser.open(page, "#language=ko")
        browser.wait("document.getElementById('readout').textContent.includes('행')")
        assert browser.run("return document.documentElement.scrollWidth") <= 360
        assert browser.run("return getComputedStyle(document.body).backgroundColor") != "rgb(251, 251, 249)"
        for mode in (1, 0):
            browser.run(f"document.querySelectorAll('#mode button')[{mode}].click()")
            assert "{" not in browser.run("return document.body.innerText")
        tags = "return [...document.querySelectorAll('#scene .tag')].map((tag) => tag.getBoundingClientRect().right)"
        assert max(browser.run(tags)) <= 360
        assert browser.console() == []


def test_nothing_found_shows_the_patches(tmp_path):
    page = look(task(), noise(), LookOptions(threshold=1.0)).page(tmp_path / "look.html").path
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait("document.getElementById('readout').textContent.includes('Highest')")
        said = browser.run("return document.getElementById('predictions').innerText").split("\n\n")
        assert said == [
            "tiny detector finds 3 kinds of objects: disc, star, 고리",
            "it saw the whole picture, reduced to 24 x 20 pixels",
            "Nothing at 100% or more.",
        ]
        assert browser.run("return document.getElementById('mode').offsetParent === null")
        assert browser.console() == []
