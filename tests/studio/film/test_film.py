"""Films on a page: where tokens lie, and attention in time and space, against the model's own weights."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.film_frames import read_clip
from saccade.errors import SaccadeError
from saccade.lens import Call, Trace, watch
from saccade.studio.film.attention import FilmAttentionCall, FilmLayout, film_calls
from saccade.studio.film.film import FilmPageData
from saccade.studio.page.page import PageInput, write_page
from saccade.studio.views import LookOptions
from saccade.studio.views.film import FilmView
from saccade.tasks import load

from ...checkpoints import tiny_video_classifiers as tiny
from ...data import tiny_videos
from .. import webdriver
from ..node import decode, needs_node
from ..phone import check_on_phone

FAMILIES = ["videomae", "videomae-first", "vivit", "timesformer", "timesformer-joint"]
needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """One of each family, looking at a film."""
    folder = tmp_path_factory.mktemp("films")
    film = tiny_videos.film(folder / "a.mp4", 20)
    found = {}
    for name in FAMILIES:
        tiny.save(name, folder / name, std=0.8)
        task = load(folder / name)
        found[name] = FilmView.look_at_clip(task, read_clip(film, task.frames), LookOptions())
    return found


def expected_row(call: FilmAttentionCall, weights, target):
    """A row in the order of the layout from the model's own weights (b h n m), which folds time or space into b."""
    layout, first = call.layout, len(call.layout.prefix)
    group, patch = divmod(target - first, layout.patches)
    out = torch.zeros(weights.shape[1], layout.tokens)
    if call.reach == "time":
        if target >= first:
            out[:, first + patch :: layout.patches] = weights[patch, :, group]
    elif target < first:
        for g in range(len(layout.groups)):
            out[:, 0] += weights[g, :, 0, 0] / len(layout.groups)
            start = layout.token(g, 0, 0)
            out[:, start : start + layout.patches] = weights[g, :, 0, 1:] / len(layout.groups)
    else:
        start = layout.token(group, 0, 0)
        out[:, 0] = weights[group, :, 1 + patch, 0]
        out[:, start : start + layout.patches] = weights[group, :, 1 + patch, 1:]
    return out


@pytest.mark.parametrize("name", ["videomae", "videomae-first", "vivit"])
def test_joint_rows_are_the_models(views, name):
    view = views[name]
    assert [call.reach for call in view.targets.layers] == ["film", "film"]
    for call, seen in zip(view.targets.layers, view.trace, strict=True):
        torch.testing.assert_close(call.rows(range(call.layout.tokens)), seen.weights())


def test_joint_rows_of_timesformer_are_put_in_order(views):
    """Its tokens are the frames of one place after another."""
    view = views["timesformer-joint"]
    layout = view.targets.layout
    theirs = [0] + [1 + p * len(layout.groups) + t for t in range(len(layout.groups)) for p in range(layout.patches)]
    for call, seen in zip(view.targets.layers, view.trace, strict=True):
        expected = seen.weights()[:, :, theirs][:, :, :, theirs]
        torch.testing.assert_close(call.rows(range(layout.tokens)), expected)


