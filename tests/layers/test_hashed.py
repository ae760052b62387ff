"""Vectors of words by hashes of their bytes."""

import itertools

import torch

from saccade.layers import HashEmbedding
from saccade.ops import tokenize

TEXT = "left right above below 왼쪽 오른쪽 위 아래 a ab ba aa"


def test_rows_are_those_of_the_polynomials():
    words = tokenize([TEXT])
    embedding = HashEmbedding(101, 5)
    found = embedding(words.ids, words.byte_mask)
    for row, word in zip(found, words.words[0], strict=True):
        hashes = (sum(byte * base ** (i + 1) for i, byte in enumerate(word.text.encode())) for base in (1000003, 48271))
        first, second = (value % (2**31 - 1) % 101 for value in hashes)
        torch.testing.assert_close(row, embedding.table[first] + embedding.table[second])


def test_words_that_are_spelled_alike_differ():
    words = tokenize([TEXT])
    vectors = HashEmbedding(997, 64)(words.ids, words.byte_mask)
    torch.testing.assert_close(vectors.square().mean(), torch.tensor(1.0), atol=0.2, rtol=0)
    cosines = torch.nn.functional.normalize(vectors) @ torch.nn.functional.normalize(vectors).T
    assert max(abs(cosines[i, j]) for i, j in itertools.combinations(range(len(vectors)), 2)) < 0.6
