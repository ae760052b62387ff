"""A mask drawn by words: the pixels that a segmenter gives a class."""

import numpy as np
from PIL import Image, ImageFilter

from saccade.data.files import escape
from saccade.data.images import Source, read_image
from saccade.data.scenes import korean
from saccade.data.scenes.vocabulary import ENGLISH_SHAPES, KOREAN_SHAPES
from saccade.errors import DataError, SaccadeError, printable
from saccade.ops import split_words
from saccade.tasks.segment.task import SegmentTask

_PARTICLES = (korean.TOPIC, korean.SUBJECT, korean.WITH, korean.OBJECT, korean.TO)
MARGIN = 1 / 32  # of the shorter side, around what is found: its soft edge belongs to it


def mask_of(words: str, source: Source, segmenter: SegmentTask) -> Image.Image:
    """Where a picture shows what words name, mode "L", 255 there and 0 elsewhere.

    words: with names of classes of the segmenter, in any case, such as "the star"; shapes of drawn scenes also by their
    synonyms and in Korean.

    Raises SaccadeError where they name no class, DataError where the picture shows none of those or cannot be read."""
    classes = find_named_classes(words, segmenter.labels)
    picture = read_image(source)
    found = segmenter.predict(picture.image).mask.numpy()
    mask = Image.fromarray(np.isin(found, [segmenter.labels.index(name) for name in classes]).astype(np.uint8) * 255)
    if mask.getbbox() is None:
        raise DataError(f"{segmenter.name} finds no {' or '.join(classes)} in {escape(picture.name)}")
    grown = 2 * max(1, round(min(mask.size) * MARGIN)) + 1
    return mask.filter(ImageFilter.MaxFilter(grown))


def find_named_classes(words: str, classes: list[str]) -> list[str]:
    """The classes that words name. Raises SaccadeError where there are none."""
    spoken = [word.text.casefold() for word in split_words(words)]
    found = [name for name in classes if any(_named(name, word) for word in spoken)]
    if not found:
        known = ", ".join(classes)
        raise SaccadeError(f'"{printable(words)}" names no class of the segmenter; it knows {printable(known)}')
    return found


def _named(name: str, word: str) -> bool:
    nouns = {*KOREAN_SHAPES.get(name, ()), *([korean.SHAPES[name]] if name in korean.SHAPES else [])}
    with_particles = {korean.add_particle(noun, kind) for noun in nouns for kind in _PARTICLES} | {
        f"{n}의" for n in nouns
    }
    return word in {name.casefold(), *ENGLISH_SHAPES.get(name, ()), *nouns, *with_particles}
