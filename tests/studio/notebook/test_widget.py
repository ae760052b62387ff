"""The widget: its traits, and their way to the page and back in a browser with a model like that of notebooks."""

import json
import re
from pathlib import Path

import pytest

from saccade.errors import SaccadeError
from saccade.lens import TokenMap
from saccade.studio.look import look
from saccade.studio.notebook import TraceView
from saccade.studio.views import LookOptions

from .. import detectors, webdriver
from ..made_up import page, trace

pytest.importorskip("anywidget")
needs_chromium = pytest.mark.skipif(bool(webdriver.missing()), reason=webdriver.missing() or "-")


def widget():
    return TraceView(trace(), TokenMap((3, 5), prefix=2)).widget()


def test_traits_are_set_and_observed():
    made, seen = widget(), []
    assert made.layers == ["blocks.0.attn", "blocks.1.attn"]
    assert (made.token, made.layer, made.head, made.view, made.mode) == (None,) * 5
    made.observe(lambda change: seen.append((change.name, change.new)), ["token", "layer", "head", "view"])
    made.token, made.layer, made.head, made.view = 16, 1, 3, "column"
    assert seen == [("token", 16), ("layer", 1), ("head", 3), ("view", "column")]
    state = made.get_state()
    assert [state[key] for key in ("token", "layer", "head", "view", "mode")] == [16, 1, 3, "column", None]
    made.set_state({"token": 4, "layer": 0, "head": None, "mode": "self"})  # as the page does
    assert (made.token, made.layer, made.head) == (4, 0, None)
    assert seen[-1] == ("head", None)
    assert made.layers[made.layer] == "blocks.0.attn"


@pytest.mark.parametrize(
    ("trait", "value", "found"),
    [
        ("token", 17, "0 to 16"),
        ("token", -1, "0 to 16"),
        ("layer", 2, "0 to 1"),
        ("head", 4, "0 to 3"),
        ("view", "up", "'row' or 'column'"),
        ("mode", "cross", "'self'"),
    ],
)
def test_what_the_page_does_not_have_is_refused(trait, value, found):
    made = widget()
    made._limits = {"self": {"tokens": 17, "heads": [4, 4], "views": ["row", "column"]}}  # as the page tells
    with pytest.raises(SaccadeError, match=f"{trait} {value!r}: this page has {found}"):
        setattr(made, trait, value)
    assert getattr(made, trait) is None


def test_the_mean_of_all_patches_is_a_token():
    from saccade.studio.notebook.widget import AttentionWidget

    made = AttentionWidget(page(trace(), target="mean"))
    made.token = 17
    with pytest.raises(SaccadeError, match="0 to 17"):
        made.token = 18


def test_a_page_of_objects_has_two_modes():
    view = look(detectors.task(), detectors.noise(), LookOptions(threshold=0.3))
    made = view.widget()
    decoder = made.layers
    made.token = 4  # an object; how many there are is known when the page is shown
    made.mode = "self"
    assert made.layers != decoder
    assert {*made.layers, *decoder} <= {call.name for call in view.trace}
    made._limits = {**made._limits, "cross": {"tokens": 3, "heads": [2], "views": ["row"]}}
    made.mode = "cross"
    with pytest.raises(SaccadeError, match="token 3: this page has 0 to 2"):
        made.token = 3


def test_the_example_of_the_documentation_runs(monkeypatch):
    root = Path(__file__).parents[3]
    monkeypatch.chdir(root)
    names: dict = {}
    text = (root / "docs" / "notebook.md").read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, names)
    assert names["view"].trace[names["widget"].layers[3]][0].rows(5).shape[-1] == 101
    assert names["TraceView"](names["view"].trace, names["tokens"])._repr_html_().startswith("<iframe")


