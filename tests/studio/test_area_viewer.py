"""The page of a segmenter: its outlines and words in node; the page in a real headless Chromium."""

import base64
import json
import re
import zlib

import pytest
import torch

from saccade.data.segments import IGNORE_INDEX
from saccade.studio.look import look

from . import webdriver
from .detectors import noise
from .node import evaluate, needs_node
from .segmenters import task
from .test_object_viewer import CHOSEN, LIST, PEAK, PIXELS, peak, shown_percent

needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

CLICK = """
const stage = document.getElementById(args[0]).getBoundingClientRect();
document.getElementById(args[0]).dispatchEvent(new MouseEvent('click', {
  bubbles: true, clientX: stage.left + stage.width * args[1], clientY: stage.top + stage.height * args[2] }));
"""
TAKEN = "return [...document.querySelectorAll('#patch-classes .prediction')].map((one) => one.innerText)"
COLOUR = """
const canvas = document.querySelector(args[0] + ' canvas');
if (canvas.hidden) return null;
const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
pixel.drawImage(canvas, Math.floor(args[1] * canvas.width), Math.floor(args[2] * canvas.height), 1, 1, 0, 0, 1, 1);
return [...pixel.getImageData(0, 0, 1, 1).data];
"""
READY = "!document.querySelector('#scene canvas').hidden"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The look, and its page."""
    one = look(task(), noise(48, 40))
    return one, one.page(tmp_path_factory.mktemp("areas") / "look.html").path


def packed(data):
    return base64.b64encode(zlib.compress(bytes(data))).decode()


@needs_node
def test_outlines_and_middles_against_every_pixel(node_viewer):
    height, width, rows, columns = 11, 17, 2, 3
    mask = torch.randint(0, 3, (height, width), dtype=torch.uint8)
    mask[2:9, 3:12] = 1
    mask[:, 15:] = IGNORE_INDEX
    content = {
        "grid": [rows, columns],
        "targets": {
            "names": ["a", "b", "c", "d"], "pixels": [0.3, 0.4, 0.3, 0], "transparent_classes": [0],
            "mask": [height, width], "colours": ["#ff0000", "#00ff00", "#0000ff", "#ffffff"],
            "layers": [{"tokens": 6}], "ranks": 0,
        },
    }  # fmt: skip
    program = f"""import {{ ClassLook }} from './classes.js';
    const data = {json.dumps({"mask": packed(mask.flatten().tolist()), "likely": packed([])})};
    const look = new ClassLook({json.dumps(content)}, (name) => data[name]);
    await look.ready;
    console.log(JSON.stringify({{ d: look.outline(1).d, none: look.outline(3), middle: look.middle(1),
      absent: look.middle(3), speaker: look.speaker, at: look.at(0.3, 0.5), beside: look.at(0.99, 0.1) }}));"""
    got = evaluate(node_viewer, program)
    drawn = set()
    for x, y, way, end in re.findall(r"M([\d.]+) ([\d.]+)([HV])([\d.]+)", got["d"]):
        start = (round(float(x) * width / columns), round(float(y) * height / rows))
        if way == "H":
            drawn |= {("H", at, start[1]) for at in range(start[0], round(float(end) * width / columns))}
        else:
            drawn |= {("V", start[0], at) for at in range(start[1], round(float(end) * height / rows))}

    def of(y, x):
        return 0 <= y < height and 0 <= x < width and int(mask[y, x]) == 1

    edges = {("H", x, y) for y in range(height + 1) for x in range(width) if of(y, x) != of(y - 1, x)}
    edges |= {("V", x, y) for y in range(height) for x in range(width + 1) if of(y, x) != of(y, x - 1)}
    assert drawn == edges
    assert got["none"] is None
    assert got["absent"] is None
    x, y = int(got["middle"]["x"] * width), int(got["middle"]["y"] * height)
    reach = round(got["middle"]["room"] * width)
    assert all(
        of(y + dy, x + dx)
        for dy in range(-reach + 1, reach)
        for dx in range(-reach + 1, reach)
        if abs(dy) + abs(dx) < reach
    )
    assert reach >= 4, "the block of 7 x 9 pixels has this much room"
    assert got["speaker"] == 1, "the largest class that has a colour"
    assert got["at"] == int(mask[5, 5])
    assert got["beside"] is None


@needs_chromium
def test_classes(found, tmp_path):
    one, page = found
    areas = one.targets
    first = next(i for i in range(5) if i not in areas.transparent_classes)
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en")
        browser.wait(READY)
        assert browser.run(CHOSEN) == f"Selected: {areas.names[first]}"
        where, most = peak(areas.layers[-1], 0, first)
        assert where in browser.run(PEAK)
        assert shown_percent(browser.run(PEAK)) == pytest.approx(most, rel=0.02)
        height, width = areas.mask.shape
        i = int(areas.mask[300, 100])
        browser.run(CLICK, "scene", 100.5 / width, 300.5 / height)
        assert browser.run(CHOSEN) == f"Selected: {areas.names[i]}", "the class of the pixel that was clicked"
        browser.run(f"document.querySelectorAll('#chips button')[{4 - i}].click()")
        assert browser.run(CHOSEN) == f"Selected: {areas.names[4 - i]}"
        browser.run("document.getElementById('scene').focus()")
        for key, token in (("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("ArrowUp", 4), ("End", 4), ("Home", 0)):
            browser.devtools("Input.dispatchKeyEvent", type="keyDown", key=key, code=key)
            assert browser.run(CHOSEN) == f"Selected: {areas.names[token]}"
        before = browser.run(PIXELS)
        browser.run("document.querySelectorAll('#maps [role=row]')[1].children[3].click()")  # layer 1, head 2
        assert browser.run(PIXELS) != before
        where, most = peak(areas.layers[0], 2, 0)
        assert where in browser.run(PEAK)
        inside = float(areas.layers[0].attention_inside_region(areas.region_coverage)[2, 0])
        said = browser.run("return document.getElementById('inside').textContent")
        assert shown_percent(said) == pytest.approx(inside, abs=0.005)
        assert f"the area of {areas.names[0]}" in said
        told = {name.strip(): weight for name, _, weight in browser.run(LIST)}
        for j, name in enumerate(areas.names):
            weight = float(told["itself" if j == 0 else name].removesuffix("%")) / 100
            assert weight == pytest.approx(float(areas.layers[0].self_weights[1, 0, j]), abs=0.001)
        sees = browser.run("return document.getElementById('predictions').innerText")
        assert areas.names[0] in sees
        assert f"{int((areas.pixels > 0).sum())} of its 5 classes" in sees
        assert browser.console() == []


@needs_chromium
def test_the_colours_are_those_of_the_classes_and_can_be_switched(found, tmp_path):
    areas = found[0].targets
    height, width = areas.mask.shape
    same = areas.mask[1:-1, 1:-1]
    inner = (same == areas.mask[1:-1, 2:]) & (same == areas.mask[2:, 1:-1])
    token = next(i for i in range(5) if i not in areas.transparent_classes)
    y, x = (1 + one for one in divmod(int(((same == token) & inner).flatten().byte().argmax()), width - 2))
    at = ((x + 0.5) / width, (y + 0.5) / height)
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(found[1], "#language=en")
        browser.wait(READY)
        assert browser.run(COLOUR, "#scene", *at) == [*areas.colours[token], 255]
        browser.run("document.querySelectorAll('#areas button')[1].click()")  # the chosen
        other = next(i for i in range(5) if i != token)
        browser.run(f"document.querySelectorAll('#chips button')[{other}].click()")
        assert browser.run(COLOUR, "#scene", *at)[3] == 0
        browser.run(f"document.querySelectorAll('#chips button')[{token}].click()")
        assert browser.run(COLOUR, "#scene", *at) == [*areas.colours[token], 255]
        browser.run("document.querySelectorAll('#areas button')[2].click()")  # none
        assert browser.run(COLOUR, "#scene", *at) is None
        assert browser.run("return document.querySelectorAll('#scene .tag').length") == 0
        browser.run("const cover = document.getElementById('cover'); cover.value = 20; cover.oninput()")
        browser.run("document.querySelectorAll('#areas button')[0].click()")  # all
        assert browser.run("return document.querySelector('#scene canvas').style.opacity") == "0.2"
        browser.run("document.querySelectorAll('#mode button')[1].click()")
        assert browser.run(COLOUR, "#picture", *at) == [*areas.colours[token], 255]
        assert browser.console() == []


@needs_chromium
def test_what_a_patch_drew_on_and_is_taken_for(found, tmp_path):
    one, page = found
    areas = one.targets
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&mode=self&token=1")
        browser.wait("document.querySelectorAll('#patch-classes .prediction').length")
        for patch in (0, 8):
            browser.run(CLICK, "picture", (patch % 6 + 0.5) / 6, (patch // 6 + 0.5) / 5)
            assert browser.run(CHOSEN) == f"Selected: patch at row {patch // 6 + 1}, column {patch % 6 + 1}"
            told = [line.split("\n") for line in browser.run(TAKEN)]
            there = [i for i in range(4) if areas.probabilities[i, patch] * 65535 >= 0.5]
            assert [name for name, _ in told] == [areas.names[areas.ranks[i, patch]] for i in there]
            for (_, chance), i in zip(told, there, strict=True):
                assert float(chance.removesuffix("%")) / 100 == pytest.approx(
                    float(areas.probabilities[i, patch]), abs=2e-3
                )
        weights = one.trace["vit.*"][-1].weights()[0].mean(0)[1 + 8]
        assert shown_percent(browser.run(PEAK)) == pytest.approx(float(weights[1:].max()), rel=0.05)
        browser.run("document.querySelectorAll('#chips button')[0].click()")
        assert browser.run(TAKEN) == []
        assert browser.run("return document.getElementById('patch-where').textContent").startswith("Select a patch")
        assert browser.console() == []


@needs_chromium
def test_phone_dark_and_korean(tmp_path):
    """A picture that leaves some of the canvas empty, and has not all classes."""
    one = look(task(), noise(30, 41))
    assert 0 in one.targets.pixels
    page = one.page(tmp_path / "look.html").path
    with webdriver.Browser(tmp_path / "profile", width=360, height=740, dark=True) as browser:
        browser.open(page, "#language=ko&token=4")
        browser.wait(READY)
        assert "이 이미지에 없음" in browser.run("return document.getElementById('chips').innerText")
        assert browser.run("return document.getElementById('inside').textContent").endswith("어텐션은 표시합니다.")
        assert browser.run("return document.getElementById('distance').offsetParent === null")
        assert browser.run("return getComputedStyle(document.body).backgroundColor") != "rgb(251, 251, 249)"
        for mode in (1, 0):
            browser.run(f"document.querySelectorAll('#mode button')[{mode}].click()")
            assert browser.run("return document.documentElement.scrollWidth") <= 360
            assert "{" not in browser.run("return document.body.innerText")
        assert browser.run("return document.getElementById('links') === null"), "of objects alone"
        assert browser.console() == []
