"""The text encoder: a text's tokens depend on the text alone."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from saccade.models import TextEncoder, TextEncoderConfig
from saccade.ops import WordBatch

BLOCK = {"width": 12, "heads": 3, "hidden": 7}
TEXTS = ["a red star left of a blue ring", "빨간 별", "a Blockchainflüsterer!", "red"]


def encoder(**changes) -> TextEncoder:
    model = TextEncoder(TextEncoderConfig.model_validate({"block": BLOCK, "max_words": 13} | changes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def padded(words: WordBatch, m: int, w: int, filling: int = 0) -> WordBatch:
    """The same batch with m more padding words a text and w more padding bytes a word."""
    return replace(
        words,
        ids=F.pad(words.ids, (0, w), value=filling),
        byte_mask=F.pad(words.byte_mask, (0, w)),
        index=F.pad(words.index, (0, m), value=0),
        word_mask=F.pad(words.word_mask, (0, m)),
    )


@pytest.mark.parametrize("hashed", [0, 7])
@pytest.mark.parametrize(("m", "w"), [(1, 0), (0, 3), (5, 7), (54, 11)])
def test_padding_takes_no_part(m, w, hashed):
    model = encoder(hashed=hashed)
    words = model.tokenize(TEXTS)
    plain, wide = model(words), model(padded(words, m, w, filling=97))
    assert (wide[:, : plain.shape[1]] - plain).abs().max() < 1e-6
    assert (wide[:, plain.shape[1] :] == 0).all()


def test_the_batch_takes_no_part():
    model = encoder()
    together = model(model.tokenize(TEXTS))
    for text, tokens in zip(TEXTS, together, strict=True):
        alone = model(model.tokenize([text]))[0]
        assert (tokens[: len(alone)] - alone).abs().max() < 1e-6
        assert (tokens[len(alone) :] == 0).all()


def test_the_order_of_words_counts():
    model = encoder()
    a, b = model(model.tokenize(["red star blue ring", "blue star red ring"]))
    assert (a[1] - b[1]).abs().max() > 0.01


def test_words_far_apart_and_the_longest_text():
    model = encoder(max_words=64)
    tokens = model(model.tokenize(["a " * 63 + "b", "a"]))
    assert tokens.shape == (2, 64, 12)
    assert tokens.isfinite().all()


def test_gradients_reach_every_parameter_and_are_finite():
    model = encoder(depth=3, hashed=2)
    model(model.tokenize(TEXTS)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_config_names_the_field():
    with pytest.raises(ValidationError, match="max_bytes"):
        TextEncoderConfig.model_validate({"max_bytes": 3})
