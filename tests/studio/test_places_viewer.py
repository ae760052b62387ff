"""The page of layers on grids of their own, in a real headless Chromium: places outside of a window are no sources."""

import pytest
import torch
from transformers import SwinConfig, SwinForImageClassification, ViTImageProcessorPil

from saccade.studio.look import look
from saccade.tasks import load

from . import webdriver
from .test_area_viewer import CLICK
from .test_places import PICTURE, SIDE, SWIN, liven

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")

HOVER = CLICK.replace("new MouseEvent('click', {", "new PointerEvent('pointermove', { pointerType: 'mouse',")
TEXT = "return document.getElementById(args[0]).textContent"
LAYER = "const layer = document.getElementById('layer'); layer.value = args[0]; layer.dispatchEvent(new Event('input'))"
ALPHA = """
const canvas = document.querySelector('#map canvas');
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
return [canvas.width, canvas.height, [...data].filter((_, i) => i % 4 === 3 && data[i] > 0).length];
"""


def test_a_place_of_a_window(tmp_path):
    torch.manual_seed(0)
    liven(SwinForImageClassification(SwinConfig(**SWIN, num_labels=3))).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(tmp_path)
    path = look(load(tmp_path), PICTURE).page(tmp_path / "look.html").path
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(path)
        browser.run(LAYER, 1)
        browser.run(CLICK, "scene", 0.1, 0.1)
        browser.wait("document.getElementById('readout').textContent.startsWith('Highest')")
        assert browser.run(TEXT, "chosen") == "Selected: place at row 2, column 2"
        assert "16 × 16 places, attending in 16 windows of 25 sources" in browser.run(TEXT, "inside")
        assert browser.run(ALPHA) == [16, 16, 25]  # its window alone has colours
        browser.run(HOVER, "map", 0.9, 0.9)
        assert browser.run(TEXT, "readout") == "place at row 15, column 15: not a source of it"
        browser.run(HOVER, "map", 0.2, 0.1)
        assert "uniform" in browser.run(TEXT, "readout")
        browser.run(LAYER, 3)  # a coarser grid
        browser.wait("document.querySelector('#map canvas').width === 8")
        assert browser.run(TEXT, "chosen") == "Selected: place at row 1, column 1"
        assert browser.console() == []


def test_similarity_of_features(tmp_path):
    """The most similar place is that of the exact features, on the layer's own grid, and no place is left out."""
    torch.manual_seed(0)
    liven(SwinForImageClassification(SwinConfig(**SWIN, num_labels=3))).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(tmp_path)
    found = look(load(tmp_path), PICTURE)
    features = list(found.targets.features.layers.values())[2]  # 8 x 8
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(found.page(tmp_path / "look.html").path, "#view=similarity&layer=3")
        browser.run(CLICK, "scene", 0.3, 0.7)  # row 6, column 3
        browser.wait("document.getElementById('readout').textContent.startsWith('Most similar')")
        cosines = torch.cosine_similarity(features[5 * 8 + 2], features, dim=1)
        best = int(cosines.index_fill(0, torch.tensor(5 * 8 + 2), -2).argmax())
        text = f"Most similar: place at row {best // 8 + 1}, column {best % 8 + 1}, cosine "
        browser.wait(f"document.getElementById('readout').textContent.startsWith('{text}')")
        assert abs(float(browser.run(TEXT, "readout").removeprefix(text)) - float(cosines[best])) < 0.01
        assert browser.run(ALPHA) == [8, 8, 64]
        assert browser.run("return document.getElementById('outside').childElementCount") == 0
        browser.run("[...document.querySelectorAll('#view button')].find((b) => b.textContent === 'PCA').click()")
        browser.wait("document.getElementById('readout').textContent.includes('of the variance')")
        assert browser.console() == []
