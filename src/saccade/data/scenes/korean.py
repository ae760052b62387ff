"""Korean words for scenes, and particles, which depend on the last sound of a word."""

COLOURS = {
    "red": "빨간",
    "orange": "주황색",
    "yellow": "노란",
    "green": "초록색",
    "turquoise": "청록색",
    "blue": "파란",
    "purple": "보라색",
    "pink": "분홍색",
    "brown": "갈색",
    "white": "흰",
}
SHAPES = {
    "disc": "원",
    "square": "정사각형",
    "triangle": "삼각형",
    "star": "별",
    "ring": "고리",
    "frame": "액자",
    "cross": "십자",
    "heart": "하트",
    "crescent": "초승달",
    "arrow": "화살표",
}
ORDINALS = ("첫", "두", "세", "네", "다섯", "여섯", "일곱", "여덟")

TOPIC, SUBJECT, WITH, OBJECT, TO = ("은", "는"), ("이", "가"), ("과", "와"), ("을", "를"), ("으로", "로")
_DIGITS_CLOSED = "013678"  # 영 일 삼 육 칠 팔
_RIEUL = 8  # the final consonant ㄹ, after which TO is as after a vowel


def add_particle(word: str, kind: tuple[str, str]) -> str:
    """`word` with the particle: the first of `kind` after a final consonant, else the second; both, "은(는)", if the
    spelling does not show the sound."""
    last = word[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return word + kind[0 if final and not (kind == TO and final == _RIEUL) else 1]
    if last in set("0123456789"):
        return word + kind[0 if last in _DIGITS_CLOSED and not (kind == TO and last in "178") else 1]
    return f"{word}{kind[0]}({kind[1]})"


def join_with_particles(words: list[str]) -> str:
    """가와 나와 다"""
    return " ".join([*(add_particle(word, WITH) for word in words[:-1]), *words[-1:]])
