"""Edits with words: a scene, the scene with one attribute changed, and the instruction for the change.

make the red star blue              빨간 별을 파랗게 바꿔 줘
turn the star into a ring           별을 고리로 바꿔
replace the red one with a red ring    빨간 별 대신 빨간 고리를 그려 줘
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

from saccade.data.scenes import korean
from saccade.data.scenes.captions import article
from saccade.data.scenes.description import shuffled
from saccade.data.scenes.edits import edited_scene, minimal_edit
from saccade.data.scenes.phrasing import Caption, sample_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.vocabulary import (
    ENGLISH_COLOURS,
    KOREAN_COLOUR_ADVERBS,
    KOREAN_COLOUR_NOUNS,
    KOREAN_COLOURS,
    english_noun,
    korean_noun,
    sample_word,
)

if TYPE_CHECKING:
    from saccade.data.scenes.scenes import Scene, Scenes

Object = tuple[str, str]  # shape, colour
InstructionLanguage = Literal["en", "ko"]
LANGUAGES: tuple[InstructionLanguage, ...] = ("en", "ko")

# {noun} is the object, {colour} its new colour, {a} its new noun with an article, {full} the same with its colour.
_ENGLISH_COLOUR = (
    "make the {noun} {colour}",
    "make the {noun} {colour}",
    "turn the {noun} {colour}",
    "paint the {noun} {colour}",
    "change the {noun} to {colour}",
    "change the colour of the {noun} to {colour}",
    "change the color of the {noun} to {colour}",
    "the {noun} should be {colour}",
)
_ENGLISH_SHAPE = (
    "turn the {noun} into {a}",
    "turn the {noun} into {a}",
    "make the {noun} {a}",
    "change the {noun} to {a}",
    "change the {noun} into {a}",
    "replace the {noun} with {full}",
    "the {noun} should be {a}",
    "{full} instead of the {noun}",
)
# {noun}, {object}: the object, without and with a particle; {to}: its new colour or noun with a particle; {so}: the new
# colour as an adverb, where it has one; {full}: its new noun with its colour and a particle.
_KOREAN_COLOUR = (
    "{object} {so} {change}",
    "{object} {so} {change}",
    "{object} {to} {change}",
    "{object} {to} {paint}",
    "{noun}의 색을 {to} {change}",
    "{noun} 색깔을 {to} {change}",
)
_KOREAN_SHAPE = (
    "{object} {to} {change}",
    "{object} {to} {change}",
    "{object} {to} {make}",
    "{noun} 대신 {full} {draw}",
)
_THINGS = ("것", "도형", "물체")
_VERBS = {
    "change": ("바꿔", "바꿔 줘", "바꿔줘", "바꿔 주세요", "바꾸세요"),
    "paint": ("칠해", "칠해 줘", "칠해 주세요", "칠하세요"),
    "make": ("만들어", "만들어 줘", "만들어 주세요", "만드세요"),
    "draw": ("그려", "그려 줘", "그려 주세요", "그리세요"),
}


class EditedPair(NamedTuple):
    """Attributes:
    before, after: the scene, and the scene with one object changed; layout, light and backdrop are the same.
    kind: what changed, "colour" or "shape".
    changed: index of the object in both.
    instruction: one line that names the object unambiguously in `before`, and the change.
    caption: a caption of `after`, in the language of the instruction.
    """

    before: "Scene"
    after: "Scene"
    kind: Literal["colour", "shape"]
    changed: int
    instruction: str
    caption: Caption


def edited_pair(
    scenes: "Scenes", scene: "Scene", stream: RandomStream, language: InstructionLanguage | None = None
) -> EditedPair | None:
    """The scene with one random change of colour or shape, as an instruction would make it; None if no change is found
    that fits the constraints of `scenes`. Changed scenes of `combinations="seen"` have no held-out combination.

    Args:
        scenes: the set that the scene is from, with the same arguments.
        scene: from its `scene`, `fresh` or `batch`.
        language: None samples English or Korean.

    Raises:
        DataError: the scene is not from this set, or is already edited.
    """
    chosen = stream.choice(LANGUAGES) if language is None else language
    kinds: list[Literal["colour", "shape"]] = ["colour", "shape"]
    for kind in shuffled(stream, kinds):
        edit = minimal_edit(scene.description, stream, kind, combinations=scenes.composition.combinations)
        after = edited_scene(scenes, scene, edit) if edit else None
        if edit is None or after is None:
            continue
        old = scene.description.objects
        changed = next(i for i, each in enumerate(old) if each != edit.objects[i])
        words = sample_instruction(stream, old, changed, edit.objects[changed], chosen)
        if words is not None:
            return EditedPair(scene, after, kind, changed, words, sample_caption(after.description, stream, chosen))
    return None


def sample_instruction(
    stream: RandomStream, objects: tuple[Object, ...], changed: int, new: Object, language: InstructionLanguage
) -> str | None:
    """A random instruction to change one of the objects, in colour or in shape.

    Args:
        objects: (shape, colour) of all objects of the scene.
        changed: index of the object to change.
        new: (shape, colour) after the change.

    Returns None if no phrase names the object unambiguously.
    """
    names = _unambiguous(objects, changed)
    if not names:
        return None
    name = names[0] if stream.bernoulli(0.6) else stream.choice(names)
    write = _english if language == "en" else _korean
    return write(stream, objects[changed], name, new)


def _unambiguous(objects: tuple[Object, ...], i: int) -> list[Object]:
    """The phrases, (shape, colour) with "" for what is omitted, that fit only object i, the fullest first.

    A colour alone is used only if every object has a colour name, as it might be one of the colours of a sprite.
    """
    shape, colour = objects[i]
    names = [(shape, colour)] if objects.count(objects[i]) == 1 else []
    if names and [each for each, _ in objects].count(shape) == 1 and colour:
        names.append((shape, ""))
    colours = [each for _, each in objects]
    if colour and all(colours) and colours.count(colour) == 1:
        names.append(("", colour))
    return names


def _english(stream: RandomStream, old: Object, name: Object, new: Object) -> str:
    if name[0]:
        noun = english_noun(stream, *name)
    else:
        noun = f"{sample_word(stream, ENGLISH_COLOURS, name[1])} {stream.choice(('one', 'shape', 'object'))}"
    if old[0] == new[0]:
        text = stream.choice(_ENGLISH_COLOUR).format(noun=noun, colour=sample_word(stream, ENGLISH_COLOURS, new[1]))
    else:
        full = article(english_noun(stream, *new))
        a = full if stream.bernoulli(0.3) else article(english_noun(stream, new[0], ""))
        text = stream.choice(_ENGLISH_SHAPE).format(noun=noun, a=a, full=full)
    return f"{text[:1].upper()}{text[1:]}." if stream.bernoulli(0.25) else text


def _korean(stream: RandomStream, old: Object, name: Object, new: Object) -> str:
    noun = korean_noun(stream, *name)
    if not name[0]:
        noun = f"{sample_word(stream, KOREAN_COLOURS, name[1])} {stream.choice(_THINGS)}"
    if old[0] == new[0]:
        to = korean.add_particle(sample_word(stream, KOREAN_COLOUR_NOUNS, new[1]), korean.TO)
        full, so, pattern = "", sample_word(stream, KOREAN_COLOUR_ADVERBS, new[1], to), stream.choice(_KOREAN_COLOUR)
    else:
        plain, coloured = korean_noun(stream, new[0], ""), korean_noun(stream, *new)
        to = korean.add_particle(coloured if stream.bernoulli(0.3) else plain, korean.TO)
        full, so, pattern = korean.add_particle(coloured, korean.OBJECT), "", stream.choice(_KOREAN_SHAPE)
    verbs = {name: stream.choice(endings) for name, endings in _VERBS.items()}
    text = pattern.format(noun=noun, object=korean.add_particle(noun, korean.OBJECT), to=to, so=so, full=full, **verbs)
    return f"{text}." if stream.bernoulli(0.25) else text