def test_divided_rows_are_the_models(views):
    view = views["timesformer"]
    assert [(call.reach, call.layer) for call in view.targets.layers] == [
        ("time", 1), ("space", 1), ("time", 2), ("space", 2)
    ]  # fmt: skip
    for call, seen in zip(view.targets.layers, view.trace, strict=True):
        assert seen.name.endswith("temporal_attention.attention") == (call.reach == "time")
        weights = seen.weights()
        for target in range(call.layout.tokens):
            torch.testing.assert_close(call.rows([target])[0, :, 0], expected_row(call, weights, target))


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_lie_where_the_film_changes(views, name):
    """A patch of one frame is changed: in the first layer, only the keys of its token are other ones."""
    view = views[name]
    classifier, layout = view.task.classifier, view.targets.layout
    frame, row, column = classifier.num_frames - 2, 2, 1
    group = next(g for g, frames in enumerate(layout.groups) if frame in frames)
    inputs = torch.randn(1, classifier.num_frames, 3, 24, 24)
    changed = inputs.clone()
    changed[0, frame, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += 1
    keys = []
    for given in (inputs, changed):
        with watch(view.task.model) as trace, torch.no_grad():
            classifier.logits(given)
        calls = FilmView.calls(classifier, trace, layout)[0]
        keys.append(calls[0].k[0])
    moved = (keys[0] - keys[1]).abs().amax(dim=(0, 2)) > 1e-4
    assert moved.nonzero()[:, 0].tolist() == [layout.token(group, row, column)]


def test_distances_of_uneven_groups():
    """The first frame alone, then tubes of two."""
    frames = [Image.new("RGB", (6, 4))] * 5
    layout = FilmLayout(frames, [0.0] * 5, [(0,), (1, 2), (3, 4)], (2, 3), ["cls"])
    assert layout.centres == [0.0, 1.5, 3.5]
    call = FilmAttentionCall("a", 1, layout, torch.randn(1, 2, 19, 5), torch.randn(1, 2, 19, 5), 0.7)
    rows = call.rows(range(19))[0].double()[:, 1:, 1:]
    rows = rows / rows.sum(-1, keepdim=True)
    places = [(layout.centres[i // 6], i % 6 // 3, i % 3) for i in range(18)]
    time = torch.tensor([[abs(a[0] - b[0]) for b in places] for a in places]).double()
    space = torch.tensor([[np.hypot(a[1] - b[1], a[2] - b[2]) for b in places] for a in places])
    found = call.attention_distances()
    torch.testing.assert_close(found[0].double(), (rows * time).sum(-1).mean(-1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1].double(), (rows * space).sum(-1).mean(-1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reach", ["time", "space"])
def test_distances_of_divided_attention(reach):
    layout = FilmLayout([Image.new("RGB", (6, 4))] * 5, [0.0] * 5, [(i,) for i in range(5)], (2, 3), ["cls"])
    call = FilmAttentionCall("a", 1, layout, torch.randn(1, 4, 31, 7), torch.randn(1, 2, 31, 7), 0.7, reach)
    rows = call.rows(range(31))[0, :, 1:, 1:]
    rows = rows / rows.sum(-1, keepdim=True)
    place = torch.tensor([(i // 6, i % 6 // 3, i % 3) for i in range(30)]).float()
    far = torch.stack([torch.cdist(place[:, :1], place[:, :1]), torch.cdist(place[:, 1:], place[:, 1:])])
    expected = torch.einsum("hin,din->dh", rows, far) / 30
    torch.testing.assert_close(torch.stack(call.attention_distances()), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["videomae", "vivit"])
def test_pictures_are_the_frames_as_the_network_sees_them(views, name):
    classifier = views[name].task.classifier
    pixels = np.random.default_rng(0).integers(0, 256, (6, 27, 27, 3), np.uint8)  # of the size that is cropped alone
    pictures = classifier.pictures(classifier.preprocess([Image.fromarray(each) for each in pixels]))
    middle = pixels[:, 1:25, 1:25].astype(int)
    assert np.abs(np.stack(list(map(np.asarray, pictures))).astype(int) - middle).max() <= 1


def test_calls_that_cannot_be_shown_are_named():
    layout = FilmLayout([Image.new("RGB", (4, 4))] * 2, [0.0, 1.0], [(0,), (1,)], (1, 2))
    q = torch.randn(1, 2, 4, 3)
    masked = Call("masked", "self", q, q, mask=torch.ones(4, 4, dtype=torch.bool))
    other = Call("other", "self", q[:, :, :3], q[:, :, :3])
    calls, notes = film_calls(Trace([masked, Call("fits", "self", q, q), other]), layout)
    assert [call.name for call in calls] == ["fits"]
    assert notes[0] == "Not shown: masked: it has a mask."
    assert "other: it is self-attention of 1 x 3 to 3 tokens, not of 1 x 4 to itself" in notes[1]
    with pytest.raises(SaccadeError, match="no attention call fits a film of 2 x 1 x 2 tokens"):
        film_calls(Trace([masked]), layout)


@needs_node
@pytest.mark.parametrize("name", ["vivit", "timesformer", "timesformer-joint"])
def test_numbers_of_the_page(views, name, tmp_path, node_viewer):
    view = views[name]
    view.page(tmp_path / "look.html")
    layout, calls = view.targets.layout, view.targets.layers
    asked = [
        {"layer": layer, "head": head, "token": token}
        for layer in range(len(calls))
        for head, token in [(1, 0), (2, layout.token(1, 2, 0)), (-1, layout.token(2, 1, 1))]
    ]
    for one, got in zip(
        asked,
        decode(node_viewer, Path(__file__).with_name("decode_film.mjs"), tmp_path / "look.html", asked),
        strict=True,
    ):
        call, token = calls[one["layer"]], one["token"]
        weights = call.rows(range(layout.tokens))[0]
        weights = weights.mean(0) if one["head"] < 0 else weights[one["head"]]
        torch.testing.assert_close(torch.tensor(got["row"]).float(), weights[token], atol=2e-3, rtol=0.04)
        torch.testing.assert_close(torch.tensor(got["column"]).float(), weights[:, token], atol=2e-3, rtol=0.04)
        shares = weights[token, len(layout.prefix) :].view(len(layout.groups), -1).sum(-1)
        torch.testing.assert_close(torch.tensor(got["shares"]).float(), shares, atol=5e-3, rtol=0.04)
        assert set(got["hidden"]) <= set((weights[token] == 0).nonzero()[:, 0].tolist())
        assert got["sources"] == (int((weights[token] > 0).sum()) or layout.tokens) or token == 0


@needs_chromium
def test_page_in_chromium(views, tmp_path):
    view = views["videomae"]
    view.page(tmp_path / "look.html")
    call, layout = view.targets.layers[1], view.targets.layout
    ready = "document.getElementById('readout').textContent.includes('Highest')"
    click = """
const stage = document.querySelectorAll('#film .stage')[args[0]];
const box = stage.getBoundingClientRect();
stage.dispatchEvent(new MouseEvent('click', { bubbles: true,
  clientX: box.left + (box.width * (args[2] + 0.5)) / 3, clientY: box.top + (box.height * (args[1] + 0.5)) / 3 }));
"""
    text = "return document.getElementById(args[0]).textContent"
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(tmp_path / "look.html", "#language=en")
        browser.wait(ready)
        browser.run(click, 5, 2, 1)  # the last frame of the last tube
        browser.wait(ready)
        assert "frames 5–6" in browser.run(text, "chosen")
        assert browser.run(text, "frame-name").startswith("6 of 6")
        row = call.rows([layout.token(2, 2, 1)])[0].mean(0)[0]
        shares = browser.run("return [...document.querySelectorAll('#film b')].map((one) => one.textContent)")
        assert [float(share.removesuffix("%")) / 100 for share in shares] == pytest.approx(
            row.view(3, 9).sum(-1).tolist(), abs=4e-3
        )
        place = re.search(
            r"Highest: frames (\d)–\d \(.*?\), row (\d), column (\d), ([\d.]+)%", browser.run(text, "readout")
        )
        assert place is not None
        first, r, c, value = place.groups()
        assert float(value) / 100 == pytest.approx(float(row.max()), rel=0.03)
        assert float(row[layout.token((int(first) - 1) // 2, int(r) - 1, int(c) - 1)]) == pytest.approx(
            float(row.max()), rel=0.03
        )
        assert browser.run("return document.querySelectorAll('#distance circle').length") == 6
        numbers = browser.run(
            "return [...document.querySelectorAll('#numbers tr')].map((line) => line.lastChild.textContent)"
        )
        head = call.rows([layout.token(2, 2, 1)])[0, 0, 0]  # the first one's, as the mean has no query
        assert float(numbers[1]) == pytest.approx(float(head[row.argmax()]), rel=0.05)
        assert numbers[-1] == "1.0000"
        assert browser.run("return document.getElementById('trouble').hidden")
        browser.run("document.querySelectorAll('#language button')[1].click()")
        assert "프레임" in browser.run(text, "film-where")


@needs_chromium
def test_divided_attention_in_chromium(views, tmp_path):
    """A place attends over time to itself in every frame, and over space to nothing in another one."""
    view = views["timesformer"]
    view.page(tmp_path / "look.html")
    layout, calls = view.targets.layout, view.targets.layers
    token, barred = layout.token(1, 0, 2), "document.querySelectorAll('#film .barred').length"
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(tmp_path / "look.html", f"#language=en&mode=cross&token={token}&layer=3&head=2&view=row")
        browser.wait("document.getElementById('readout').textContent.includes('Highest')")
        row = calls[2].rows([token])[0, 1, 0]
        shares = browser.run("return [...document.querySelectorAll('#film b')].map((one) => one.textContent)")
        assert [float(share.removesuffix("%")) / 100 for share in shares] == pytest.approx(
            row[1:].view(5, 9).sum(-1).tolist(), abs=4e-3
        )
        assert browser.run(f"return {barred}") == 0
        assert "over time" in browser.run("return document.getElementById('layer-name').textContent")
        browser.open(tmp_path / "look.html", f"#language=en&mode=cross&token={token}&layer=4&head=2&view=row")
        browser.wait("document.getElementById('readout').textContent.includes('Highest')")
        assert browser.run(f"return {barred}") == 4
        assert browser.run("return document.querySelectorAll('#film b')[0].textContent") == "not attended to here"
        browser.open(tmp_path / "look.html", "#language=en&mode=cross&token=0&layer=3&head=2&view=row")
        browser.wait(f"{barred} === 5")
        assert "has no softmax of its own here" in browser.run(
            "return document.getElementById('how-where').textContent"
        )
        assert browser.run("return document.getElementById('trouble').hidden")


@needs_chromium
def test_on_a_phone(views, tmp_path):
    views["videomae"].page(tmp_path / "look.html")
    check_on_phone(tmp_path / "look.html", tmp_path / "profile")


def test_a_small_budget_leaves_layers_out(views, tmp_path):
    """The page says so; what remains is as exact as it says."""
    layout = FilmLayout([Image.new("RGB", (8, 8))] * 6, [0.0] * 6, [(i,) for i in range(6)], (8, 8))
    layers = [
        FilmAttentionCall(f"l{i}", i + 1, layout, torch.randn(1, 4, 384, 16), torch.randn(1, 4, 384, 16), 0.25)
        for i in range(4)
    ]
    film = FilmPageData(layers=layers, others=Trace([]), grid=(8, 8), notes=[], layout=layout, start=5)
    page = PageInput(picture=layout.frames[0], grid=(8, 8), trace=Trace([]), targets=film)
    small = write_page(tmp_path / "small.html", page, budget=60_000)  # besides the viewer itself
    assert sum(layer.size for layer in film.fitting(20_000).packing_result.layers if layer) < 60_000
    content = re.search(r'id="content">(.*?)</script>', small.path.read_text(), re.DOTALL)
    assert content is not None
    kept = ["planes" in layer for layer in json.loads(content[1])["targets"]["layers"]]
    assert kept[-1]
    assert (small.layers, small.layers_kept) == (4, sum(kept))
    assert not all(kept)
