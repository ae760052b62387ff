"""Pages in frames: what a notebook gets is one element that holds the whole page, with its policy, and nothing else."""

import re
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image

from saccade.errors import SaccadeError
from saccade.lens import Call, TokenMap, Trace
from saccade.studio.notebook import TraceView
from saccade.studio.notebook.iframe import BUDGET, iframe_html
from saccade.studio.page.page import render_page

from ..made_up import trace


class Elements(HTMLParser):
    """Every element with its attributes, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        self.found.append((tag, dict(attrs)))


def the_frame(text: str) -> dict[str, str]:
    [(tag, attributes)] = Elements(text).found
    assert tag == "iframe"
    return attributes


def view(calls: Trace | None = None, **more) -> TraceView:
    return TraceView(trace() if calls is None else calls, TokenMap((3, 5), prefix=2), **more)


def test_a_page_in_a_frame():
    shown = view(picture=Image.new("RGB", (50, 30), "red"))
    attributes = the_frame(shown._repr_html_())
    assert set(attributes) == {"sandbox", "loading", "title", "style", "srcdoc"}
    assert set(attributes["sandbox"].split()) == {"allow-scripts", "allow-downloads"}, "no origin of the notebook"
    assert attributes["srcdoc"] == render_page(shown.page_input(), BUDGET).html.decode()


@pytest.mark.parametrize("shown", [view(), trace(), Trace(), Trace((), {"glimpse": "its own softmax"})])
def test_the_policy_holds_and_nothing_is_loaded(shown):
    document = the_frame(shown._repr_html_())["srcdoc"]
    metas = [attributes for tag, attributes in Elements(document).found if tag == "meta"]
    [policy] = [meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"https?://(?!www\.w3\.org/)", document), "no address but that of SVG's name"
    assert not re.search(r"(src|href)=[\"']?(?!data:)\w", document)


@pytest.mark.parametrize("nasty", ['"></iframe><script>alert(1)</script>', "&quot; onload=x ' &", "한글 &amp; \u2028"])
def test_whatever_names_say(nasty):
    assert the_frame(iframe_html(f"<p>{nasty}</p>", nasty)) == the_frame(iframe_html("", "")) | {
        "srcdoc": f"<p>{nasty}</p>",
        "title": nasty,
    }
    calls = [Call(nasty, "self", *torch.randn(2, 1, 2, 17, 7)), Call("b", "self", *torch.randn(2, 1, 2, 17, 7))]
    for shown in (view(Trace(calls)), Trace(calls, {nasty: nasty})):
        document = the_frame(shown._repr_html_())["srcdoc"]
        scripts = [attributes for tag, attributes in Elements(document).found if tag == "script"]
        assert len(scripts) == 1 + 2 + 1, "content, two calls, the viewer"


def test_sizes_are_bounded(monkeypatch):
    calls = trace(rows=13, columns=11, layers=5, width=13)
    shown = TraceView(calls, TokenMap((13, 11), prefix=2))
    free = len(shown._repr_html_())
    budget = free - 60_000
    monkeypatch.setattr("saccade.studio.notebook.shown.BUDGET", budget)
    assert len(the_frame(shown._repr_html_())["srcdoc"].encode()) <= budget
    assert len(calls._repr_html_()) < 2_500_000


def test_two_frames_share_no_names():
    """Two outputs of one notebook are elements without ids, so that neither finds the other's parts."""
    both = Elements(view()._repr_html_() + view()._repr_html_()).found
    assert [tag for tag, _ in both] == ["iframe", "iframe"]
    assert not any("id" in attributes or "name" in attributes for _, attributes in both)


def test_a_trace_on_a_grid():
    page = view().page_input()
    assert (page.grid, page.prefix, page.picture.size) == ((3, 5), ["token 0", "token 1"], (80, 48))
    bare = TraceView(trace(prefix=0), TokenMap((3, 5)))
    assert bare.page_input().target == 7, "the patch in the middle"
    assert str(bare) == str(bare.trace)
    with pytest.raises(SaccadeError, match="3 x 4 patches after 2"):
        TraceView(trace(), TokenMap((3, 4), prefix=2))._repr_html_()


@pytest.mark.parametrize("more", [{"frames": 2}, {"suffix": 1}, {"order": tuple(reversed(range(15)))}])
def test_tokens_that_lie_otherwise_are_refused(more):
    with pytest.raises(SaccadeError, match="row by row, after a prefix alone"):
        TraceView(trace(), TokenMap((3, 5), **more))
