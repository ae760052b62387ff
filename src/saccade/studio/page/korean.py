"""What Python writes on a page, in Korean."""

from collections.abc import Mapping, Sequence
from typing import Any

from saccade.language import korean, korean_label, korean_labels


def korean_texts(content: Mapping[str, Any], labels: Sequence[str]) -> dict[str, str]:
    """Korean for the texts and names on this page that the viewer has no table for."""
    targets, names = content.get("targets") or {}, korean_labels(labels)
    shown = [label for label, _ in content["predictions"]] + list(targets.get("names", []))
    shown += [*targets.get("labels", []), *(name for _, name, _, _ in targets.get("relations", []))]
    shown += [each["label"] for each in content.get("classes", {}).get("maps", [])]
    texts = [content["title"], content["text"], *content["model"].values(), *content["notes"]]
    texts += content.get("seen", {}).get("texts", [])
    pairs = [*((text, korean(text, names)) for text in texts), *((name, korean_label(name, names)) for name in shown)]
    return {text: found for text, found in pairs if found != text}
