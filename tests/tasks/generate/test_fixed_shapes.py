"""Batches of fixed shapes, in parts: the loss and its gradients stay the same."""

import subprocess
import sys

import pytest
import torch

from saccade.ops import tokenize
from saccade.tasks.generate.fixed_shapes import DIFFERENT, WORDS, pad_words, split_by_sources
from tests.tasks.generate.test_film_training import training as film_training
from tests.tasks.generate.test_training import tiny_training

CPU = torch.device("cpu")


def a_batch(training, n: int, seed: int = 0):
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return training.batch(torch.arange(n), torch.Generator().manual_seed(seed), 0.0)


def test_padded_words_give_the_same_tokens():
    encoder = tiny_training().model.caption.encoder
    words = encoder.tokenize(["a red star", "빨간 별 아래의 파란 원", "a"])
    more = pad_words(words, encoder.config.max_bytes)
    assert more.ids.shape == more.byte_mask.shape == (DIFFERENT, encoder.config.max_bytes)
    assert more.index.shape == more.word_mask.shape == (3, WORDS)
    m = words.index.shape[1]
    with torch.no_grad():
        torch.testing.assert_close(encoder(more)[:, :m], encoder(words))


def test_captions_that_do_not_fit_stay_as_they_are():
    words = tokenize([" ".join(["star"] * (WORDS + 1))], max_words=WORDS + 1)
    assert pad_words(words, 32) is words


@pytest.mark.parametrize(
    "shares", [{"picture_share": 0.2}, {"picture_share": 0.1, "mask_share": 0.1, "style_share": 0.2}]
)
def test_parts_by_sources_hold_every_sample_once(shares):
    (batch,) = a_batch(tiny_training(**shares), 24)
    noised = batch.on(CPU)
    parts = split_by_sources(noised)
    assert len(parts) == 2
    plain, others = parts
    assert not plain.sources
    assert len(plain.t) % 3 == len(others.t) % 3 == 0
    present = torch.stack([source.present for source in others.sources.values()]).any(dim=0)
    expected = torch.stack([source.present for source in noised.sources.values()]).any(dim=0)
    assert present.sum() == expected.sum() > 0
    every = torch.cat([plain.noise, others.noise]).flatten(1)
    assert torch.equal(every.sort(dim=0).values, noised.noise.flatten(1).sort(dim=0).values)


def test_loss_and_gradients_are_those_of_the_whole_batch(monkeypatch):
    found = []
    for whole in (False, True):
        training = film_training(picture_share=0.2, mask_share=0.2, film_share=0.5)
        batches = a_batch(training, 16)
        if whole:
            monkeypatch.setattr("saccade.tasks.generate.training.split_by_sources", lambda batch: [batch])
        loss = training.loss(training.model.train(), batches, CPU)
        loss.backward()
        found.append([loss.detach(), *(each.grad for each in training.model.parameters() if each.grad is not None)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_parts_are_compiled_once_for_captions_of_any_length():
    """In a process of its own: torch.compile does not take the types that tests check."""
    script = """
import torch
from saccade.data.scenes import Scenes
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.training import GenerateTraining
recipe = GenerateRecipe(size=32, width=32, depth=1, text_width=32, text_depth=1, refine=0, picture_share=0.2)
scenes = [Scenes(n, 32, n, objects=(1, 3), combinations="seen") for n in (32, 4)]
training = GenerateTraining(*scenes, recipe)
batches = [training.batch(torch.arange(16), torch.Generator().manual_seed(i), 0.0) for i in range(6)]
with torch.no_grad():
    expected = [training.loss(training.model, each, torch.device("cpu")) for each in batches]
    training.compiled(training.model)
    assert training.fixed_shapes
    for i, (batch, loss) in enumerate(zip(batches, expected)):
        if i == 3:
            torch.compiler.set_stance("fail_on_recompile")
        found = training.loss(training.model, batch, torch.device("cpu"))
        torch.testing.assert_close(found, loss, rtol=1e-4, atol=1e-5)
print("lengths", len({each[0].words.index.shape[1] for each in batches}))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[-1]) > 1
