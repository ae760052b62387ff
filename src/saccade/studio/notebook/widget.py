"""The page as a widget (anywidget): what is selected on it can be read, set and observed from Python."""

from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from saccade.errors import SaccadeError
from saccade.studio.notebook.iframe import BUDGET, HEIGHT
from saccade.studio.page.page import PageInput, render_page


class AttentionWidget(anywidget.AnyWidget):
    """A page in a notebook. Its traits follow the selection on the page, and the page follows them.

        widget = saccade.look("photo.jpg").widget()
        widget                                        # shows the page
        widget.token, widget.layer = 5, 3             # selects on it
        widget.observe(lambda change: print(change.new), "token")

    mode: "self" (patches) or "cross" (objects, classes, words). token: index of the selected token, the tokens before
    the patches counted, or of the object, class or word; one past the last token of a model that averages its patches
    is their mean. layer: index into `layers`. head: index, or None for the mean of the heads. view: "row", "column" or
    "rollout", or a view of the scene's own. They are None until the page is shown, where they are not set.

    Setting one to what the page does not have raises SaccadeError.
    """

    _esm = (files("saccade.studio.notebook") / "widget.js").read_text(encoding="utf-8")

    mode = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    token = traitlets.Int(None, allow_none=True).tag(sync=True)
    layer = traitlets.Int(None, allow_none=True).tag(sync=True)
    head = traitlets.Int(None, allow_none=True).tag(sync=True)
    view = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    _document = traitlets.Unicode().tag(sync=True)
    _height = traitlets.Int(HEIGHT).tag(sync=True)
    _limits = traitlets.Dict().tag(sync=True)

    def __init__(self, page: PageInput) -> None:
        rendered = render_page(page, BUDGET)
        content = rendered.content
        modes = {"cross": content.get("targets") or {}, "self": content}
        self._names = {mode: [layer["name"] for layer in each.get("layers", ())] for mode, each in modes.items()}
        heads = [layer["heads"] for layer in content["layers"]]
        tokens = len(page.prefix) + page.grid[0] * page.grid[1] + (page.target == "mean")
        limits = {"self": {"tokens": tokens, "heads": heads}} if heads else {}  # the page itself knows those of targets
        super().__init__(_document=rendered.html.decode("utf-8"), _limits=limits)

    @property
    def layers(self) -> list[str]:
        """Module names of the layers of this mode: `trace[widget.layers[widget.layer]]`."""
        return self._names[self._mode]

    @property
    def _mode(self) -> str:
        return self.mode or next(mode for mode, names in self._names.items() if names)

    @traitlets.validate("mode", "token", "layer", "head", "view")
    def _check(self, proposal: Any) -> Any:
        key, value = proposal["trait"].name, proposal["value"]
        limits = self._limits.get(self._mode)
        if value is None or (key != "mode" and limits is None) or (key == "view" and "views" not in limits):
            return value
        known: dict[str, Any] = {
            "mode": lambda: [mode for mode, names in self._names.items() if names],
            "token": lambda: range(limits["tokens"]),
            "layer": lambda: range(len(limits["heads"])),
            "head": lambda: range(max(limits["heads"]) if self.layer is None else limits["heads"][self.layer]),
            "view": lambda: limits["views"],
        }[key]()
        if value not in known:
            found = f"0 to {known[-1]}" if isinstance(known, range) else " or ".join(map(repr, known))
            raise SaccadeError(f"{key} {value!r}: this page has {found}")
        return value
