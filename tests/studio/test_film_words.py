"""The page of a film of a public pipeline: its words by frame are those of the trace."""

import json
import re

import pytest
import torch
from PIL import Image

from saccade.lens import Call
from saccade.studio.views import generated_film, public_film
from saccade.studio.views.generated_film import write_film_page
from saccade.studio.views.public_film import film_words
from saccade.tasks.generate.public_film import PublicFilmTask
from saccade.tasks.generate.public_film_look import FilmTrace
from saccade.tasks.generate.result import GeneratedFilm
from saccade.tasks.generate.sample import Sampling

from ..tasks.generate import generators
from . import webdriver

GRID, SPANS = (3, 2, 5), [range(1), range(1, 5), range(5, 9)]
needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")


def trace(names=("a", "b"), evaluations=5):
    """Of no pipeline: layers of cross-attention to 7 tokens."""
    generator, task = torch.Generator().manual_seed(3), generators.film_task()

    def call(name):
        q, k = (torch.randn(2, 3, n, 11, generator=generator) for n in (30, 7))
        return Call(name, "cross", q, k)

    settings = task.settings("two red words", "", 5, Sampling(evaluations), film=task.film_settings(9))
    film = GeneratedFilm([Image.new("RGB", (40, 16), (20 * i, 90, 10)) for i in range(9)], settings)
    calls = [[call(name) for name in names] for _ in range(evaluations)]
    return FilmTrace(
        film, ["two", "red", "words"], [[1], [2, 3], [3, 5]], calls, slice(0, 7), slice(0, 30), GRID, SPANS
    )


def expected(traced, step, layer):
    """Words and the rest, a token of two words counted with the first alone."""
    weights = traced.calls[step][layer].weights()[-1]
    words = torch.stack([weights[..., [1]].sum(-1), weights[..., [2, 3]].sum(-1), weights[..., [5]].sum(-1)], dim=1)
    return torch.cat([words, 1 - words.sum(1, keepdim=True)], dim=1)


def test_weights():
    traced = trace()
    film = film_words(traced)
    assert (film.words.steps, film.words.words) == ([0, 2, 4], ["two", "red", "words", "(other)"])
    assert film.names == ["1", "2–5", "6–9"]
    assert film.notes == ["The page shows 3 of 5 evaluations, to stay small."]
    for layer, scores in enumerate(film.words.layers):
        for slot, step in enumerate(film.words.steps):
            torch.testing.assert_close(scores.weights[slot], expected(traced, step, layer), atol=1e-6, rtol=1e-4)


def test_two_networks_and_many_layers(monkeypatch):
    traced = trace(("a", "b", "c", "d", "e"), 3)
    other = trace(("z",), 1).calls
    traced.calls[:0] = other
    monkeypatch.setattr(public_film, "MOST_NUMBERS", 3 * 3 * 4 * 30 * 3)  # three layers
    film = film_words(traced)
    assert [layer.name for layer in film.words.layers] == ["a", "c", "e"]
    assert film.words.steps == [1, 2, 3]
    assert "Two networks" in film.notes[0]
    assert film.notes[-1] == "The page shows 3 of 5 layers, to stay small."


@pytest.fixture
def page(tmp_path, monkeypatch):
    task = object.__new__(PublicFilmTask)
    task.name = "another"
    traced = trace()
    monkeypatch.setattr(generated_film, "trace_film", lambda *_, **__: traced)
    film, report = write_film_page(task, traced.film.settings, tmp_path / "look.html")
    assert film is traced.film
    return traced, report.path


def test_the_page(page):
    text = page[1].read_text(encoding="utf-8")
    targets = json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])["targets"]
    assert (targets["kind"], len(targets["layers"]), len(targets["frames"])) == ("film-words", 6, 9)


@needs_chromium
def test_page_in_chromium(page, tmp_path):
    traced, file = page
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(file, "#language=en&token=31&layer=2&head=3&step=2")
        browser.wait("document.getElementById('readout').textContent.includes('Highest')")
        assert browser.run("return document.getElementById('chosen').textContent") == "Selected: red"
        maps = expected(traced, 2, 1)[2]
        bold = browser.run("return [...document.querySelectorAll('#film b')].map((one) => one.textContent)")
        means = maps[1].view(3, 10).mean(-1).tolist()
        assert [float(one.removeprefix("mean ").removesuffix("%")) / 100 for one in bold] == pytest.approx(
            means, rel=0.02
        )
        click = """
const stage = document.querySelectorAll('#film .stage')[4]; // the last frame of the last group
const box = stage.getBoundingClientRect();
stage.dispatchEvent(new MouseEvent('click', { bubbles: true,
  clientX: box.left + box.width * 0.7, clientY: box.top + box.height * 0.75 }));
"""
        browser.run(click)
        assert "frames 6–9 (0.63 s), row 2, column 4" in browser.run(
            "return document.getElementById('words-where').textContent"
        )
        listed = browser.run(
            "return [...document.querySelectorAll('#words .prediction')].map((one) => one.textContent)"
        )
        place = maps[:, 20 + 8]
        names = ["two", "red", "words", "(other)"]
        for line, word in zip(listed, place.argsort(descending=True).tolist(), strict=True):
            assert line.startswith(names[word])
            value = float(line.removeprefix(names[word]).removesuffix("%")) / 100
            assert value == pytest.approx(float(place[word]), rel=0.02)
        assert browser.run("return document.getElementById('chosen').textContent") == "Selected: red"
        assert browser.run("return document.getElementById('reach').hidden")
        assert browser.console() == []
        assert browser.run("return document.getElementById('trouble').hidden")
