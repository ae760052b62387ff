"""Results in Korean: by --lang and by the locale; JSON and CSV never change."""

import json
from pathlib import Path

import pytest

from saccade.language import set_language

from ..studio import detectors, segmenters


@pytest.fixture(autouse=True)
def english_after_each_test(monkeypatch):
    for name in ("LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    yield
    set_language("en")


@pytest.fixture
def noise(tmp_path):
    detectors.noise().image.save(tmp_path / "noise.png")
    return "noise.png"


def test_look_by_option_and_by_locale(saccade, model, red, monkeypatch):
    english, korean = saccade("look", red, "--model", model), saccade("look", red, "--model", model, "--lang", "ko")
    assert (korean.code, korean.err) == (0, "")
    for part in ("패치 4 x 4개", "모든 층을 거친 어텐션(롤아웃): 패치당", "브라우저로 열고 패치를 클릭하세요"):
        assert part in korean.out
    assert "The page" not in korean.out
    assert '<html lang="ko">' in Path("saccade-look.html").read_text(encoding="utf-8")
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    assert "브라우저로 열고" in saccade("look", red, "--model", model).out
    assert "The page: saccade-look.html" in saccade("look", red, "--model", model, "--lang=en").out
    assert "The page: saccade-look.html" in english.out
    assert '<html lang="en">' in Path("saccade-look.html").read_text(encoding="utf-8")


def test_targets(saccade, noise, tmp_path):
    detectors.task().save(tmp_path / "finder")
    found = saccade("look", noise, "--model", "finder", "--threshold", "0.3", "--lang", "ko").out
    for part in ("객체", "점수", "내부 어텐션", "박스 비율", "객체를 클릭하세요"):
        assert part in found
    segmenters.task().save(tmp_path / "painted")
    assert "클래스를 클릭하세요" in saccade("look", noise, "--model", "painted", "--lang", "ko").out


def test_names_of_classes_of_bundled_models(saccade, red):
    korean = saccade("predict", red, "--model", "cifar", "--lang", "ko").out
    assert "이미지" in korean
    english = saccade("predict", red, "--model", "cifar").out
    names = {"airplane": "비행기", "frog": "개구리", "bird": "새", "cat": "고양이", "ship": "배", "truck": "트럭"}
    shown = [name for name in names if name in english]
    assert shown
    assert all(names[name] in korean and name not in korean for name in shown)
    doubted = [saccade("predict", red, "--lang", lang).out for lang in ("en", "ko")]
    assert "not sure" in doubted[0] or "unlike" in doubted[0]
    assert "not sure" not in doubted[1]
    assert "unlike" not in doubted[1]


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_json_and_csv_do_not_change(saccade, model, red, form):
    told = [saccade("predict", red, "--model", model, form, "--lang", lang) for lang in ("en", "ko")]
    assert told[0] == told[1]
    assert told[0].code == 0


def test_json_of_look_does_not_change(saccade, model, red):
    told = [json.loads(saccade("look", red, "--model", model, "--json", "--lang", lang).out) for lang in ("en", "ko")]
    for each in told:
        each.pop("seconds")
    assert told[0] == told[1]


def test_columns_are_aligned(saccade, noise, tmp_path):
    """A Hangul character is two columns wide."""
    from rich.cells import cell_len

    detectors.task().save(tmp_path / "finder")
    lines = saccade("predict", noise, "--model", "finder", "--lang", "ko").out.splitlines()
    table = [line for line in lines if line[:1] in "┏┃┡│└"]
    assert len(table) > 3
    assert len({cell_len(line) for line in table}) == 1


@pytest.mark.parametrize("language", ["fr", ""])
def test_other_languages_are_refused(saccade, red, language):
    completed = saccade("look", red, "--lang", language)
    assert completed.code == 2
    assert "en or ko" in completed.line


def test_doctor(saccade, red, tmp_path):
    for name in ("set/a/1.png", "set/b/2.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes((tmp_path / red).read_bytes())
    (tmp_path / "set" / "b" / "3.jpg").write_text("no picture")
    told = saccade("doctor", "set", "--lang", "ko")
    assert told.code == 1
    for part in ("오류", "디코딩할 수 없는 이미지: 바꾸거나 제거하세요", "두 클래스에 있는 같은 이미지", "경고"):
        assert part in told.out
