"""Text as words, each of them the bytes of its UTF-8 form: every language works and there is no vocabulary file."""

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from saccade.errors import DataError, SaccadeError, printable

PAD = 0  # NUL, a byte that no accepted text holds

_JOINER = "\u200d"  # zero-width joiner, which makes one emoji of several
_LINE_BREAKS_AND_TABS = frozenset("\t\n\r")
_BYTE_ORDER_MARK = "\ufeff"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


class Word(NamedTuple):
    """A word, or a piece of a long one: text[start:stop] of the normalised text."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class WordBatch:
    """Texts as tensors: the bytes of the u different words of the batch, and which word stands where.

    A caption's words come from few different ones, and reading a word from its bytes costs as much as the rest of an
    encoder: each different word is read once.

    ids: bytes, 1 to 255, from the left; 0 is padding. index: the row of `ids` of every word, from the left; 0 at
    padding. byte_mask, word_mask: True where there is a byte, a word. texts: in normal form C, into which the spans of
    `words` point.
    """

    ids: Int[Tensor, "u w"]
    byte_mask: Bool[Tensor, "u w"]
    index: Int[Tensor, "b m"]
    word_mask: Bool[Tensor, "b m"]
    texts: tuple[str, ...]
    words: tuple[tuple[Word, ...], ...]

    def __len__(self) -> int:
        return len(self.index)

    def without_spans(self) -> "WordBatch":
        """The same tensors without texts and words: sending thousands of words from one process to another takes longer
        than preparing the batch."""
        return replace(self, texts=(), words=())

    def vocabulary(self) -> list[str]:
        """The u different words, in the order of `ids`."""
        return [bytes(row).rstrip(bytes([PAD])).decode() for row in self.ids.byte().numpy(force=True)]

    def to(self, device: torch.device | str) -> "WordBatch":
        """The same batch with its tensors on another device."""
        return replace(
            self,
            ids=self.ids.to(device),
            byte_mask=self.byte_mask.to(device),
            index=self.index.to(device),
            word_mask=self.word_mask.to(device),
        )


def tokenize(texts: Sequence[str], max_words: int = 64, max_bytes: int = 32) -> WordBatch:
    """Split a batch of texts into words and the words into bytes; m and w are the most that a text and a word have.

    Each text is brought to Unicode normal form C, with its case kept, and split by `split_words`.

    max_words: most words of a text. max_bytes: most bytes of a word, at least 4, the longest UTF-8 character.

    Raises DataError for a text that is blank, has more than `max_words` words (nothing is cut off), or holds control
    characters or unpaired surrogates; SaccadeError for no texts at all.
    """
    if isinstance(texts, str) or not len(texts):
        raise SaccadeError(f"expected a list of one text or more, found {texts!r}")
    normal = tuple(unicodedata.normalize("NFC", _checked(text, i)) for i, text in enumerate(texts))
    words = tuple(tuple(split_words(text, max_bytes)) for text in normal)
    for i, (text, row) in enumerate(zip(normal, words, strict=True)):
        if len(row) > max_words:
            raise DataError(f"{_name(text, i)} has {len(row)} words, more than {max_words}: shorten it")
    number = {word: row for row, word in enumerate(dict.fromkeys(word.text for row in words for word in row))}
    ids = _padded([torch.tensor(list(word.encode())) for word in number], PAD)
    index = _padded([torch.tensor([number[word.text] for word in row]) for row in words], -1)
    return WordBatch(ids, ids != PAD, index.clamp(min=0), index >= 0, normal, words)


def merge_batches(batches: Sequence[WordBatch]) -> WordBatch:
    """One batch of several, in their order; each different word is in it once."""
    rows = torch.cat([F.pad(b.ids, (0, max(each.ids.shape[1] for each in batches) - b.ids.shape[1])) for b in batches])
    ids, number = rows.unique(dim=0, return_inverse=True)
    first = itertools.accumulate((len(each.ids) for each in batches), initial=0)
    longest = max(each.index.shape[1] for each in batches)
    index, mask = (
        torch.cat([F.pad(each, (0, longest - each.shape[1])) for each in parts])
        for parts in (
            [number[each.index + start] for each, start in zip(batches, first, strict=False)],
            [each.word_mask for each in batches],
        )
    )
    texts, words = (
        tuple(itertools.chain(*parts)) for parts in zip(*((b.texts, b.words) for b in batches), strict=True)
    )
    return WordBatch(ids, ids != PAD, index.where(mask, 0), mask, texts, words)


def text_error(text: str) -> str:
    """Why `tokenize` refuses a text of any length, to follow the name of the text in a message; "" if it does not.

    Refused are unpaired surrogates, control characters other than line breaks and tabs, and blank texts."""
    for character in "" if text.isprintable() else text:
        category = unicodedata.category(character)
        if category == "Cs":
            return f"holds {character!a}, half of a surrogate pair: it was decoded wrongly, read it as UTF-8"
        if (category == "Cc" and character not in _LINE_BREAKS_AND_TABS) or character == _BYTE_ORDER_MARK:
            return f"holds the control character {character!a}: remove it"
    if all(character.isspace() or unicodedata.category(character) == "Cf" for character in text):
        return "is blank: write at least one word"
    return ""


def split_words(text: str, max_bytes: int = 32) -> list[Word]:
    """The words of a text, with their spans.

    A run of letters and digits of any script is a word, and so is every punctuation mark and symbol on its own:
    "a red star, left." has six. White space only separates. Combining marks and invisible characters belong to
    what they follow, and an emoji made of several by joiners is one word. A word of more than `max_bytes` bytes becomes
    several, split between characters. The text is expected in normal form C.
    """
    if max_bytes < 4:
        raise SaccadeError(f"a word of at most {max_bytes} bytes cannot hold every character: 4 or more are needed")
    spans: list[tuple[int, int]] = []
    going_on = letters = False  # whether the last word may go on, and whether it consists of letters
    for i, character in enumerate(text):
        if character.isspace():
            going_on = False
            continue
        category = unicodedata.category(character)
        letter = category[0] in "LN"
        attached = category[0] == "M" or category == "Cf" or ord(character) in _SKIN_TONES or text[i - 1] == _JOINER
        if going_on and (attached or (letter and letters)):
            spans[-1] = (spans[-1][0], i + 1)
        else:
            spans.append((i, i + 1))
            letters = letter
        going_on = True
    return [word for start, stop in spans for word in _pieces(text, start, stop, max_bytes)]


def _pieces(text: str, start: int, stop: int, max_bytes: int) -> list[Word]:
    if 4 * (stop - start) <= max_bytes or len(text[start:stop].encode()) <= max_bytes:
        return [Word(text[start:stop], start, stop)]
    pieces, used, first = [], 0, start
    for i in range(start, stop):
        size = len(text[i].encode())
        if used + size > max_bytes:
            pieces.append(Word(text[first:i], first, i))
            used, first = 0, i
        used += size
    return [*pieces, Word(text[first:stop], first, stop)]


def _checked(text: str, i: int) -> str:
    error = text_error(text)
    if error:
        raise DataError(f"{_name(text, i)} {error}")
    return text


def _name(text: str, i: int) -> str:
    """How messages call a text: its number, and its beginning."""
    return f'text {i + 1} ("{printable(text[:40])}{"…" if len(text) > 40 else ""}")'


def _padded(rows: list[Tensor], padding: int) -> Int[Tensor, "b m"]:
    return pad_sequence(rows, batch_first=True, padding_value=padding)
