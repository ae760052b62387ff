"""Korean captions of an outline."""

from collections.abc import Sequence

from saccade.data.scenes import korean
from saccade.data.scenes.description import CaptionPlan, Relation
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.vocabulary import KOREAN_BACKGROUNDS, KOREAN_PLACES, KOREAN_SIZES, sample_word

# Endings of three levels of politeness.
IS = ("있다", "있습니다", "있어요")
PREDICATES = {
    "bigger than": ("크다", "큽니다", "커요"),
    "smaller than": ("작다", "작습니다", "작아요"),
    "light": ("밝다", "밝습니다", "밝아요"),
    "dark": ("어둡다", "어둡습니다", "어두워요"),
}
COPULA = ("다", "입니다", "예요")  # after a noun that ends in a vowel


def phrase(
    stream: RandomStream, outline: CaptionPlan, nouns: Sequence[str], background: str | None, plain: bool
) -> str:
    """One phrase, or one sentence that ends in a verb. plain: a phrase without particles that depend on a word's last
    sound, which the spelling of an English word does not show."""
    linked = [_attributive(stream, link, nouns) for link in outline.links]
    alone = [nouns[i] for i in outline.alone]
    parts = [*alone, *linked] if stream.bernoulli(0.5) else [*linked, *alone]
    text = ", ".join(parts) if linked or plain or stream.bernoulli(0.5) else korean.join_with_particles(parts)
    place = f"{sample_word(stream, KOREAN_BACKGROUNDS, background)} 배경" if background else ""
    if plain:
        return f"{text}, {place}" if place else text
    ending = stream.unit_uniform()
    if ending < 0.35:
        text = f"{korean.add_particle(text, korean.SUBJECT)} {stream.choice(IS)}."
        return f"{place}에 {text}" if place else text
    if place:
        text = f"{place} 위의 {text}" if len(parts) == 1 and stream.bernoulli(0.5) else f"{text}, {place}"
    return f"{text} 그림" if ending > 0.9 and not place else text


def sentences(stream: RandomStream, outline: CaptionPlan, nouns: Sequence[str], background: str | None) -> str:
    """One sentence for each link, then one for all other objects, then one for each extra relation."""
    level = stream.integer(len(IS))
    mentioned: set[int] = set()
    texts = []
    for link in outline.links:
        texts.append(_introduction(stream, link, nouns, level))
        mentioned |= {link[0], link[2]}
    if outline.alone:
        listed = ", ".join(nouns[i] for i in outline.alone)
        texts.append(f"{korean.add_particle(listed, korean.SUBJECT)} {IS[level]}.")
    texts += [_statement(stream, each, nouns, level) for each in outline.extra]
    if background:
        word = sample_word(stream, KOREAN_BACKGROUNDS, background)
        ending = PREDICATES[background][level] if background in PREDICATES else word + COPULA[level]
        texts.append(f"배경은 {ending}.")
    return " ".join(texts)


def _attributive(stream: RandomStream, link: Relation, nouns: Sequence[str]) -> str:
    """파란 고리 왼쪽의 빨간 별"""
    subject, relation, other = nouns[link[0]], link[1], nouns[link[2]]
    if relation in KOREAN_SIZES:
        return f"{other}보다 {KOREAN_SIZES[relation]} {subject}"
    place = sample_word(stream, KOREAN_PLACES, relation)
    return stream.choice((f"{other} {place}의", f"{other} {place}에 있는", f"{other}의 {place}에 있는")) + f" {subject}"


def _introduction(stream: RandomStream, link: Relation, nouns: Sequence[str], level: int) -> str:
    """파란 고리의 왼쪽에 빨간 별이 있다."""
    subject, relation, other = korean.add_particle(nouns[link[0]], korean.SUBJECT), link[1], nouns[link[2]]
    if relation in KOREAN_SIZES:
        return f"{other}보다 {KOREAN_SIZES[relation]} {subject} {IS[level]}."
    of = "의" if stream.bernoulli(0.5) else ""
    return f"{other}{of} {sample_word(stream, KOREAN_PLACES, relation)}에 {subject} {IS[level]}."


def _statement(stream: RandomStream, link: Relation, nouns: Sequence[str], level: int) -> str:
    """빨간 별은 파란 고리의 왼쪽에 있다."""
    subject, relation, other = korean.add_particle(nouns[link[0]], korean.TOPIC), link[1], nouns[link[2]]
    if relation in KOREAN_SIZES:
        return f"{subject} {other}보다 {PREDICATES[relation][level]}."
    return f"{subject} {other}의 {sample_word(stream, KOREAN_PLACES, relation)}에 {IS[level]}."
