"""Texts as words and bytes: what is a word, spans, limits, and what is refused."""

import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.errors import DataError, SaccadeError
from saccade.ops import WordBatch, split_words, tokenize

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


def spelled(batch: WordBatch) -> list[list[str]]:
    """The words, read back from the tensors."""
    rows = []
    for index, mask in zip(batch.index, batch.word_mask, strict=True):
        words = [bytes(batch.ids[i][batch.byte_mask[i]].tolist()).decode() for i in index[mask]]
        rows.append(words)
    return rows


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a red star", ["a", "red", "star"]),
        ("  a\tRed\r\nstar ", ["a", "Red", "star"]),
        ("a red star, left.", ["a", "red", "star", ",", "left", "."]),
        ("star", ["star"]),
        ("?", ["?"]),
        ("don't left-of 3x3", ["don", "'", "t", "left", "-", "of", "3x3"]),
        ("빨간 별이 있다.", ["빨간", "별이", "있다", "."]),
        ("赤い星と青い輪", ["赤い星と青い輪"]),
        ("हिन्दी शब्द", ["हिन्दी", "शब्द"]),
        (f"{FAMILY}\U0001f44d\U0001f3fd", [FAMILY, "\U0001f44d\U0001f3fd"]),
        ("❤\ufe0f사랑", ["❤\ufe0f", "사랑"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("a\u00a0b\u3000c", ["a", "b", "c"]),
    ],
)
def test_what_is_a_word(text, words):
    found = split_words(text)
    assert [word.text for word in found] == words
    assert [text[word.start : word.stop] for word in found] == words


def test_a_long_word_is_split_between_characters_and_nothing_is_lost():
    text = "a 가나다라마 bcdefghijk"
    found = split_words(text, max_bytes=7)
    assert [word.text for word in found] == ["a", "가나", "다라", "마", "bcdefgh", "ijk"]
    assert [text[word.start : word.stop] for word in found] == [word.text for word in found]
    with pytest.raises(SaccadeError, match="3 bytes"):
        split_words(text, max_bytes=3)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), min_size=1, max_size=80))
def test_every_visible_character_is_in_one_word(text):
    text = f"a {text}"
    batch = tokenize([text, "a"], max_words=90, max_bytes=5)
    assert spelled(batch) == [[word.text for word in row] for row in batch.words]
    assert "".join(word.text for word in batch.words[0]) == "".join(
        c for c in unicodedata.normalize("NFC", text) if not c.isspace()
    )
    assert all(len(word.text.encode()) <= 5 for word in batch.words[0])


def test_the_batch_holds_each_different_word_once():
    batch = tokenize(["a red star", "red", "a star or a ring"])
    assert batch.ids.shape == batch.byte_mask.shape == (5, 4)
    assert batch.index.tolist() == [[0, 1, 2, 0, 0], [1, 0, 0, 0, 0], [0, 2, 3, 0, 4]]
    assert batch.word_mask.sum(dim=1).tolist() == [3, 1, 5]
    assert batch.byte_mask.sum(dim=1).tolist() == [1, 3, 4, 2, 4]
    assert len(batch) == 3
    assert batch.ids.dtype == torch.int64
    assert torch.equal(batch.ids != 0, batch.byte_mask)


def test_decomposed_text_is_the_same_as_composed():
    composed = "빨간 별 é"
    batch = tokenize([unicodedata.normalize("NFD", composed), composed])
    assert batch.texts == (composed, composed)
    assert batch.words[0] == batch.words[1]
    assert torch.equal(batch.index[0], batch.index[1])


def test_case_is_kept():
    assert spelled(tokenize(["Red red"])) == [["Red", "red"]]


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u3000", "\u200b\u200d"])
def test_blank(blank):
    with pytest.raises(DataError, match=r"text 2 .* is blank"):
        tokenize(["a", blank])


@pytest.mark.parametrize(
    ("text", "words"), [("a\0b", r"control character '\\x00'"), ("a\x1b[31m", r"'\\x1b'"), ("\ufeffa", r"'\\ufeff'"),
                        ("a\x85b", r"'\\x85'"), ("a\udc80", r"'\\udc80', half of a surrogate pair")]
)  # fmt: skip
def test_characters_that_are_refused(text, words):
    with pytest.raises(DataError, match=words) as error:
        tokenize(["a", "b", text])
    assert str(error.value).startswith("text 3 ")
    assert str(error.value).isprintable()


def test_too_many_words_are_counted_and_not_cut():
    assert tokenize(["a " * 64]).index.shape == (1, 64)
    with pytest.raises(DataError, match="has 65 words, more than 64: shorten it"):
        tokenize(["b", "a " * 65])


@pytest.mark.parametrize("texts", [[], "a red star"])
def test_no_list_of_texts(texts, unchecked):
    with pytest.raises(SaccadeError, match="a list of one text or more"):
        tokenize(texts)
