"""Weights in prompts."""

import math
import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.errors import DataError
from saccade.ops import tokenize
from saccade.tasks.generate.prompt import parse_prompt, word_weights


def weights(prompt: str) -> dict[str, float]:
    """Word -> weight, as the generator reads them."""
    parsed = parse_prompt(prompt)
    words = tokenize([parsed.text])
    found = word_weights(words, [parsed])
    return {word.text: weight for word, weight in zip(words.words[0], found[0].tolist(), strict=True)}


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a red star", {"a": 1, "red": 1, "star": 1}),
        ("a (red:1.5) star", {"a": 1, "red": 1.5, "star": 1}),
        ("a ((cat:1.2)) [sat]", {"a": 1, "cat": 1.32, "sat": 1 / 1.1}),
        ("(a (red: 0.5) star:2)", {"a": 2, "red": 1, "star": 2}),
        ("[(red:0)] star", {"red": 0, "star": 1}),
        ("((red:2))", {"red": 2.2}),
        ("(red [dark:2]) star", {"red": 1.1, "dark": 1, ":": 1, "2": 1, "star": 1}),
        (r"\(red:1.5\) \[star\] \\", {"(": 1, "red": 1, ":": 1, "1": 1, ".": 1, "5": 1, ")": 1, "[": 1, "star": 1,
                                      "]": 1, "\\": 1}),
        (r"(a \(b\):3)", {"a": 3, "(": 3, "b": 3, ")": 3}),
        ("() a ([])", {"a": 1}),
        ("(빨간:1.5) 별", {"빨간": 1.5, "별": 1}),
        (r"back\slash", {"back": 1, "\\": 1, "slash": 1}),
        ("time: 12", {"time": 1, ":": 1, "12": 1}),
    ],
)  # fmt: skip
def test_weights_of_words(prompt, expected):
    assert weights(prompt) == pytest.approx(expected)


def test_a_colon_that_is_left_is_not_read_by_the_outer_brackets():
    found = parse_prompt("((time 12:30:1.5))")
    assert found.text == "time 12:30"
    assert found.weight_at(0) == pytest.approx(1.65)


def test_decomposed_letters_do_not_shift_the_weights():
    prompt = unicodedata.normalize("NFD", "빨간 café (별:2) ring")
    assert weights(prompt) == {"빨간": 1, "café": 1, "별": 2, "ring": 1}


NESTED = st.recursive(
    st.lists(st.sampled_from(["red", "star", "빨간", "-"]), min_size=1, max_size=3).map(" ".join),
    lambda inner: st.tuples(st.sampled_from("([w"), st.lists(inner, min_size=1, max_size=3), st.floats(0, 1.6)),
    max_leaves=8,
)


def rendered(node, factor: float = 1.0) -> tuple[str, list[tuple[str, float]]]:
    """A tree of brackets as a prompt, and its texts with their weights."""
    if isinstance(node, str):
        return node, [(node, factor)]
    kind, children, weight = node
    factor *= {"(": 1.1, "[": 1 / 1.1, "w": weight}[kind]
    texts, parts = zip(*(rendered(child, factor) for child in children), strict=True)
    body = " ".join(texts)
    # A part of its own ends the brackets: a weight is read from the end of the last part.
    text = {"(": f"({body} .)", "[": f"[{body} .]", "w": f"({body} .:{weight!r})"}[kind]
    return text, [each for part in parts for each in part] + [(".", factor)]


@given(NESTED)
def test_brackets_multiply_at_any_depth(node):
    prompt, expected = rendered(node)
    found = parse_prompt(prompt)
    assert found.text.split() == [word for text, _ in expected for word in text.split()]
    position = 0
    for text, weight in expected:
        start = found.text.index(text, position)
        position = start + len(text)
        assert found.weight_at(start) == pytest.approx(weight)
        assert found.weight_at(position - 1) == pytest.approx(weight)


@given(st.text())
def test_escaped_text_is_itself(text):
    escaped = "".join(f"\\{c}" if c in "\\()[]" else c for c in text)
    found = parse_prompt(escaped)
    assert found.text == unicodedata.normalize("NFC", " ".join(text.split()))
    assert all(weight == 1 for *_, weight in found.weights)


@given(st.text(alphabet="ab :()[]\\.15", max_size=30))
def test_any_brackets_parse_or_are_refused(text):
    try:
        found = parse_prompt(text)
    except DataError:
        return
    assert all(0 <= weight <= 100 for *_, weight in found.weights)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("(red:1.5", r"has a \( without its partner"),
        ("red:1.5)", r"has a \) without its partner"),
        ("[red", r"has a \[ without"),
        ("(red]", r"has a \] without"),
        ("((red)", r"has a \( without"),
        ("(red:-1)", 'the weight "-1": a number from 0 to 100'),
        ("(red:1e9)", 'the weight "1e9"'),
        ("(red:nan)", 'the weight "nan"'),
        ("(red:1_0)", 'the weight "1_0"'),
        ("(red:inf)", 'the weight "inf"'),
        ("(red:much)", 'the weight "much"'),
        ("(red:)", 'the weight ""'),
        ("((red:50):50)", 'gives "red" a weight of 2500: at most 100'),
        ("(e:2)\u0301", "between a letter and its accent"),
        ("(\x1b[31m:\x1b)", r"without its partner"),
    ],
)
def test_bad_brackets(prompt, message):
    with pytest.raises(DataError, match=message) as caught:
        parse_prompt(prompt)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("prompt", ["(re:2)d star", "s(t)ar", "[a]b"])
def test_brackets_enclose_whole_words(prompt):
    with pytest.raises(DataError, match="brackets divide the word"):
        weights(prompt)


def test_a_prompt_without_any_weight():
    with pytest.raises(DataError, match="all words of the prompt"):
        weights("(red:0) (star:0)")


def test_padding_has_the_weight_one():
    prompts = [parse_prompt("(red:2) star here"), parse_prompt("ring")]
    found = word_weights(tokenize([prompt.text for prompt in prompts]), prompts)
    assert torch.equal(found, torch.tensor([[2.0, 1, 1], [1, 1, 1]]))


def test_deep_brackets_stay_finite():
    found = parse_prompt("[" * 500 + "red" + "]" * 500 + " star")
    assert found.weight_at(0) == pytest.approx(math.pow(1.1, -500), rel=1e-9)
