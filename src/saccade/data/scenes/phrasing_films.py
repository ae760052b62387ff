"""Short captions of films: "a red disc moving right and a blue star growing"."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from saccade.data.scenes import korean
from saccade.data.scenes.captions import article
from saccade.data.scenes.outline import shuffled
from saccade.data.scenes.phrasing import LANGUAGES, NOUNS, Language
from saccade.data.scenes.stream import Stream
from saccade.data.scenes.vocabulary import ENGLISH_MOTIONS, KOREAN_MOTIONS, draw_word


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


def draw_film_caption(
    names: Sequence[str],
    colours: Sequence[str],
    motions: Sequence[str],
    random: Stream | torch.Generator,
    language: Language | None = None,
) -> FilmCaption:
    """A caption of a film's objects, as `Film` names them, in a random order.

    random: source of random numbers; from a generator, one seed is drawn. language: None samples it.
    """
    stream = random if isinstance(random, Stream) else Stream(int(torch.randint(2**62, (), generator=random)))
    chosen = stream.choice(LANGUAGES) if language is None else language
    order = shuffled(stream, list(range(len(names))))
    nouns = [NOUNS[chosen](stream, names[i], colours[i]) for i in order]
    if chosen == "ko" or (chosen == "mixed" and stream.bernoulli(0.4)):
        parts = [f"{draw_word(stream, KOREAN_MOTIONS, motions[i])} {n}" for i, n in zip(order, nouns, strict=True)]
        text = korean.listed(parts) if chosen == "ko" and stream.bernoulli(0.5) else ", ".join(parts)
    else:
        starts = [article(noun) if noun[:1].isascii() else noun for noun in nouns]
        parts = [f"{n} {draw_word(stream, ENGLISH_MOTIONS, motions[i])}" for i, n in zip(order, starts, strict=True)]
        text = " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
    return FilmCaption(text, chosen, tuple(order))
