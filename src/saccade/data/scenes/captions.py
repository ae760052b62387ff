"""Full captions of scenes: every object, and every relation that the names do not imply.

    A red disc, a blue star and a white ring. The red disc is left of the blue star and inside the white ring.
    빨간 원, 파란 별, 흰 고리가 있다. 빨간 원은 파란 별의 왼쪽에 있고 흰 고리의 안에 있다.

The relation "same colour" is omitted, as colours are named.
"""

from collections.abc import Sequence

from saccade.data.scenes import korean
from saccade.data.scenes.relations import ABOVE, BIGGER_THAN, IN_FRONT_OF, INSIDE, LEFT_OF, RELATIONS, Triplet

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
# How a relation to "파란 별" is expressed, in the last clause of a sentence and in the clauses before it.
_KOREAN = {
    LEFT_OF: ("{}의 왼쪽에 있다", "{}의 왼쪽에 있고"),
    ABOVE: ("{}의 위쪽에 있다", "{}의 위쪽에 있고"),
    INSIDE: ("{}의 안에 있다", "{}의 안에 있고"),
    IN_FRONT_OF: ("{}의 앞에 있다", "{}의 앞에 있고"),
    BIGGER_THAN: ("{}보다 크다", "{}보다 크고"),
}


def captions(names: Sequence[str], colours: Sequence[str], triplets: Sequence[Triplet]) -> dict[str, str]:
    """Captions in English ("en") and Korean ("ko") of objects, ordered from back to front, and their relations."""
    related: dict[int, dict[int, list[int]]] = {}  # subject -> relation -> objects
    for subject, relation, other in triplets:
        if relation in _KOREAN:
            related.setdefault(subject, {}).setdefault(relation, []).append(other)
    return {"en": _english(names, colours, related), "ko": _korean(names, colours, related)}


def _english(names: Sequence[str], colours: Sequence[str], related: dict[int, dict[int, list[int]]]) -> str:
    called = [f"the {phrase}" for phrase in phrases(names, colours)]
    plain = _plain(names, colours)
    first = [f"another {each}" if each in plain[:i] else article(each) for i, each in enumerate(plain)]
    sentences = [_begun(f"{join_with_and(first)}.")]
    for subject, found in related.items():
        clauses = [
            f"{RELATIONS[r]} {join_with_and([called[other] for other in others])}" for r, others in found.items()
        ]
        sentences.append(_begun(f"{called[subject]} is {join_with_and(clauses, ', and ')}."))
    return " ".join(sentences)


def _korean(names: Sequence[str], colours: Sequence[str], related: dict[int, dict[int, list[int]]]) -> str:
    called = korean_phrases(names, colours)
    sentences = [f"{korean.add_particle(', '.join(called), korean.SUBJECT)} 있다."]
    for subject, found in related.items():
        clauses = []
        for i, (relation, others) in enumerate(found.items()):
            ends = i == len(found) - 1
            clauses.append(
                _KOREAN[relation][0 if ends else 1].format(korean.join_with_particles([called[o] for o in others]))
            )
        sentences.append(f"{korean.add_particle(called[subject], korean.TOPIC)} {' '.join(clauses)}.")
    return " ".join(sentences)


def phrases(names: Sequence[str], colours: Sequence[str]) -> list[str]:
    """Noun phrase of each object in English, without article: "red disc"; "second red disc" for a repeated one."""
    return _numbered(_plain(names, colours), _ORDINALS, "{} {}")


def _plain(names: Sequence[str], colours: Sequence[str]) -> list[str]:
    return [f"{colour} {name}".strip() for name, colour in zip(names, colours, strict=True)]


def korean_phrases(names: Sequence[str], colours: Sequence[str]) -> list[str]:
    """Noun phrase of each object in Korean: "빨간 원"; "두 번째 빨간 원" for a repeated one."""
    words = [
        f"{korean.COLOURS.get(colour, '')} {korean.SHAPES.get(name, name)}".strip()
        for name, colour in zip(names, colours, strict=True)
    ]
    return _numbered(words, korean.ORDINALS, "{} 번째 {}")


def _numbered(plain: list[str], ordinals: Sequence[str], pattern: str) -> list[str]:
    counted = [plain[:i].count(phrase) for i, phrase in enumerate(plain)]
    return [
        pattern.format(ordinals[before], phrase) if plain.count(phrase) > 1 else phrase
        for phrase, before in zip(plain, counted, strict=True)
    ]


def article(phrase: str) -> str:
    return f"{'an' if phrase[:1].lower() in tuple('aeiou') else 'a'} {phrase}"


def join_with_and(parts: Sequence[str], last: str = " and ") -> str:
    """a, b and c; `last` is between the last two."""
    return last.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
