"""Korean particles: which of two forms follows a word depends on whether it ends in a consonant, as read aloud."""

import re
from typing import Literal

Final = Literal["", "ㄹ", "other"]

_FORMS = {
    "을(를)": ("을", "를"),
    "이(가)": ("이", "가"),
    "은(는)": ("은", "는"),
    "과(와)": ("과", "와"),
    "(으)로": ("으로", "로"),
}
_MARKED = re.compile("(.*?)(" + "|".join(map(re.escape, _FORMS)) + ")", re.DOTALL)
_CLOSING = re.compile(r"(?:\([^()]*\)|[\s\"'”’」』)\]}>.,!?…])+$")  # a remark in brackets is not read with the word
_DIGITS: dict[str, Final] = {"0": "other", "1": "ㄹ", "3": "other", "6": "other", "7": "ㄹ", "8": "ㄹ"}
_LETTERS: dict[str, Final] = {"l": "ㄹ", "r": "ㄹ", "m": "other", "n": "other"}  # 엘 알 엠 엔


def with_particles(text: str) -> str:
    """A text whose particles, written in both forms as in 을(를), follow the words before them."""

    def choose(found: re.Match[str]) -> str:
        before, form = found.groups()
        final = final_consonant(before)
        closed = final == "other" if form == "(으)로" else final != ""
        return before + _FORMS[form][0 if closed else 1]

    return _MARKED.sub(choose, text)


def final_consonant(text: str) -> Final:
    """The final consonant of a word as read aloud, "" for none."""
    word = _CLOSING.sub("", text) or text
    last = word[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return "ㄹ" if final == 8 else "other" if final else ""
    if last.isascii() and last.isdigit():
        return _DIGITS.get(last, "")
    if last in set("⁰¹²³⁴⁵⁶⁷⁸⁹"):
        return "other"  # a power: 승
    found = re.search(r"[A-Za-z]*$", word)
    return _latin(found[0] if found else "")


def _latin(word: str) -> Final:
    """Of a letter alone or at the end of an abbreviation by its name, of other words by their usual pronunciation."""
    spelled = word[-1:].isupper() and not re.fullmatch(r"(?=.*[AEIOU])[A-Z]{4,}", word)  # ViT, but CLIP as a word
    if spelled or len(word) == 1:
        return _LETTERS.get(word[-1].lower(), "")
    read = word.lower()
    if re.search(r"(?:l|le)$", read):
        return "ㄹ"
    return "other" if re.search(r"(?:[mn]e?|ng|ck|b|(?:^|[^aeiou])[aeiou][kpt]|ook|oot)$", read) else ""
