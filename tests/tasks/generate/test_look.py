"""A watched generation: every call of every step, and the maps of words and patches."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import saccade
from saccade.errors import SaccadeError
from saccade.tasks.generate import look
from saccade.tasks.generate.image_to_image import to_images
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.sample import Sampling

from . import generators

PATCHES = 35


@pytest.fixture(scope="module")
def task():
    return generators.task()


def pixels(picture):
    return np.asarray(picture.image)


@pytest.mark.parametrize(
    ("sampling", "evaluations", "b"),
    [
        (Sampling(3), 3, 2),
        (Sampling(3, guidance=1.0), 3, 1),
        (Sampling(3, sampler="heun"), 5, 2),
        (Sampling(2, sampler="mean-flow"), 2, 1),
    ],
    ids=["euler", "unguided", "heun", "mean-flow"],
)
def test_every_call_of_every_step_and_the_same_picture(task, sampling, evaluations, b):
    arguments = {
        "seed": 5,
        "num_inference_steps": sampling.steps,
        "guidance_scale": sampling.guidance,
        "sampler": sampling.sampler,
    }
    [unwatched] = task.generate("a red star", **arguments)
    with saccade.watch(task.model) as trace:
        [watched] = task.generate("a red star", **arguments)
    assert (pixels(watched) == pixels(unwatched)).all()
    assert trace.missed == {}
    found = [(call.name, call.kind, call.shape, call.run) for call in trace["blocks.*"]]
    assert found == [
        (f"blocks.{layer}.{kind}_attention", kind, (b, 3, PATCHES, m), run)
        for run in range(evaluations)
        for layer in range(2)
        for kind, m in (("self", PATCHES), ("cross", 3))
    ]


def test_maps_are_those_of_the_calls_and_of_the_right_text(task):
    settings = task.settings("a (red:1.7) star", "blue and green rings", 5, Sampling(2))
    generation = trace_generation(task, settings)
    assert generation.words == ["a", "red", "star"]
    assert generation.weights == pytest.approx([1, 1.7, 1])
    assert generation.negative_words == ["blue", "and", "green", "rings"]
    assert [each.t for each in generation.steps] == [0, 0.5]
    for step, layer in ((0, 1), (1, 0)):
        call = generation.call(step, layer)
        weights = saccade.attention_weights(call.q, call.k, mask=call.mask)
        maps = weights.transpose(2, 3).unflatten(-1, (1, *generators.GRID))
        torch.testing.assert_close(generation.word_maps(step, layer), maps[0, :, :3])
        torch.testing.assert_close(generation.word_maps(step, layer).sum(dim=1), torch.ones(3, 1, *generators.GRID))
        torch.testing.assert_close(generation.word_maps(step, layer, "negative"), maps[1, :, :4])
        torch.testing.assert_close(generation.patch_words(step, layer, 11), weights[0, :, 11, :3])
        assert float(maps[0, :, :3].std()) > 0.02
    other = trace_generation(task, task.settings("blue and green rings", "", 5, Sampling(2)))
    assert other.negative_words == [""]
    torch.testing.assert_close(other.word_maps(0, 1), generation.word_maps(0, 1, "negative"), atol=1e-5, rtol=1e-4)


def test_the_prompt_is_encoded_once(task, monkeypatch):
    encode, calls = type(task.model).encode, []
    monkeypatch.setattr(type(task.model), "encode", lambda *args: calls.append(args) or encode(*args))
    trace_generation(task, task.settings("a red star", seed=5, sampling=Sampling(2)))
    assert len(calls) == 1


def test_predictions_and_the_evaluations_of_a_step(task):
    generation = trace_generation(task, task.settings("a star", "", 5, Sampling(3)))
    assert (np.asarray(to_images(generation.steps[-1].prediction)[0]) == pixels(generation.picture)).mean() > 0.99
    heun = trace_generation(task, task.settings("a star", "", 5, Sampling(3, sampler="heun")))
    assert [each.step for each in heun.evaluations] == [0, 0, 1, 1, 2]
    assert [each.step for each in heun.steps] == [0, 1, 2]
    assert [each.t for each in heun.steps] == pytest.approx([0, 1 / 3, 2 / 3])


def test_what_there_is_not(task, monkeypatch):
    generation = trace_generation(task, task.settings("a star", "red", 5, Sampling(3, interval=(0.5, 1.0))))
    assert [each.guided for each in generation.steps] == [False, False, True]
    with pytest.raises(SaccadeError, match="step 1 is not guided"):
        generation.patch_words(1, 0, 0, "negative")
    with pytest.raises(SaccadeError, match="step 3: the generation has 3"):
        generation.word_maps(3, 0)
    with pytest.raises(SaccadeError, match="layer -1: the generator has 2"):
        generation.word_maps(0, -1)
    monkeypatch.setattr(look, "MOST_BYTES", 10_000)
    with pytest.raises(SaccadeError, match="use fewer steps or a smaller size"):
        trace_generation(task, task.settings("a star", "", 5, Sampling(3)))


def test_the_documentation_of_looking_and_editing(task):
    text = (Path(__file__).parents[3] / "docs" / "generate.md").read_text(encoding="utf-8")
    names = {"task": task, "saccade": saccade}
    text = text.partition("## Where each word acts")[2]
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:3]
    assert len(blocks) == 3
    for code in blocks:
        exec(code, names)
    assert names["generation"].words == ["a", "red", "star"]
    assert names["second"].settings.layout == names["layout"]
