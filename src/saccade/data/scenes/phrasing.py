"""Captions of scenes in many forms, drawn at random from a description.

    inline     a red star left of a blue ring, and a green cross
    list       a red star, a blue ring and a green cross
    sentences  There is a red star left of a blue ring. The green cross is below the blue ring.
    full       A red star, a blue ring and a green cross. The red star is left of the blue ring.

Each is written in English, in Korean, or in both mixed ("빨간 star left of a blue 고리"), with synonyms, and with or
without the background. Most captions mention all objects with their colours.

Films have short captions: "a red disc moving right and a blue star growing".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from saccade.data.scenes import korean, phrasing_english, phrasing_korean
from saccade.data.scenes.captions import article, captions, join_with_and
from saccade.data.scenes.description import Description, sample_caption_plan, shuffled
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.relations import RELATIONS
from saccade.data.scenes.vocabulary import (
    ENGLISH_MOTIONS,
    KOREAN_MOTIONS,
    english_noun,
    korean_noun,
    mixed_noun,
    sample_word,
)
from saccade.errors import DataError

Language = Literal["en", "ko", "mixed"]
Form = Literal["inline", "list", "sentences", "full"]
LANGUAGES: tuple[Language, ...] = ("en", "en", "ko", "ko", "mixed")  # sampled uniformly
FORMS: tuple[Form, ...] = ("inline", "inline", "list", "sentences", "full")
PARTIAL = 0.1  # fraction of captions that mention only some of the objects
COLOURLESS = 0.05  # fraction of captions without colours, if the shapes differ
BACKGROUND = 0.4  # fraction of captions that name the background, if it has a name
NOUNS = {"en": english_noun, "ko": korean_noun, "mixed": mixed_noun}


@dataclass(frozen=True)
class Caption:
    """Attributes:
    text: one line.
    language: "en", "ko" or "mixed".
    form: "inline", "list", "sentences" or "full".
    description: the content of the text: the part of the scene's description that it mentions, in its own order.
    """

    text: str
    language: Language
    form: Form
    description: Description


def sample_caption(
    description: Description, random: RandomStream | torch.Generator, language: Language | None = None
) -> Caption:
    """A random caption of the description.

    Args:
        random: source of random numbers; from a generator, one seed is drawn.
        language: None samples it: English and Korean with 2/5 each, a mixture with 1/5.

    Raises:
        DataError: an unknown language, or a description without objects.
    """
    if language is not None and language not in NOUNS:
        raise DataError(f"language={language!r} was given; one of {', '.join(NOUNS)} expected")
    if not description.objects:
        raise DataError("the description has no objects; 1 or more expected")
    stream = (
        random if isinstance(random, RandomStream) else RandomStream(int(torch.randint(2**62, (), generator=random)))
    )
    chosen = stream.choice(LANGUAGES) if language is None else language
    if len(set(description.objects)) < len(description.objects):
        return _numbered(description, chosen)
    part = _draw_part(stream, description)
    return _write(stream, part, chosen, stream.choice(FORMS))


def _draw_part(stream: RandomStream, description: Description) -> Description:
    """The objects and the background to mention."""
    count = len(description.objects)
    order = shuffled(stream, list(range(count)))
    if count > 1 and stream.bernoulli(PARTIAL):
        order = order[: 1 + stream.integer(count - 1)]
    part = description.select(order)
    shapes = [shape for shape, _ in part.objects]
    if stream.bernoulli(COLOURLESS) and len(set(shapes)) == len(shapes):
        part = replace(part, objects=tuple((shape, "") for shape in shapes))
    return part if stream.bernoulli(BACKGROUND) else replace(part, background=None)


def _write(stream: RandomStream, part: Description, language: Language, form: Form) -> Caption:
    """Words for the objects and some of the relations of `part`."""
    count = len(part.objects)
    links = 1 + stream.integer(min(max(count - 1, 1), 3)) if form in ("inline", "sentences") else 0
    extra = 1 + stream.integer(count) if form == "full" else stream.integer(3) if form == "sentences" else 0
    outline = sample_caption_plan(stream, part, links, extra)
    if form == "inline" and not outline.links:
        form = "list"
    elif form == "full" and not outline.extra:
        form = "sentences"
    nouns = [NOUNS[language](stream, *each) for each in part.objects]
    korean = language == "ko" or (language == "mixed" and form in ("inline", "list") and stream.bernoulli(0.4))
    writer = phrasing_korean if korean else phrasing_english
    if form in ("inline", "list"):
        text = writer.phrase(stream, outline, nouns, part.background, plain=language == "mixed")
    else:
        text = writer.sentences(stream, outline, nouns, part.background)
    mentioned = replace(part, relations=tuple(outline.relations()))
    return Caption(text, _language_of(text) if language == "mixed" else language, form, mentioned)


def _language_of(text: str) -> Language:
    """The language of a text written as a mixture; with sprites or without colours it may be in one language."""
    if text.isascii():
        return "en"
    return "mixed" if any(c.isascii() and c.isalpha() for c in text) else "ko"


def _numbered(description: Description, language: Language) -> Caption:
    """Equal objects are numbered, which only the full form does; mixtures are written in English."""
    written: Language = "ko" if language == "ko" else "en"
    names, colours = [shape for shape, _ in description.objects], [colour for _, colour in description.objects]
    triplets = [(a, RELATIONS.index(r), b) for a, r, b in description.relations]
    relations = tuple(each for each in description.relations if each[1] != "same colour")
    text = captions(names, colours, triplets)[written]
    return Caption(text, written, "full", replace(description, relations=relations, background=None))


@dataclass(frozen=True)
class FilmCaption:
    """Attributes:
    text: one line that mentions every object, its colour and its motion.
    language: "en", "ko" or "mixed".
    order: index of the object of the film, for each mention.
    """

    text: str
    language: Language
    order: tuple[int, ...]


def sample_film_caption(
    names: Sequence[str],
    colours: Sequence[str],
    motions: Sequence[str],
    random: RandomStream | torch.Generator,
    language: Language | None = None,
) -> FilmCaption:
    """A caption of a film's objects, as `Film` names them, in a random order.

    random: source of random numbers; from a generator, one seed is drawn. language: None samples it.
    """
    stream = (
        random if isinstance(random, RandomStream) else RandomStream(int(torch.randint(2**62, (), generator=random)))
    )
    chosen = stream.choice(LANGUAGES) if language is None else language
    order = shuffled(stream, list(range(len(names))))
    nouns = [NOUNS[chosen](stream, names[i], colours[i]) for i in order]
    if chosen == "ko" or (chosen == "mixed" and stream.bernoulli(0.4)):
        parts = [f"{sample_word(stream, KOREAN_MOTIONS, motions[i])} {n}" for i, n in zip(order, nouns, strict=True)]
        text = korean.join_with_particles(parts) if chosen == "ko" and stream.bernoulli(0.5) else ", ".join(parts)
    else:
        starts = [article(noun) if noun[:1].isascii() else noun for noun in nouns]
        parts = [f"{n} {sample_word(stream, ENGLISH_MOTIONS, motions[i])}" for i, n in zip(order, starts, strict=True)]
        text = join_with_and(parts)
    return FilmCaption(text, chosen, tuple(order))
