"""The texts of the page: each in both languages, each text from the table, Korean with the right particles."""

import itertools
import json
import re

import pytest

from saccade.language import labels_of
from saccade.language.particles import with_particles
from saccade.studio.look import look
from saccade.studio.page.page import write_page
from saccade.studio.views import LookOptions

from . import detectors, segmenters, webdriver
from .made_up import page, trace
from .node import VIEWER, evaluate, needs_node

SOURCES = {file.name: file.read_text(encoding="utf-8") for kind in ("js", "html") for file in VIEWER.glob(f"*.{kind}")}
PYTHON = "\n".join(file.read_text(encoding="utf-8") for file in (VIEWER.parent / "views").glob("*.py"))
PARTICLE = r"(?:을|를|이|가|은|는|과|와|으로|로)(?![가-힣(])"

needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")


@pytest.fixture(scope="module")
def tables(node_viewer):
    return evaluate(
        node_viewer,
        "import { TEXTS } from './texts.js'; import { CALL_TEXTS } from './callstexts.js';"
        "import { SCENES } from './scenes.js';"
        "console.log(JSON.stringify([TEXTS, CALL_TEXTS, ...Object.values(SCENES).map((scene) => scene.texts)]));",
    )


@needs_node
def test_every_text_is_in_both_languages(tables):
    for table in tables:
        assert set(table["en"]) == set(table["ko"])
        for key, english in table["en"].items():
            korean = table["ko"][key]
            assert set(re.findall(r"\{(\w+)\}", english)) == set(re.findall(r"\{(\w+)\}", korean)), key
            written = re.sub(r"\{\w+\}|nats", "", english)
            assert re.search("[가-힣]", korean) or not re.search("[a-z]{3}", written), key


@needs_node
def test_particles_after_values_have_both_forms(tables):
    for key, text in itertools.chain(*(table["ko"].items() for table in tables)):
        assert not re.search(rf"\{{\w+\}}[”’]*{PARTICLE}", text), (key, text)
        assert not re.search(r"[가-힣](?:을\(를\)|이\(가\)|은\(는\)|과\(와\)|\(으\)로)", text), (key, text)
        assert " %" not in text, key


@needs_node
def test_every_text_that_is_looked_up_is_in_a_table(tables):
    known = set(itertools.chain(*(table["en"] for table in tables)))
    for name, source in SOURCES.items():
        used = set(re.findall(r"\bsay\('([^']+)'[,)]", source))
        used |= set(re.findall(r'data-(?:say|label|cross)="(\w+)"', source))
        assert used <= known, (name, used - known)
    facts = set(re.findall(r'"(\w+)": (?:f"|str\(|self\.|settings\.|task\.|")', PYTHON)) & {
        "parameters", "picture", "patch", "precision", "detail", "classes", "queries", "frames", "sampler", "guidance",
        "seed", "negative",
    }  # fmt: skip
    assert len(facts) > 8
    assert {f"fact {name}" for name in facts} <= known


def test_no_text_is_written_beside_the_tables():
    shown = r"(?:\.(?:textContent|innerText|title|ariaLabel|alt) = |\bh\('\w+', \{[^{}]*\}, )['`][A-Za-z가-힣]{2}"
    for name, source in SOURCES.items():
        assert not re.search(shown, source), name


WORDS = [
    "3",
    "10",
    "cat",
    "dog",
    "ViT",
    "CLIP",
    "HTML",
    "고양이",
    "말",
    "책",
    "“star”",
    "원(disc)",
    "12.5%",
    "1×10⁻⁵",
    "apple",
]


@needs_node
def test_particles_follow_the_words_as_read_aloud(node_viewer):
    marked = [f"{word}{form}" for word in WORDS for form in ("은(는)", "이(가)", "을(를)", "과(와)", "(으)로")]
    program = "import { withParticles } from './korean.js';"
    program += f"console.log(JSON.stringify({json.dumps(marked)}.map(withParticles)));"
    assert evaluate(node_viewer, program) == [with_particles(text) for text in marked]


READ = """return [...document.querySelectorAll('main *')]
  .filter((node) => node.checkVisibility?.() && !node.closest('noscript'))
  .flatMap((node) => [...[...node.childNodes].filter((one) => one.nodeType === 3), node.ariaLabel, node.title])
  .map((one) => one?.data ?? one)
  .filter(Boolean)"""
SYMBOLS = {
    "exp",
    "lse",
    "ln",
    "nat",
    "cls",
    "CMYK",
    "PCA",
    "RGB",
    "PNG",
    "CSV",
    "Home",
    "End",
    "Enter",
    "EN",
    "KO",
    "fp",
    "predict",
}


@needs_chromium
def test_no_english_is_left_on_a_korean_page_of_patches(tmp_path):
    facts = {"name": "m", "parameters": "1.2 million", "picture": "40 x 40 pixels"}
    notes = ["CMYK converted to RGB without its colour profile"]
    write_page(tmp_path / "look.html", page(trace(), model=facts, notes=notes))
    assert english_on(tmp_path) <= SYMBOLS | {"register"}


@needs_chromium
@pytest.mark.parametrize("made", [detectors, segmenters])
def test_no_english_is_left_on_a_korean_page_of_targets(tmp_path, made):
    task = made.task()
    look(task, detectors.noise(), LookOptions(threshold=0.01 if made is detectors else None)).page(
        tmp_path / "look.html"
    )
    names = [task.name, "noise.png", *labels_of(task)]
    assert english_on(tmp_path) <= SYMBOLS | set(re.findall("[A-Za-z]+", " ".join(names)))


def english_on(folder):
    """The words in Latin letters that a page in Korean shows or says."""
    with webdriver.Browser(folder / "profile") as browser:
        browser.open(folder / "look.html", "#language=ko")
        browser.wait("document.getElementById('readout').textContent.includes('행')")
        text = "\n".join(browser.run(READ))
    assert "(를)" not in text
    return set(re.findall(r"[A-Za-z]{2,}", text))
