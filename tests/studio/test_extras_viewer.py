"""Similarity, class maps, two images and saving, in a real headless Chromium."""

import json
import re

import pytest
import torch

from saccade.data import Picture
from saccade.studio.look import look
from saccade.studio.views import LookOptions

from ..tasks import tiny
from . import webdriver
from .patches.test_class_maps import red, task
from .patches.test_features import cosines
from .test_viewer import CLICK

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

TEXT = "return document.getElementById(args[0]).textContent"
DONE = "document.getElementById('maps').ariaBusy === 'false'"
CATCH = """
window.saved = [];
const make = URL.createObjectURL;
URL.createObjectURL = (blob) => { window.blob = blob; return make(blob); };
HTMLAnchorElement.prototype.click = function () { window.saved.push(this.download); };
"""
ADDRESS = "return document.getElementById('save-address').value"
SLIDE = "const node = document.getElementById(args[0]); node.value = args[1]; node.oninput({ target: node });"
READ = """
const bytes = new Uint8Array(await window.blob.arrayBuffer());
return [window.saved.at(-1), window.blob.type, bytes.length, args[0] ? new TextDecoder().decode(bytes) : ''];
"""


@pytest.fixture
def found(tmp_path):
    other = Picture(tiny.picture("blue", size=(31, 17)), "other.png", ())
    one = look(task(), red(), LookOptions(other=other))
    return one, one.page(tmp_path / "look.html").path


def patch_name(at, columns=4):
    return f"patch at row {at // columns + 1}, column {at % columns + 1}"


