"""Weights in a prompt: "a (red:1.5) star", in the grammar of Automatic1111's web UI.

    (x:1.5)   the words x with weight 1.5, from 0 to 100
    (x)       weight 1.1
    [x]       weight 1 / 1.1
    \\( \\)     plain brackets

Brackets nest, their weights multiply, and they enclose whole words. A weight w multiplies the attention to a word
before the weights over all words are scaled to sum to 1: log w is added to the word's score. Other tools read the same
grammar with other formulas.
"""

import math
import re
import unicodedata
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import DataError, printable
from saccade.ops import WordBatch
from saccade.ops.words import Word

MAX_WEIGHT = 100.0
_STEP = 1.1
_TOKEN = re.compile(r"\\[\\()\[\]]|[()\[\]]|[^\\()\[\]]+|\\")
_WEIGHT = re.compile(r":\s*([^:()\[\]]*)$")


@dataclass(frozen=True)
class Prompt:
    """text: without brackets and weights. weights: (start, stop, weight) of each part of the text, in order."""

    text: str
    weights: tuple[tuple[int, int, float], ...] = ()

    def weight_at(self, position: int) -> float:
        """The weight at a position of the text."""
        return next((weight for start, stop, weight in self.weights if start <= position < stop), 1.0)


def parse_prompt(prompt: str) -> Prompt:
    """The text of a prompt, in Unicode normal form C, and the weights of its parts; white space is reduced to single
    spaces.

    Raises DataError for brackets without a partner, and for weights that are not numbers from 0 to 100.
    """
    parts, open_brackets = _bracketed(unicodedata.normalize("NFC", " ".join(prompt.split())))
    if open_brackets:
        raise _unbalanced(prompt, open_brackets[-1][0])
    text, weights = "", []
    for part, weight in parts:
        if weight > MAX_WEIGHT:
            raise DataError(f'the prompt gives "{printable(part[:40])}" a weight of {weight:g}: at most {MAX_WEIGHT:g}')
        weights.append((len(text), len(text) + len(part), weight))
        text += part
    if not unicodedata.is_normalized("NFC", text):  # the tokenizer would compose it, and shift the places of weights
        raise DataError(f'the prompt "{printable(prompt[:60])}" has a bracket between a letter and its accent')
    return Prompt(text, tuple(weights))


def _bracketed(prompt: str) -> tuple[list[tuple[str, float]], list[tuple[str, int]]]:
    """Parts with their weights, and the brackets that are still open, each with the number of parts before it."""
    parts: list[tuple[str, float]] = []
    opened: list[tuple[str, int]] = []
    before = ""
    for token in _TOKEN.findall(prompt):
        if token in ("(", "["):
            opened.append((token, len(parts)))
        elif token in (")", "]"):
            if not opened or opened[-1][0] != {")": "(", "]": "["}[token]:
                raise _unbalanced(prompt, token)
            first = opened.pop()[1]
            factor = _factor(parts, before) if token == ")" else 1 / _STEP
            parts[first:] = [(part, weight * factor) for part, weight in parts[first:]]
        else:
            parts.append((token[1:] if token[0] == "\\" and len(token) > 1 else token, 1.0))
        before = token
    return parts, opened


def _factor(parts: list[tuple[str, float]], before: str) -> float:
    """The weight of round brackets that close after the token `before`, which is the last part unless it is a bracket.
    The weight is removed from it."""
    found = _WEIGHT.search(before)
    if found is None:
        return _STEP
    try:  # Python would read 1_0 too
        weight = float(found[1]) if "_" not in found[1] else math.nan
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= MAX_WEIGHT:
        raise DataError(
            f'the prompt has the weight "{printable(found[1])}": a number from 0 to {MAX_WEIGHT:g} is expected, as in '
            "(red:1.5); write a plain bracket as \\("
        )
    parts[-1] = (parts[-1][0][: found.start()], parts[-1][1])
    return weight


def _unbalanced(prompt: str, bracket: str) -> DataError:
    return DataError(
        f'the prompt "{printable(prompt[:60])}" has a {bracket} without its partner: brackets give weights, as in '
        f"(red:1.5); write a plain one as \\{bracket}"
    )


def word_weights(words: WordBatch, prompts: list[Prompt]) -> Float[Tensor, "b m"]:
    """The weight of each word, 1 for padding.

    Raises DataError where brackets divide a word, and where no word of a prompt has a weight above 0."""
    weights = torch.ones(words.word_mask.shape)
    for row, (prompt, found) in enumerate(zip(prompts, words.words, strict=True)):
        each = [_weight_of(word, prompt) for word in found]
        if not any(each):
            raise DataError(f'all words of the prompt "{printable(prompt.text[:60])}" have the weight 0: give one more')
        weights[row, : len(each)] = torch.tensor(each)
    return weights


def _weight_of(word: Word, prompt: Prompt) -> float:
    weights = {prompt.weight_at(position) for position in range(word.start, word.stop)}
    if len(weights) > 1:
        raise DataError(f'brackets divide the word "{printable(word.text)}" of the prompt: put them around whole words')
    return weights.pop()
