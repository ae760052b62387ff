"""How objects of lower layers of the library show themselves in a notebook: by functions of higher layers, by name."""

from saccade.lazy import resolve_name

_RENDERERS: dict[str, str] = {}


def register_display(name: str, renderer: str) -> None:
    """Show objects of the class `name` by the function "module:function", which is imported when one is shown."""
    _RENDERERS[name] = renderer


def to_html(shown: object) -> str | None:
    """The object as HTML; None, with which a notebook falls back to text, where nothing is registered for its class."""
    renderer = _RENDERERS.get(type(shown).__name__)
    return None if renderer is None else str(resolve_name(renderer)(shown))
