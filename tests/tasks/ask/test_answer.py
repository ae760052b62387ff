"""Pieces and words of an answer."""

import pytest

from saccade.tasks.ask.answer import decode_tokens, words_of


def words(*pieces):
    return [(word.text, word.pieces) for word in words_of(pieces)]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([" a", " gl", "itter", "ing", " star"], [("a", [0]), ("glittering", [1, 2, 3]), ("star", [4])]),
        (["It", " is", " red", ",", " not", " blue", "."],
         [("It", [0]), ("is", [1]), ("red", [2]), (",", [3]), ("not", [4]), ("blue", [5]), (".", [6])]),
        (["don", "'", "t"], [("don't", [0, 1, 2])]),
        ([" 빨", "간", " 별"], [("빨간", [0, 1]), ("별", [2])]),
        (["红", "色", "的星"], [("红", [0]), ("色", [1]), ("的星", [2])]),
        (["", "", "é", "t", "é"], [("été", [0, 1, 2, 3, 4])]),
        (["car", "<loc_12>", "<loc_3>", "end"], [("car", [0]), ("<loc_12>", [1]), ("<loc_3>", [2]), ("end", [3])]),
        ([" "], [("␣", [0])]),
        ([], []),
    ],
)  # fmt: skip
def test_words(pieces, expected):
    assert words(*pieces) == expected


def test_pieces_are_what_each_token_adds():
    raw = [b"caf", b"\xc3", b"\xa9", b" ok", b""]  # the last is a special token

    def decode(ids):
        return b"".join(raw[i] for i in ids).decode("utf-8", errors="replace")

    assert decode_tokens([0, 1, 2, 3, 4], decode, lambda token: f"<{token}>") == ["caf", "", "é", " ok", "<4>"]
    assert decode_tokens([], decode, str) == []
