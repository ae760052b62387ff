"""The language that people read: English, or Korean.

Texts are written in English in the code. `korean` looks up the finished English text in texts.json, whose keys are
texts or templates: a {name} in a key stands for any value, one of a single letter, {n}, for a number. The Korean
template says where the values go; {name:text} is translated as a text itself, {name:label} as the name of a class,
{name:labels} as several.
Particles after a value are written in both forms, 을(를), and chosen by the word before them. A text that is in no
table stays English.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from saccade.language.particles import with_particles

Language = Literal["en", "ko"]
LANGUAGES = get_args(Language)

_PLACE = re.compile(r"\{(\w+)(?::(text|labels|label))?\}")
_PLURAL = re.compile(r"(\{\w\} [a-z-]*[a-rt-z])s\b")  # "{n} pictures", which may be "1 picture" in a text
_NUMBER = r"[-−+]?\d[\d.,]*(?:e[-+]?\d+)?%?"
_COUNTED = re.compile(r"(.+?)((?: \d+)?(?: [\d.]+%)?)", re.DOTALL)  # "star 2", "star 64%"

_language: Language = "en"
_labels: Mapping[str, str] = {}


def set_language(language: Language) -> None:
    """Set the language of the terminal."""
    global _language
    _language = language


def current_language() -> Language:
    """The language of the terminal."""
    return _language


def system_language() -> Language:
    """Of the locale that the environment names."""
    name = next((value for key in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(key))), "")
    return "ko" if name.lower().startswith("ko") else "en"


def set_label_translations(task: Any) -> None:
    """Name the classes of this model in the language of the terminal, if all of them are known."""
    global _labels
    _labels = korean_labels(labels_of(task))


def labels_of(task: Any) -> list[str]:
    """All classes and relations that a model can name."""
    return [*getattr(task, "labels", ()), *getattr(task, "relations", ())]


def localize_text(text: str) -> str:
    """A text in the language of the terminal."""
    return text if _language == "en" else korean(text, _labels)


def localize_label(name: str) -> str:
    """The name of a class in the language of the terminal, also with a number or a percentage after it."""
    return name if _language == "en" else korean_label(name, _labels)


def korean(text: str, labels: Mapping[str, str]) -> str:
    """A text in Korean, in English if it is in no table. labels: English names of classes -> Korean ones."""
    core = text.strip()
    found = _plain().get(core) or _by_template(core, labels)
    return text if found is None else text.replace(core, found, 1)


def korean_label(name: str, labels: Mapping[str, str]) -> str:
    """The name of a class in Korean, also with a number or a percentage after it."""
    found = _COUNTED.fullmatch(name)
    return name if found is None or found[1] not in labels else labels[found[1]] + found[2]


def korean_labels(labels: Iterable[str]) -> dict[str, str]:
    """Korean names of the classes and relations of a model; none unless all are known: half of a list would mix."""
    known, names = _table("labels.json"), list(labels)
    return {name: known[name] for name in names} if all(name in known for name in names) else {}


def _by_template(text: str, labels: Mapping[str, str]) -> str | None:
    for template, translated in _templates():
        if all(part in text for part in _literals(template)) and (found := _pattern(template).fullmatch(text)):
            values = found.groupdict()
            filled = _PLACE.sub(lambda place: _value(values[place[1]], place[2], labels), translated)  # noqa: B023
            return with_particles(filled)
    return None


def _value(value: str, kind: str | None, labels: Mapping[str, str]) -> str:
    if kind == "label":
        return korean_label(value, labels)
    if kind == "labels":
        return ", ".join(korean_label(name, labels) for name in value.split(", "))
    return korean(value, labels) if kind == "text" else value


def _parts(template: str) -> list[str]:
    """Literal, name, kind, literal and so on; in place of the s of a plural after a number is a zero byte."""
    return _PLACE.split(_PLURAL.sub(r"\1\0", template))


@cache
def _literals(template: str) -> list[str]:
    """The parts around the places, without that s."""
    return [part for literal in _parts(template)[::3] for part in literal.split("\0")]


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = _parts(template)
    places = [f"(?P<{name}>{'.+?' if len(name) > 1 else _NUMBER})" for name in parts[1::3]]
    literals = (re.escape(literal).replace(re.escape("\0"), "s?") for literal in parts[::3])
    return re.compile("".join(part for pair in zip(literals, [*places, ""], strict=True) for part in pair), re.DOTALL)


@cache
def _templates() -> list[tuple[str, str]]:
    """The keys with places for values, those with the most text of their own first."""
    found = [(key, value) for key, value in _table("texts.json").items() if _PLACE.search(key)]
    return sorted(found, key=lambda pair: -len(_PLACE.sub("", pair[0])))


@cache
def _plain() -> dict[str, str]:
    return {key: value for key, value in _table("texts.json").items() if not _PLACE.search(key)}


@cache
def _table(name: str) -> dict[str, str]:
    table: dict[str, str] = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return table
