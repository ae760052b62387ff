"""A page in a frame of its own, as the output of a notebook's cell."""

import html

# A notebook keeps its outputs: as JSON on disk, and all of them in the memory of one browser tab.
BUDGET = 4_000_000
HEIGHT = 820  # pixels; a reader can drag the lower edge


def iframe_html(document: str, title: str, height: int = HEIGHT) -> str:
    """An `<iframe>` that holds a whole page, for Jupyter, VS Code, Colab and marimo.

    The frame is sandboxed with scripts, and the downloads of "Save the map", alone: the page has an origin of its own,
    so that it reads neither the notebook nor other frames, and its content security policy holds as in a file. Nothing
    is loaded from the network.
    """
    content = document.replace("&", "&amp;").replace('"', "&quot;")  # all that ends or changes a quoted attribute
    style = (
        f"box-sizing:border-box;width:100%;height:{height}px;border:1px solid #8886;border-radius:8px;resize:vertical"
    )
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" loading="lazy" title="{html.escape(title)}" style="{style}" '
        f'srcdoc="{content}"></iframe>'
    )
