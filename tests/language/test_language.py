"""Texts, names of classes and particles in Korean, and that the notes of the code are in the table."""

import ast
import itertools
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

import saccade
from saccade import language
from saccade.language import korean, korean_label, korean_labels, system_language
from saccade.language.particles import final_consonant, with_particles
from saccade.tasks import load

TEXTS, LABELS = (
    json.loads((files("saccade.language") / f"{name}.json").read_text("utf-8")) for name in ("texts", "labels")
)
PLACES = re.compile(r"\{(\w+)(?::\w+)?\}")


@pytest.mark.parametrize(
    ("word", "final"),
    [
        ("고양이", ""), ("책", "other"), ("말", "ㄹ"), ("0", "other"), ("1", "ㄹ"), ("2", ""), ("13", "other"),
        ("10", "other"), ("12.5%", ""), ("cat", "other"), ("dog", ""), ("truck", "other"), ("apple", "ㄹ"),
        ("airplane", "other"), ("ViT", ""), ("CLIP", "other"), ("HTML", "ㄹ"), ("VRAM", "other"), ("x", ""),
        ("원(circle)", "other"), ("“별”", "ㄹ"), ("2×10⁻³", "other"), ("", ""),
    ],
)  # fmt: skip
def test_the_final_consonant_of_a_word_as_read_aloud(word, final):
    assert final_consonant(word) == final


def test_particles():
    assert with_particles("3은(는) 2을(를) 책(으)로 말(으)로 개(으)로") == "3은 2를 책으로 말로 개로"
    assert with_particles("고양이과(와) 개이(가) 별이(가)") == "고양이와 개가 별이"
    assert with_particles("a red ball을(를)\n물이(가)") == "a red ball을\n물이"


def test_places_are_the_same_in_both_languages():
    for english, translation in TEXTS.items():
        assert sorted(PLACES.findall(english)) == sorted(PLACES.findall(translation)), english
        assert re.search("[가-힣]", translation) or not re.search("[a-z]{2} [a-z]{2}", english), english
        assert not re.search(r"[가-힣](?:을\(를\)|이\(가\)|은\(는\)|과\(와\)|\(으\)로)", translation), translation


def test_values_go_to_their_places():
    assert korean("size 43 is not a multiple of the patch: 40 is used", {}) == (
        "크기 43은 패치의 배수가 아니어서 40을 씁니다"
    )
    assert korean("no class maps: it has a mask", {}) == "클래스 맵 없음: 마스크가 있음"
    best = "nothing is found at 50% or more; the highest score is cat at 3.2%: try a lower threshold"
    assert "고양이 3.2%입니다" in korean(best, {"cat": "고양이"})
    assert "cat 3.2%입니다" in korean(best, {})
    assert korean("  7 more\n", {}) == "  그 밖에 7개\n"
    several, one = "the run has 23 epochs now, and had 7 epochs", "the run has 7 epochs now, and had 1 epoch"
    assert korean(several, {}) == "학습은 이제 23에폭입니다(이전: 7에폭)"
    assert korean(one, {}) == "학습은 이제 7에폭입니다(이전: 1에폭)"


@pytest.mark.parametrize(
    "text", ["", " ", "a red star left of a blue ring", "left of", "{n} of {a}", "3 of a kind", "12"]
)
def test_what_is_in_no_table_stays(text):
    assert korean(text, {}) == text


def test_classes_of_the_bundled_models_and_of_no_others():
    for model in ("cifar", "scenes", "shapes"):
        task = load(model)
        names = language.labels_of(task)
        assert len(names) >= 10
        assert set(korean_labels(names)) == set(names)
    assert korean_labels(["cat", "wombat of mine"]) == {}
    assert korean_label("star 2", {"star": "별"}) == "별 2"
    assert korean_label("star 64%", {"star": "별"}) == "별 64%"
    assert korean_label("stars", {"star": "별"}) == "stars"
    assert len(set(LABELS.values())) == len(LABELS)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": ""}, "ko"),
        ({"LANG": "de_DE"}, "en"),
        ({}, "en"),
    ],
)
def test_the_locale(monkeypatch, environment, expected):
    for name in ("LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert system_language() == expected


def notes_in(source):
    """Texts that code puts into notes, with 7 for every value."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=target, attr="append"), args=[text]) if named_notes(target):
                yield from texts_in(text)
            case ast.Assign(targets=[target], value=ast.List(elts=elements)) if named_notes(target):
                for element in elements:
                    yield from texts_in(element)
            case ast.FunctionDef(name=name) if name.endswith("_note"):
                for one in ast.walk(node):
                    if isinstance(one, ast.Return) and one.value is not None:
                        yield from texts_in(one.value)


def named_notes(target):
    return ast.unparse(target).endswith("notes")


def texts_in(node):
    if isinstance(node, ast.IfExp):
        yield from [*texts_in(node.body), *texts_in(node.orelse)]
    if isinstance(node, ast.JoinedStr | ast.Constant):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        yield "".join(map(text_of, parts))


def text_of(part):
    match part:
        case ast.Constant(value=value):
            return str(value)
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id="pluralize"), args=[_, ast.Constant(value=one)])):
            return f"7 {one}s"
    return "7"


def test_every_note_is_in_the_table():
    found = []
    for file in Path(saccade.__file__).parent.rglob("*.py"):
        found += [(file.name, text) for text in notes_in(file.read_text("utf-8"))]
    assert len(found) > 100
    composed = {"7 is 7"}  # of a text that is in the table with its first value
    assert [(name, text) for name, text in found if text and korean(text, {}) == text and text not in composed] == []


def test_no_text_of_the_table_has_left_the_code():
    """Most pairs of words of each text are in the code; some texts are composed there."""
    code = "\n".join(file.read_text("utf-8") for file in Path(saccade.__file__).parent.rglob("*.py"))
    words = re.findall(r"[\w'-]+", re.sub(r"""["']\s*\n\s*f?["']""", "", code))
    known = set(itertools.pairwise(words))
    for text in TEXTS:
        parts = [re.findall(r"[\w'-]+", part) for part in re.split(r"\{[^}]*\}", text)]
        pairs = [pair for part in parts for pair in itertools.pairwise(part)]
        assert sum(pair in known for pair in pairs) >= 0.5 * len(pairs), text
