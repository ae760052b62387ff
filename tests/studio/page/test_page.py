"""The page: that it holds what it promises, in the bytes it promises, whatever names people give."""

import base64
import hashlib
import json
import re
from importlib.resources import files

import pytest
import torch
from PIL import Image

from saccade.errors import DataError, SaccadeError
from saccade.lens import Call, Trace
from saccade.studio.page.document import script_modules
from saccade.studio.page.page import PageInput, write_page

from ..made_up import page, trace


def content(path) -> dict:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found[1])


def test_report(tmp_path):
    report = write_page(tmp_path / "look.html", page(trace()))
    assert report.bytes == report.path.stat().st_size < 200_000
    assert report.layers_kept == report.layers == 2
    assert 0 < report.error_typical < 0.02
    assert report.error_largest < 0.05
    said = content(report.path)
    assert [len(layer["entropy"]) for layer in said["layers"]] == [4, 4]
    assert sum(said["rollout"]) == pytest.approx(1, abs=1e-3)


def test_numbers_of_heads(tmp_path):
    calls = trace()
    said = content(write_page(tmp_path / "look.html", page(calls)).path)
    for layer, call in zip(said["layers"], calls, strict=True):
        assert layer["entropy"] == pytest.approx(call.entropy()[0].mean(-1).tolist(), rel=1e-3)
        assert layer["distance"] == pytest.approx(call.distance((3, 5))[0].tolist(), rel=1e-3)


def test_budget_takes_bits_then_layers(tmp_path):
    calls = trace(rows=13, columns=11, layers=5, heads=2, groups=2, width=8)
    file = tmp_path / "look.html"
    free = write_page(file, page(calls, 13, 11))
    packed = sum(len(data) for data in re.findall(r'id="layer-\d+">([^<]*)<', file.read_text(encoding="utf-8")))
    some, few = free.bytes - packed // 2, free.bytes - packed * 4 // 5  # whatever the viewer itself takes
    tight, tiny = (write_page(file, page(calls, 13, 11), budget) for budget in (some, few))
    assert free.layers_kept == tight.layers_kept == 5
    assert tight.bytes <= some < free.bytes
    assert tight.bits < free.bits
    assert free.error_typical < tight.error_typical < 0.2
    assert tiny.layers_kept < 5
    assert tiny.bytes <= few
    said = content(tiny.path)
    assert [bool(layer.get("planes")) for layer in said["layers"]].count(True) == tiny.layers_kept
    assert said["layers"][-1]["planes"], "the last layer, from which the prediction is read, stays"
    assert said["precision"]["typical"] == tiny.error_typical


NASTY = "</script><script>alert(1)</script><!-- \"quotes\" 'single' & \u2028 \x00 한글 \ud83d\ude00".encode(
    "utf-16", "surrogatepass"
).decode("utf-16")


def test_whatever_names_say(tmp_path):
    shown = page(
        trace(),
        prefix=[NASTY, "r"],
        title=NASTY,
        predictions=[(NASTY, 0.5)],
        model={"name": NASTY, NASTY: NASTY},
        notes=[NASTY],
    )
    text = write_page(tmp_path / "look.html", shown).path.read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 1 + 2 + 1  # content, two layers, the viewer
    assert "<!--" not in text
    said = content(tmp_path / "look.html")
    assert [said["title"], said["prefix"][0], said["predictions"][0][0], said["notes"][0]] == [NASTY] * 4


def test_half_characters(tmp_path):
    report = write_page(tmp_path / "look.html", page(trace(), title="undecodable \udcff.jpg"))
    assert content(report.path)["title"] == "undecodable ?.jpg"


def test_nothing_from_outside_and_only_our_script(tmp_path):
    text = write_page(tmp_path / "look.html", page(trace())).path.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=[\"']?(?!data:)\w", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text), "no address but that of SVG's name"
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind, tag in (("script-src", '<script type="module">'), ("style-src", "<style>")):
        inline = re.search(rf"{tag}(.*?)</(?:script|style)>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


def test_calls_that_do_not_fit_are_named(tmp_path):
    calls = list(trace())
    odd = [
        Call("text.attn", "self", torch.randn(1, 2, 9, 7), torch.randn(1, 2, 9, 7)),
        Call("cross", "cross", torch.randn(1, 2, 17, 7), torch.randn(1, 2, 17, 7)),
        Call("broken", "self", torch.full((1, 2, 17, 7), torch.nan), torch.randn(1, 2, 17, 7)),
        Call("masked", "self", *torch.randn(2, 1, 2, 17, 7), mask=torch.zeros(17, 17)),
    ]
    report = write_page(tmp_path / "look.html", page(Trace([*calls, *odd], {"glimpse": "its own softmax"})))
    assert report.layers == 2
    for name in ("text.attn", "cross", "broken", "masked", "glimpse"):
        assert any(name in note for note in report.notes)


def test_errors(tmp_path):
    with pytest.raises(DataError, match=r"4 x 5 patches after 2.*17 targets|check grid and prefix"):
        write_page(tmp_path / "look.html", page(trace(), rows=3, prefix=["a", "b", "c"]))
    with pytest.raises(SaccadeError, match="no attention call was made"):
        write_page(tmp_path / "look.html", PageInput(Image.new("RGB", (5, 5)), (1, 1), Trace()))
    with pytest.raises(DataError, match="cannot be written"):
        write_page(tmp_path / "no folder" / "look.html", page(trace()))


def test_pictures(tmp_path):
    for mode in ("L", "RGBA", "P", "CMYK"):
        shown = page(trace())
        shown.picture = Image.new(mode, (7, 5))
        assert content(write_page(tmp_path / "look.html", shown).path)["picture"]["src"].startswith("data:image/")


def test_every_module_of_the_viewer_comes_after_those_that_it_imports():
    folder = files("saccade.studio") / "viewer"
    modules = script_modules(folder, "viewer") | script_modules(folder, "calls")
    assert set(modules) == {entry.name.removesuffix(".js") for entry in folder.iterdir() if entry.name.endswith(".js")}
    order = list(modules)
    for name, text in modules.items():
        for needed in re.findall(r"from '\./(\w+)\.js'", text):
            assert order.index(needed) < order.index(name)


def test_a_page_has_the_modules_of_its_own_scene_alone():
    folder = files("saccade.studio") / "viewer"
    every = script_modules(folder, "viewer")
    kinds = re.findall(r"([\w-]+)'?: (\w+)[, ]", every["scenes"].split("SCENES = ")[1])
    assert len(kinds) == every["scenes"].count("\nimport ") + every["scenes"].startswith("import ")
    for kind, scene in kinds:
        modules = script_modules(folder, "viewer", kind)
        assert len(modules) < len(every)
        assert re.search(rf"SCENES = {{ '{kind}': {scene} }}", modules["scenes"])
        [home] = [name for name, text in modules.items() if f"export class {scene} " in text]
        assert list(modules).index(home) < list(modules).index("scenes")
        for name, text in modules.items():
            assert text == every[name] or name == "scenes"
            assert set(re.findall(r"from '\./(\w+)\.js'", text)) <= set(modules)
    assert set(script_modules(folder, "viewer", "")) == set(script_modules(folder, "viewer", "none"))
    assert not {"film", "boxes", "painting"} & set(script_modules(folder, "viewer", ""))
