"""Text as bytes."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from saccade.errors import SaccadeError
from saccade.ops import decode, encode
from saccade.ops.text import END, FIRST_BYTE, PAD, START, VOCABULARY

SURVIVES = st.text(st.characters(exclude_categories=["Cs"]), max_size=17)


@given(st.lists(SURVIVES, max_size=5))
def test_round_trip(texts):
    ids, real = encode(texts)
    assert ids.shape == real.shape == (len(texts), max((len(t.encode()) + 2 for t in texts), default=0))
    assert decode(ids) == texts
    assert ((ids >= 0) & (ids < VOCABULARY)).all()
    assert torch.equal(real, ids != PAD)


@pytest.mark.parametrize("text", ["고양이 한 마리", "🐈‍⬛", "a cat", "é", "\x00", "", "한글\nและไทย"])
def test_every_language(text):
    ids, _ = encode([text], length=64)
    assert decode(ids) == [text]


def test_ids_by_hand():
    ids, real = encode(["가", "a"])  # 가 is EA B0 80 in UTF-8
    assert ids.tolist() == [
        [START, FIRST_BYTE + 0xEA, FIRST_BYTE + 0xB0, FIRST_BYTE + 0x80, END],
        [START, FIRST_BYTE + 0x61, END, PAD, PAD],
    ]
    assert real.sum(dim=1).tolist() == [5, 3]


def test_length():
    assert encode(["abc"], length=5)[0].shape == (1, 5)
    assert encode(["abc", ""], length=11)[0].shape == (2, 11)
    with pytest.raises(SaccadeError, match=r"'고양이' takes 11 tokens .* more than 10: shorten it"):
        encode(["a", "고양이"], length=10)


def test_no_texts():
    ids, real = encode([])
    assert ids.shape == real.shape == (0, 0)
    assert encode([], length=7)[0].shape == (0, 7)
    assert decode(ids) == []


def test_broken_bytes_are_replaced():
    """A generated text may stop inside a character."""
    ids, _ = encode(["가"])
    assert decode(ids[:, :3]) == ["�"]
