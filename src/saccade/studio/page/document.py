"""One self-contained HTML document: a template, and the scripts, style and data that it holds, with its policy."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from saccade.language import current_language


def render_document(name: str, content: dict[str, Any], data: Mapping[str, bytes], kind: str | None = None) -> bytes:
    """The document of a template and a module of this name, in UTF-8; half characters, as undecodable file names have
    them, become question marks.

    content: JSON for the module, with a "title". data: bytes for it, by name of their element. kind: of the only scene
    that it needs; None for all of them. It opens in the language of the terminal. The content security policy allows
    this script and this style alone, and pictures that are data.
    """
    folder = files("saccade.studio") / "viewer"
    script = "".join(map(_plain, script_modules(folder, name, kind).values()))
    style = (folder / "viewer.css").read_text(encoding="utf-8")
    packed = "".join(
        f'<script type="text/plain" id="{key}">{base64.b64encode(some).decode()}</script>\n'
        for key, some in data.items()
    )
    parts = {
        "title": html.escape(content["title"]),
        "language": current_language(),
        "script-hash": _hash(script),
        "style-hash": _hash(style),
        "style": style,
        "content": _json(content),
        "layers": packed,
        "script": script,
    }
    template = (folder / f"{name}.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([a-z-]+)\}\}", lambda found: parts[found[1]], template).encode("utf-8", errors="replace")


def script_modules(
    folder: Traversable, name: str, kind: str | None = None, found: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The text of a JavaScript module and of all it imports, each after those that it imports itself. kind: of the only
    scene; None for all of them."""
    text = (folder / f"{name}.js").read_text(encoding="utf-8")
    if name == "scenes" and kind is not None:
        text = _only(text, kind)
    texts = dict(found)
    for needed in re.findall(r"^import .* from '\./(\w+)\.js';$", text, re.MULTILINE):
        if needed not in texts:
            texts = script_modules(folder, needed, kind, texts)
    return texts | {name: text}


def _only(scenes: str, kind: str) -> str:
    """The module of scenes with that of one kind alone; without any, if there is none of that kind."""
    entry = re.search(rf"[{{ ]'?{re.escape(kind)}'?: (\w+)[, ]", scenes) if kind else None
    if entry is None:
        return "export const SCENES = {};\n"
    needed = re.search(rf"^import {{ {entry[1]} }} .*\n", scenes, re.MULTILINE)
    assert needed is not None
    return f"{needed[0]}export const SCENES = {{ '{kind}': {entry[1]} }};\n"


def _plain(module: str) -> str:
    """A module's text for one joint inline script: without its imports and the word export."""
    module = re.sub(r"^import [^;]*;\n", "", module, flags=re.MULTILINE)
    return re.sub(r"^export ", "", module, flags=re.MULTILINE)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: dict) -> str:
    """JSON that is safe inside a script element, whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