HOST = """<!doctype html><meta charset="utf-8"><body><script type="module">
%s
const listeners = {};
window.data = %s;
window.saved = [];
const model = {
  get: (key) => data[key],
  set: (key, value) => {
    if (data[key] === value) return;
    data[key] = value;
    (listeners[`change:${key}`] ?? []).forEach((one) => one());
  },
  save_changes: () => saved.push({ ...data, _document: '' }),
  on: (event, one) => (listeners[event] ??= []).push(one),
  off: (event, one) => (listeners[event] = listeners[event].filter((other) => other !== one)),
};
window.python = (values) => Object.entries(values).forEach(([key, value]) => model.set(key, value));
window.listening = () => Object.values(listeners).flat().length;
window.views = [0, 1].map(() => {
  const el = document.body.appendChild(document.createElement('div'));
  return render({ model, el });
});
</script>"""


@needs_chromium
def test_both_ways_in_a_browser(tmp_path):
    made = widget()
    made.token = 5  # before the page is there
    state = {key: made.get_state()[key] for key in ("mode", "token", "layer", "head", "view")}
    state |= {"_document": made._document, "_height": 700, "_limits": {}}
    script = made._esm.replace("export default", "//")
    data = json.dumps(state).replace("<", "\\u003c")
    host = tmp_path / "host.html"
    host.write_text(HOST % (script, data), encoding="utf-8")
    with webdriver.Browser(tmp_path / "profile") as browser:
        browser.open(host)
        browser.wait("window.data?.layer === 1")
        chosen = "return ['mode', 'token', 'layer', 'head', 'view'].map((key) => data[key])"
        assert browser.run(chosen) == ["self", 5, 1, None, "row"]
        limits = made._limits["self"] | {"views": ["row", "column", "rollout"]}
        assert browser.run("return data._limits") == {"self": limits}

        def shown(view: int) -> list:
            browser.enter(f"div:nth-of-type({view + 1}) iframe")
            text = browser.run("return document.getElementById('chosen').textContent")
            layer = browser.run("return document.getElementById('layer').value")
            head = browser.run("return document.getElementById('head').value")
            browser.leave()
            return [text, layer, head]

        def wait_for(view: int, expected: list) -> None:
            for _ in range(100):
                if (found := shown(view)) == expected:
                    return
                browser.run("await new Promise((done) => setTimeout(done, 50))")
            raise AssertionError(f"{found}, not {expected}")

        wait_for(0, ["Selected: patch at row 1, column 4", "2", "-1"])
        wait_for(1, ["Selected: patch at row 1, column 4", "2", "-1"])

        browser.run("python({ token: 16, layer: 0, head: 2 })")  # Python moves both pages
        for view in (0, 1):
            wait_for(view, ["Selected: patch at row 3, column 5", "1", "2"])
        browser.run("python({ head: null })")
        wait_for(0, ["Selected: patch at row 3, column 5", "1", "-1"])
        assert browser.run(chosen) == ["self", 16, 0, None, "row"]

        browser.enter("div:nth-of-type(2) iframe")  # a click on one page moves Python, and the other page
        browser.click("#picture", 1.5 / 5, 1.5 / 3)
        browser.leave()
        browser.wait("data.token === 2 + 5 + 1")
        wait_for(0, ["Selected: patch at row 2, column 2", "1", "-1"])
        assert browser.run("return saved.at(-1).token") == 8

        for token in (3, 4, 6, 7):  # the last one holds, whatever the page answers in between
            browser.run("python({ token: args[0] })", token)
        browser.run("await new Promise((done) => setTimeout(done, 500))")
        assert browser.run("return data.token") == 7
        wait_for(0, ["Selected: patch at row 2, column 1", "1", "-1"])

        browser.run("python({ view: 'rollout' })")
        browser.wait("data.view === 'rollout'")
        browser.run("python({ layer: 1 })")  # rollout is of all layers: one layer is a row
        browser.wait("data.layer === 1 && data.view === 'row'")
        browser.run("views.forEach((leave) => leave())")
        assert browser.run("return listening()") == 0
        assert browser.console() == []
