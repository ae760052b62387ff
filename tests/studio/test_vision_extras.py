"""Features and class maps of models in their library's own class."""

import pytest
import torch

pytest.importorskip("transformers")

from saccade.data import Picture
from saccade.studio.look import look
from saccade.studio.page.page import render_page
from saccade.studio.views import LookOptions
from saccade.tasks import load

from .test_vision import PICTURE, beit, dinov3, siglip


@pytest.mark.parametrize(("make", "normed"), [(dinov3, True), (siglip, True), (beit, False)])
def test_features_are_the_models_hidden_states(tmp_path, make, normed):
    make(tmp_path)
    found = look(load(tmp_path), PICTURE)
    task, features = found.task, found.extras.features
    with torch.no_grad():
        out = task.model(**task.vision.prepare(PICTURE.image), output_hidden_states=True)
    assert features.normed == normed
    assert list(features.layers) == [call.name for call in found.trace]
    last = out.last_hidden_state[0] if normed else out.hidden_states[-1][0]
    torch.testing.assert_close(list(features.layers.values())[-1], last, rtol=0, atol=1e-6)
    report = found.page(tmp_path / "page.html")
    assert 'id="features-2-0"' in report.path.read_text()


def test_the_classes_of_a_model_that_averages_its_patches(tmp_path):
    """BEiT has a class token, and reads its classes from the mean of the patches."""
    beit(tmp_path)
    found = look(load(tmp_path), PICTURE, LookOptions(classes=["kind 3"]))
    maps = found.extras.classes
    assert (maps.source, maps.maps[0].label) == ("mean", "kind 3")
    assert maps.maps[0].relevance.sum() == pytest.approx(1)
    assert maps.maps[0].deletion is not None


def test_two_pictures(tmp_path):
    dinov3(tmp_path)
    other = Picture(PICTURE.image.rotate(90), "b.png", ())
    found = look(load(tmp_path), PICTURE, LookOptions(other=other))
    assert found.extras.other.grid == (5, 5)
    again = look(load(tmp_path), other).extras.features.layers
    torch.testing.assert_close(found.extras.other.features.layers, again, rtol=0, atol=1e-6)
    content = render_page(found.page_input()).content
    assert content["title"] == f"{PICTURE.name} · b.png"
    assert (content["other"]["first"], content["other"]["name"]) == (PICTURE.name, "b.png")
