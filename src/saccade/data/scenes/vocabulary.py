"""Words for shapes, colours, relations, backgrounds and motions, with synonyms, in English and Korean.

The first word of each entry is the most frequent one.
"""

from collections.abc import Mapping, Sequence

from saccade.data.scenes import korean
from saccade.data.scenes.random_stream import RandomStream

Words = Mapping[str, Sequence[str]]

# The inverses of RELATIONS.
INVERSES = {
    "left of": "right of",
    "above": "below",
    "inside": "around",
    "in front of": "behind",
    "bigger than": "smaller than",
}
BASES = {inverse: base for base, inverse in INVERSES.items()}

ENGLISH_SHAPES: Words = {
    "disc": ("disc", "circle"),
    "ring": ("ring", "hoop"),
    "cross": ("cross", "plus"),
    "crescent": ("crescent", "moon"),
}
ENGLISH_COLOURS: Words = {"turquoise": ("turquoise", "cyan"), "purple": ("purple", "violet")}
ENGLISH_RELATIONS: Words = {
    "left of": ("left of", "to the left of", "on the left side of"),
    "right of": ("right of", "to the right of", "on the right side of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "beneath"),
    "inside": ("inside", "within", "in the hole of"),
    "around": ("around", "surrounding", "enclosing"),
    "in front of": ("in front of", "partly covering", "partly hiding"),
    "behind": ("behind", "partly covered by", "partly hidden by"),
    "bigger than": ("bigger than", "larger than", "much bigger than"),
    "smaller than": ("smaller than", "tinier than", "much smaller than"),
}
ENGLISH_BACKGROUNDS: Words = {
    "light": ("light", "bright"),
    "dark": ("dark",),
    "striped": ("striped",),
    "checked": ("checked", "checkered"),
    "dotted": ("dotted", "spotted"),
}
ENGLISH_MOTIONS: Words = {
    "moves right": ("moving right", "going to the right"),
    "moves left": ("moving left", "going to the left"),
    "moves up": ("moving up", "rising"),
    "moves down": ("moving down", "sinking"),
    "turns clockwise": ("turning clockwise", "rotating clockwise"),
    "turns counterclockwise": ("turning counterclockwise", "rotating counterclockwise"),
    "grows": ("growing", "getting bigger"),
    "shrinks": ("shrinking", "getting smaller"),
    "stays still": ("staying still", "at rest"),
}

KOREAN_SHAPES: Words = {
    "disc": (korean.SHAPES["disc"], "동그라미"),
    "square": (korean.SHAPES["square"], "네모"),
    "triangle": (korean.SHAPES["triangle"], "세모"),
    "ring": (korean.SHAPES["ring"], "링"),
    "frame": (korean.SHAPES["frame"], "사각 틀"),
    "cross": (korean.SHAPES["cross"], "십자가"),
    "crescent": (korean.SHAPES["crescent"], "달"),
}
KOREAN_COLOURS: Words = {
    "red": (korean.COLOURS["red"], "빨간색", "붉은"),
    "orange": (korean.COLOURS["orange"], "주황빛"),
    "yellow": (korean.COLOURS["yellow"], "노란색"),
    "green": (korean.COLOURS["green"], "녹색"),
    "turquoise": (korean.COLOURS["turquoise"], "옥색"),
    "blue": (korean.COLOURS["blue"], "파란색", "푸른"),
    "purple": (korean.COLOURS["purple"], "보랏빛"),
    "pink": (korean.COLOURS["pink"], "핑크색"),
    "brown": (korean.COLOURS["brown"], "고동색"),
    "white": (korean.COLOURS["white"], "흰색", "하얀"),
}
# Colours as nouns, and as adverbs ("so that it is red").
KOREAN_COLOUR_NOUNS: Words = {
    "red": ("빨간색", "빨강"),
    "orange": ("주황색", "주황빛"),
    "yellow": ("노란색", "노랑"),
    "green": ("초록색", "녹색"),
    "turquoise": ("청록색", "옥색"),
    "blue": ("파란색", "파랑"),
    "purple": ("보라색", "보랏빛"),
    "pink": ("분홍색", "핑크색"),
    "brown": ("갈색", "고동색"),
    "white": ("흰색", "하얀색"),
}
KOREAN_COLOUR_ADVERBS: Words = {
    "red": ("빨갛게", "붉게"),
    "yellow": ("노랗게",),
    "blue": ("파랗게", "푸르게"),
    "white": ("하얗게", "희게"),
}
# Nouns for the position of the subject relative to the object.
KOREAN_PLACES: Words = {
    "left of": ("왼쪽", "왼편"),
    "right of": ("오른쪽", "오른편"),
    "above": ("위쪽", "위"),
    "below": ("아래쪽", "아래"),
    "inside": ("안", "안쪽"),
    "around": ("둘레",),
    "in front of": ("앞", "앞쪽"),
    "behind": ("뒤", "뒤쪽"),
}
KOREAN_SIZES = {"bigger than": "큰", "smaller than": "작은"}
KOREAN_BACKGROUNDS: Words = {
    "light": ("밝은",),
    "dark": ("어두운",),
    "striped": ("줄무늬",),
    "checked": ("체크무늬", "바둑판무늬"),
    "dotted": ("물방울무늬", "점무늬"),
}
KOREAN_MOTIONS: Words = {
    "moves right": ("오른쪽으로 움직이는", "오른쪽으로 가는"),
    "moves left": ("왼쪽으로 움직이는", "왼쪽으로 가는"),
    "moves up": ("위로 움직이는", "올라가는"),
    "moves down": ("아래로 움직이는", "내려가는"),
    "turns clockwise": ("시계 방향으로 도는", "시계 방향으로 회전하는"),
    "turns counterclockwise": ("시계 반대 방향으로 도는", "시계 반대 방향으로 회전하는"),
    "grows": ("커지는", "점점 커지는"),
    "shrinks": ("작아지는", "점점 작아지는"),
    "stays still": ("가만히 있는", "멈춰 있는"),
}


def sample_word(stream: RandomStream, words: Words, key: str, default: str | None = None) -> str:
    """A random word for `key`: the first with probability 0.6, else any of its words; `default`, or the key itself, if
    it has none."""
    choices = words.get(key)
    if choices is None:
        return key if default is None else default
    return choices[0] if stream.bernoulli(0.6) else stream.choice(choices)


def english_noun(stream: RandomStream, shape: str, colour: str) -> str:
    """ "red star"; without a colour, "star"."""
    noun = sample_word(stream, ENGLISH_SHAPES, shape)
    return f"{sample_word(stream, ENGLISH_COLOURS, colour)} {noun}" if colour else noun


def korean_noun(stream: RandomStream, shape: str, colour: str) -> str:
    """ "빨간 별"; without a colour, "별"."""
    noun = sample_word(stream, KOREAN_SHAPES, shape, korean.SHAPES.get(shape, shape))
    return f"{sample_word(stream, KOREAN_COLOURS, colour)} {noun}" if colour else noun


def mixed_noun(stream: RandomStream, shape: str, colour: str) -> str:
    """One of the two words in English and the other in Korean: "빨간 star", "red 별"; a lone shape in either."""
    if not colour:
        return korean_noun(stream, shape, "") if stream.bernoulli(0.5) else english_noun(stream, shape, "")
    if stream.bernoulli(0.5):
        return f"{sample_word(stream, KOREAN_COLOURS, colour)} {sample_word(stream, ENGLISH_SHAPES, shape)}"
    return f"{sample_word(stream, ENGLISH_COLOURS, colour)} {korean_noun(stream, shape, '')}"
