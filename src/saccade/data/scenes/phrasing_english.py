"""English captions of an outline. Nouns may be partly Korean; those that begin with a Korean word have no article."""

from collections.abc import Sequence

from saccade.data.scenes.captions import article, join_with_and
from saccade.data.scenes.description import CaptionPlan, Relation
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.vocabulary import ENGLISH_BACKGROUNDS, ENGLISH_RELATIONS, sample_word

OPENINGS = ("", "", "", "", "", "", "a picture of ", "an image of ")


def phrase(
    stream: RandomStream, outline: CaptionPlan, nouns: Sequence[str], background: str | None, plain: bool
) -> str:
    """One phrase without a verb. plain: no opening and no full stop."""
    mentioned: set[int] = set()
    linked = [_link(stream, link, nouns, mentioned, "") for link in outline.links]
    alone = [_a(nouns[i]) for i in outline.alone]
    if linked:  # "X left of Y and Z" would be ambiguous
        parts = [*alone, *linked] if stream.bernoulli(0.3) else [*linked, *alone]
        text = stream.choice((", ", "; ")).join(parts) if stream.bernoulli(0.4) else join_with_and(parts, ", and ")
    else:
        text = ", ".join(alone) if stream.bernoulli(0.3) else join_with_and(alone)
    if background:
        text += f"{', on' if linked else ' on'} {_a(sample_word(stream, ENGLISH_BACKGROUNDS, background))} background"
    if plain:
        return text
    text = stream.choice(OPENINGS) + text
    return f"{text[:1].upper()}{text[1:]}." if stream.bernoulli(0.25) else text


def sentences(stream: RandomStream, outline: CaptionPlan, nouns: Sequence[str], background: str | None) -> str:
    """One sentence for each link, then one for all other objects, then one for each extra relation."""
    mentioned: set[int] = set()
    texts = []
    for link in outline.links:
        there = stream.bernoulli(0.5)
        words = _link(stream, link, nouns, mentioned, "" if there else "is ")
        texts.append(f"There is {words}." if there else f"{words}.")
    if outline.alone:
        others = join_with_and([_a(nouns[i]) for i in outline.alone])
        texts.append(f"There is {others}." if outline.links or stream.bernoulli(0.5) else f"{others}.")
        mentioned.update(outline.alone)
    texts += [f"{_link(stream, each, nouns, mentioned, 'is ')}." for each in outline.extra]
    if background:
        texts.append(f"The background is {sample_word(stream, ENGLISH_BACKGROUNDS, background)}.")
    return " ".join(text[:1].upper() + text[1:] for text in texts)


def _link(stream: RandomStream, link: Relation, nouns: Sequence[str], mentioned: set[int], verb: str) -> str:
    """ "a red star left of the blue ring": an object that has been mentioned has "the"."""
    subject, relation, other = link
    first, second = ((_the if i in mentioned else _a)(nouns[i]) for i in (subject, other))
    mentioned |= {subject, other}
    return f"{first} {verb}{sample_word(stream, ENGLISH_RELATIONS, relation)} {second}"


def _a(noun: str) -> str:
    return article(noun) if noun[:1].isascii() else noun


def _the(noun: str) -> str:
    return f"the {noun}" if noun[:1].isascii() else noun
