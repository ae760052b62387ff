"""The viewer's numbers against Python's: its math in node, the page itself in a real headless Chromium."""

import json
from pathlib import Path

import pytest
import torch

from saccade.lens import Call, Trace
from saccade.studio.page.page import write_page

from . import webdriver
from .made_up import page, trace
from .node import decode, evaluate, needs_node

needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")


def in_node(viewer, path, **asked):
    return decode(viewer, Path(__file__).with_name("decode.mjs"), path, asked)


@needs_node
@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize("target", [0, "mean"])
def test_math(tmp_path, node_viewer, groups, target):
    calls = trace(groups=groups)
    report = write_page(tmp_path / "look.html", page(calls, target=target))
    got = in_node(node_viewer, report.path, layer=1, head=3, token=7, other=4)
    call, close = calls[1], {"atol": 2 * report.error_largest, "rtol": 0.05}
    weights, group = call.weights()[0], 3 * groups // 4
    torch.testing.assert_close(torch.tensor(got["row"]), weights[3, 7], **close)
    torch.testing.assert_close(torch.tensor(got["column"]), weights[3, :, 7], **close)
    torch.testing.assert_close(torch.tensor(got["mean"]), weights[:, 7].mean(0), **close)
    torch.testing.assert_close(torch.tensor(got["rollout"]), calls.rollout(7)[0], **close)
    assert sum(got["row"]) == pytest.approx(1, abs=1e-5)
    dot = call.q[0, 3, 7] @ call.k[0, group, 4]
    assert got["pair"] == pytest.approx(float(dot), abs=0.3)
    torch.testing.assert_close(torch.tensor(got["value"]), call.v[0, group, 4], atol=0.05, rtol=0)
    torch.testing.assert_close(torch.tensor(got["sum"]), weights[3, 7] @ call.v[0, group], atol=0.05, rtol=0)
    if target == "mean":
        torch.testing.assert_close(torch.tensor(got["meanRow"]), weights[3, 2:].mean(0), **close)


@needs_node
def test_numbers_that_take_two_bytes(tmp_path, node_viewer):
    """Tokens a hundred times as large as others, as some models have them."""
    q, k = torch.randn(2, 1, 3, 17, 7)
    q[:, :, 1] *= 100
    calls = Trace([Call("attn", "self", q, k)])
    report = write_page(tmp_path / "look.html", page(calls))
    assert any(json.loads(report.path.read_text().split('"planes":')[1].split("]")[0] + "]")[2::3])
    got = in_node(node_viewer, report.path, layer=0, head=2, token=1, other=0)
    assert torch.tensor(got["row"]).argmax() == calls[0].weights()[0, 2, 1].argmax()


@needs_node
def test_colours_grow_lighter_in_even_steps(node_viewer):
    program = "import { COLOURS, oklab } from './colour.js'; console.log(JSON.stringify(COLOURS.map(oklab)))"
    lab = torch.tensor(evaluate(node_viewer, program))
    assert (lab[8:, 0] > lab[:-8, 0]).all()
    steps = (lab[8::8] - lab[:-8:8]).norm(dim=1)
    assert steps.max() < 1.25 * steps.min()


@needs_chromium
def test_page_in_chromium(tmp_path):
    calls = trace(layers=3, heads=2, groups=2, sharp=1.5)
    labels = [("a <b>bold</b> name</script>", 0.7), ("한글", 0.2)]
    report = write_page(tmp_path / "look.html", page(calls, predictions=labels))
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(report.path, "#language=en")
        browser.wait("document.querySelectorAll('#numbers tbody tr').length > 1")
        assert "a <b>bold</b> name</script>" in browser.run("return document.getElementById('predictions').innerText")
        browser.run("document.querySelectorAll('#maps [role=row]')[2].children[2].click()")  # layer 2, head 1
        browser.run(CLICK, 2, 3)
        assert browser.run("return document.getElementById('chosen').textContent").endswith("row 3, column 4")
        weights = calls[1].weights()[0, 0]
        token = 2 + 2 * 5 + 3
        shown = browser.run(READ_TABLE)
        assert [place(name) for name, _ in shown] == weights[token].topk(5).indices.tolist()
        for name, weight in shown:
            assert weight == pytest.approx(float(weights[token, place(name)]), abs=report.error_largest + 1e-3)
        browser.run("document.querySelectorAll('#view button')[1].click()")  # column
        browser.run("document.getElementById('picture').focus()")
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", code="ArrowLeft")
        assert browser.run("return document.getElementById('chosen').textContent").endswith("row 3, column 3")
        column = weights[:, token - 1]
        assert browser.run(READ_TABLE)[0][1] == pytest.approx(float(column.max()), abs=report.error_largest + 1e-3)
        browser.wait("document.getElementById('maps').ariaBusy === 'false'")
        assert browser.console() == []


@needs_chromium
def test_rollout_phone_and_korean(tmp_path):
    calls = trace(layers=3, heads=2, groups=2)
    report = write_page(tmp_path / "look.html", page(calls))
    with webdriver.Browser(tmp_path / "profile", width=360, height=740, dark=True) as browser:
        browser.open(report.path, "#view=rollout&token=5&language=ko")
        expected = calls.rollout(5)[0]
        most = int(expected.argmax())
        browser.wait(f"document.getElementById('readout').textContent.includes('{(most - 2) // 5 + 1}행')")
        assert browser.run("return document.documentElement.scrollWidth") <= 360
        assert browser.run("return getComputedStyle(document.body).backgroundColor") != "rgb(251, 251, 249)"
        assert browser.run("return document.documentElement.lang") == "ko"
        assert "{" not in browser.run("return document.body.innerText")
        assert browser.console() == []


CLICK = """
const box = document.getElementById('picture').getBoundingClientRect();
const [y, x] = args;
document.getElementById('picture').dispatchEvent(new MouseEvent('click', {
  bubbles: true, clientX: box.left + box.width * (x + 0.5) / 5, clientY: box.top + box.height * (y + 0.5) / 3 }));
"""
READ_TABLE = """return [...document.querySelectorAll('#numbers tbody tr:not(.sum)')].map((line) =>
  [line.children[1].innerText, Number(line.children[5].innerText.replace('−', '-'))]);"""


def place(name: str) -> int:
    """The token that the page names."""
    if name in ("cls", "register 1"):
        return ["cls", "register 1"].index(name)
    row, column = (int(word) for word in name.removeprefix("patch at row ").split(", column "))
    return 2 + (row - 1) * 5 + column - 1


@needs_node
@pytest.mark.parametrize(
    ("predictions", "speaker", "key"),
    [
        ([["cat", 0.9]], 0, "whatCls"),
        ([], 0, "whatClsBare"),
        ([["cat", 0.9]], -1, "whatMean"),
        ([], -1, "whatMeanBare"),
        ([], 5, ""),
    ],
)
def test_a_model_without_a_head_is_not_said_to_predict(node_viewer, predictions, speaker, key):
    page, look = {"predictions": predictions}, {"speaker": speaker, "mean": -1, "first": 1}
    program = (
        "import { speaker } from './facts.js'; import { fill } from './texts.js';"
        f"const key = speaker({json.dumps(page)}, {json.dumps(look)});"
        "console.log(JSON.stringify([key, ...['en', 'ko'].map((one) => key && fill(one, key, { name: 'cls' }))]));"
    )
    found, english, korean = evaluate(node_viewer, program)
    assert found == key
    assert english != korean or key == ""
    assert ("predict" in english) == (bool(predictions) and key != "")
