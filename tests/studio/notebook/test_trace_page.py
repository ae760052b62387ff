"""The page of a trace: that it lists every call, and that its numbers are those of the calls."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
import torch

from saccade.errors import SaccadeError
from saccade.lens import Call, Trace
from saccade.studio.notebook.trace_page import BYTES, MOST_CALLS, trace_page

from .. import webdriver
from ..made_up import trace

needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")


def content(page: bytes) -> dict:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page.decode(), re.DOTALL)
    return json.loads(found[1])


def rows(page: bytes, i: int) -> torch.Tensor:
    """(heads, targets, sources), read as the page reads them."""
    entry = content(page)["calls"][i]
    packed = re.search(rf'id="call-{i}">([^<]*)<', page.decode())[1]
    data = zlib.decompress(base64.b64decode(packed))
    shape = entry["heads"], len(entry["targets"]), entry["shape"][3]
    largest = np.frombuffer(data, "<f4", shape[0] * shape[1]).reshape(*shape[:2], 1)
    steps = np.frombuffer(data, np.uint8, offset=largest.nbytes).reshape(shape)
    return torch.from_numpy(largest * (steps / np.float32(255)) ** 2)


def test_the_weights_are_those_of_the_call(monkeypatch):
    monkeypatch.setattr("saccade.studio.notebook.trace_page.MOST_ROWS", 64)
    calls = trace(rows=7, columns=11, sharp=2.0)
    page = trace_page(calls)
    for i, call in enumerate(calls):
        entry = content(page)["calls"][i]
        targets = entry["targets"]
        assert len(targets) == 64
        assert targets[0] == 0
        assert targets[-1] == call.shape[2] - 1
        exact = call.rows(targets)[0]
        bound = (exact * exact.amax(-1, keepdim=True)).sqrt() / 255 + 1e-5
        assert ((rows(page, i) - exact).abs() <= bound).all()
        assert (rows(page, i).sum(-1) - 1).abs().max() < 0.03


def test_every_kind_of_call():
    cross = Call("decoder", "cross", torch.randn(2, 3, 5, 7), torch.randn(2, 3, 13, 7), run=2, note="a note")
    cross.source_parts = {"text": slice(0, 4), "image": slice(4, 13)}
    masked = Call("masked", "self", *torch.randn(2, 1, 2, 17, 7), mask=torch.ones(17, 17).tril().bool())
    padded = torch.zeros(1, 1, 1, 11).masked_fill(torch.arange(11) > 8, -torch.inf)
    causal = Call("causal", "self", *torch.randn(2, 1, 2, 11, 7), mask=padded, causal=True, scale=2.0)
    page = trace_page(Trace([cross, masked, causal], {"glimpse": "its own softmax"}))
    first, second, _ = content(page)["calls"]
    assert first["shape"] == [2, 3, 5, 13]
    assert (first["kind"], first["run"], first["note"]) == ("cross", 2, "a note")
    assert first["parts"] == [["text", 0, 4], ["image", 4, 13]]
    assert first["targets"] == list(range(5))
    torch.testing.assert_close(rows(page, 0), cross.weights()[0], atol=0.005, rtol=0.05)
    assert rows(page, 1).triu(1).max() == 0
    for i, call in enumerate((masked, causal), 1):
        torch.testing.assert_close(rows(page, i), call.weights()[0], atol=0.005, rtol=0.05)
    assert second["heads"] == 2
    assert content(page)["missed"] == [["glimpse", "its own softmax"]]


def test_what_does_not_fit_is_left_out_by_targets_then_heads_then_calls():
    wide = [Call("wide", "cross", torch.randn(1, 3, 2, 5), torch.randn(1, 3, 20011, 5)) for _ in range(29)]
    page = trace_page(Trace(wide))
    entry = content(page)["calls"][0]
    assert (entry["heads"], entry["targets"]) == (1, [0, 1])
    mean = wide[0].weights()[0].mean(0)
    torch.testing.assert_close(rows(page, 0)[0], mean, atol=1e-5, rtol=0.1)
    many = Trace([Call("small", "self", *torch.randn(2, 1, 2, 3, 5)) for _ in range(MOST_CALLS + 7)])
    assert (len(content(trace_page(many))["calls"]), content(trace_page(many))["count"]) == (MOST_CALLS, MOST_CALLS + 7)
    huge = Trace([Call("huge", "cross", torch.randn(1, 1, 1, 2), torch.randn(1, 1, BYTES + 1, 2))])
    assert content(trace_page(huge))["calls"][0]["targets"] == []


def test_a_call_that_is_gone_says_why():
    def gone(call: Call) -> torch.Tensor:
        raise SaccadeError("q of 'a' was changed")

    class Gone(Call):
        q = property(gone)

    calls = trace()
    calls[0].__class__ = Gone
    first, second = content(trace_page(calls))["calls"]
    assert (first["note"], first["targets"]) == ("q of 'a' was changed", [])
    assert second["targets"]


def test_an_empty_trace_says_why():
    assert "no attention call was made" in content(trace_page(Trace()))["empty"]


@needs_chromium
def test_in_a_browser(tmp_path):
    cross = Call("decoder", "cross", torch.randn(2, 3, 5, 7), 3 * torch.randn(2, 3, 13, 7))
    cross.source_parts = {"text": slice(0, 4), "image": slice(4, 13)}
    calls = Trace([*trace(), cross, Call("huge", "cross", torch.randn(1, 1, 1, 2), torch.randn(1, 1, BYTES + 1, 2))])
    file = tmp_path / "calls.html"
    file.write_bytes(trace_page(calls))
    with webdriver.Browser(tmp_path / "profile", 1000, 700) as browser:
        browser.open(file)
        text = "document.getElementById('readout').textContent"
        browser.wait(f"{text}.includes('Highest')")
        assert browser.run("return document.querySelectorAll('#calls tbody tr').length") == 4
        browser.click("#calls tbody tr:nth-child(3) button")
        browser.wait("document.getElementById('call-name').textContent === 'decoder'")
        browser.run("const t = document.getElementById('target'); t.value = 4; t.oninput({ target: t })")
        browser.run("document.querySelectorAll('.strip')[2].click()")
        weights = cross.weights()[0, 1, 4]
        best = int(weights.argmax())
        name = f"text {best}" if best < 4 else f"image {best - 4}"
        share = float(re.search(rf"{name} ([\d.]+)%", browser.run(f"return {text}"))[1])
        assert share == pytest.approx(100 * float(weights[best]), rel=0.02)
        browser.click("#bars", (11 + 0.5) / 13)
        share = float(re.search(r"image 7: ([\d.]+)%", browser.run(f"return {text}"))[1])
        assert share == pytest.approx(100 * float(weights[11]), abs=0.5)
        browser.run("document.querySelectorAll('#language button')[1].click()")
        browser.wait("document.querySelector('h1').textContent === '어텐션 호출 4개'")
        assert "{" not in browser.run("return document.body.innerText")
        browser.click("#calls tbody tr:nth-child(4) button")
        browser.wait("document.getElementById('call').hidden")
        assert browser.console() == []
