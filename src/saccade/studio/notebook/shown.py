"""What a notebook shows as a page: in a frame, or as a widget."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from saccade.errors import SaccadeError, install_hint
from saccade.studio.notebook.iframe import BUDGET, iframe_html
from saccade.studio.page.page import PageInput, render_page

if TYPE_CHECKING:
    from saccade.studio.notebook.widget import AttentionWidget


class ShownInNotebook(ABC):
    """Something with a page: the last line of a cell shows it in Jupyter, VS Code, Colab and marimo."""

    @abstractmethod
    def page_input(self) -> PageInput:
        """What the page shows."""

    def _repr_html_(self) -> str:
        page = self.page_input()
        return iframe_html(render_page(page, BUDGET).html.decode("utf-8"), page.title)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # beside the page, where a notebook shows text alone

    def widget(self) -> "AttentionWidget":
        """The page as a widget: what is selected on it can be read, set and observed. Raises SaccadeError if anywidget
        is not installed."""
        try:
            from saccade.studio.notebook.widget import AttentionWidget
        except ModuleNotFoundError as error:
            hint = install_hint("notebook")
            raise SaccadeError(f"a widget needs anywidget, which is not installed: {hint}") from error
        return AttentionWidget(self.page_input())