def pick(browser, token):
    browser.run(CLICK.replace("/ 5", "/ 4").replace("/ 3", "/ 4"), (token - 1) // 4, (token - 1) % 4)


def press(browser, box, text):
    browser.run(
        "[...document.getElementById(args[0]).children].find((one) => one.textContent.startsWith(args[1])).click()",
        box,
        text,
    )


def test_similarity_to_the_chosen_patch(found, tmp_path):
    view, page = found
    layers = list(view.extras.features.layers.values())
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&view=similarity&token=6")
        for layer in (1, 0):
            own = cosines(layers[layer], layers[layer])[6]
            own[6] = -2
            best = int(own[1:].argmax()) + 1
            said = f"Most similar: {patch_name(best - 1)}, cosine {float(own[best]):.3f}"
            browser.wait(f"document.getElementById('readout').textContent.startsWith('{said[:-1]}')")
            browser.run(SLIDE, "layer", 1)
        browser.run("document.getElementById('save-link').click()")
        assert "layer=1&head=0&view=similarity" in browser.run(ADDRESS)
        assert browser.run(TEXT, "how-where") != ""
        assert browser.console() == []


def test_class_map_and_its_scores(found, tmp_path):
    view, page = found
    maps = view.extras.classes.maps
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&view=evidence&class=1")
        one = maps[1]
        browser.wait(f"document.getElementById('map-name').textContent.includes('“{one.label}”')")
        browser.wait("document.getElementById('readout').textContent.startsWith('Highest')")
        assert patch_name(int(one.relevance[1:].argmax())) in browser.run(TEXT, "readout")
        press(browser, "classes", maps[0].label)
        browser.wait(f"document.getElementById('map-name').textContent.includes('“{maps[0].label}”')")
        said = browser.run(TEXT, "extra")
        area = maps[0].deletion.area
        assert f"{area.value:.3g}" in said
        assert f"{area.random:.3g}" in said
        gain = area.random - area.value
        verdict = "Better" if gain > 0.02 else "Worse" if gain < -0.02 else "No clear difference"
        assert verdict in said.split("Insertion")[0]
        assert len(browser.run("return [...document.querySelectorAll('#extra polyline')].map((x) => x.className)")) == 4
        assert browser.console() == []


def test_the_patch_is_found_in_the_other_image(found, tmp_path):
    view, page = found
    one, two = (list(x.layers.values())[-1][1:] for x in (view.extras.features, view.extras.other.features))
    there = cosines(one, two)
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&pair=5")
        for query in (5, 9):
            best = int(there[query].argmax())
            browser.wait(f"document.getElementById('pair-found').textContent.includes('{patch_name(query)}')")
            said = browser.run(TEXT, "pair-found")
            cosine = re.search(rf"the {patch_name(best)} of other.png, cosine (−?[\d.]+)\. ", said)[1]
            assert float(cosine.replace("−", "-")) == pytest.approx(float(there[query, best]), abs=0.005)
            assert ("(mutual)" in said) == (int(there[:, best].argmax()) == query)
            browser.wait(DONE)
            pick(browser, 10)
        browser.run("document.getElementById('pair-1').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="Home", code="Home")
        back = int(there[:, 0].argmax())
        browser.wait(f"document.getElementById('pair-found').textContent.includes('{patch_name(back)} of red.png')")
        assert browser.console() == []


def test_a_map_is_saved_and_a_link_opens_it_again(found, tmp_path):
    view, page = found
    weights = view.trace[1].weights()[0, 0, 7]
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(page, "#language=en&token=7&layer=2&head=1")
        browser.wait("document.getElementById('readout').textContent.startsWith('Highest')")
        browser.run(CATCH)
        browser.run("document.getElementById('save-csv').click()")
        name, kind, _, text = browser.run(READ, True)
        assert (name, kind) == ("red-row-layer2-head1.csv", "text/csv")
        lines = [line.split(",") for line in text.strip().split("\r\n")]
        assert lines[0] == ["token", "row", "column", "weight"]
        assert [line[:3] for line in lines[1:3]] == [["cls", "", ""], ["patch", "1", "1"]]
        assert [line[1:3] for line in lines[-1:]] == [["4", "4"]]
        torch.testing.assert_close(torch.tensor([float(line[3]) for line in lines[1:]]), weights, rtol=0.05, atol=1e-3)
        browser.run("document.getElementById('save-png').click()")
        browser.wait("window.saved.at(-1).endsWith('.png') && window.blob.type === 'image/png'")
        size = browser.run("const one = await createImageBitmap(window.blob); return [one.width, one.height];")
        assert size[0] >= 1000
        press(browser, "view", "PCA")
        browser.run(SLIDE, "opacity", 35)
        browser.run("document.getElementById('save-link').click()")
        link = browser.run(ADDRESS)
        assert link.startswith(page.absolute().as_uri() + "#")
        browser.open(page, "#" + link.split("#")[1])
        browser.wait("document.getElementById('readout').textContent.includes('of the variance')")
        assert browser.run("return document.getElementById('opacity').value") == "35"
        assert browser.run("return document.getElementById('map').querySelector('canvas').style.opacity") == "0.35"
        assert browser.run(TEXT, "chosen").endswith(patch_name(6))
        browser.run(CATCH)
        browser.run("document.getElementById('save-csv').click()")
        name, _, _, text = browser.run(READ, True)
        assert name == "red-pca-layer2.csv"
        assert text.startswith("token,row,column,pc1,pc2,pc3\r\npatch,1,1,")
        assert browser.console() == []


def test_on_a_phone_in_korean(found, tmp_path):
    _, page = found
    with webdriver.Browser(tmp_path / "profile", width=360, height=740, dark=True) as browser:
        for view in ("similarity", "pca", "evidence"):
            browser.open(page, f"#language=ko&view={view}")
            browser.wait(DONE)
            assert browser.run("return document.documentElement.scrollWidth") <= 360
            assert "{" not in browser.run("return document.body.innerText")
            assert "을(를)" not in browser.run("return document.body.innerText")
        assert browser.console() == []


def test_the_policy_of_the_page_stays_strict(found):
    text = found[1].read_text()
    policy = text.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "img-src data:;" in policy
    assert "unsafe" not in policy
    assert json.loads(text.split('id="content">')[1].split("</script>")[0])["features"]["normed"]
