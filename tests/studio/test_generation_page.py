"""What the page of a generated picture holds: scores of words, predictions by step, self-attention of one step."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from saccade.errors import DataError, SaccadeError
from saccade.studio.views import generate, generated_picture_trace, pipeline_picture
from saccade.studio.views.generate import write_generation_page
from saccade.studio.views.generated_picture_trace import generation_page_data
from saccade.studio.views.pipeline_picture import pipeline_page_data
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.generate.settings import Layout

from ..tasks.generate import generators


@pytest.fixture(scope="module")
def task():
    return generators.task()


def settings(task, prompt="a (red:1.5) star, a ring", steps=5):
    return task.settings(prompt, "", 5, Sampling(steps))


def content(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])


def test_scores_give_the_weights_of_the_calls(task):
    generation = trace_generation(task, settings(task), values=True)
    words = generation_page_data(generation, 2)
    assert words.names == ["a", "red", "star", ",", "a", "ring"]
    for layer, found in enumerate(words.layers):
        for step in range(5):
            expected = generation.word_maps(step, layer).flatten(2)
            torch.testing.assert_close(found.weights[step], expected, atol=1e-6, rtol=1e-4)
            entropy = torch.distributions.Categorical(expected).entropy()
            torch.testing.assert_close(found.entropy()[step], entropy, atol=1e-4, rtol=1e-4)
    assert [call.shape for call in words.others] == [(1, 3, 35, 35)] * 2
    torch.testing.assert_close(words.others[1].weights()[0], generation.call(2, 1, "self").weights()[0])


def test_the_page_and_the_picture(task, tmp_path):
    one = settings(task)
    picture, report = write_generation_page(task, one, tmp_path / "look.html")
    [alone] = task.generate_all([one])
    assert (np.asarray(picture.image) == np.asarray(alone.image)).all()
    assert picture.settings == one
    found = content(report.path)
    assert found["targets"]["kind"] == "painting"
    assert found["targets"]["bias"] == pytest.approx([0, np.log(1.5), 0, 0, 0, 0], abs=1e-5)
    assert [(each["step"], each["time"]) for each in found["targets"]["steps"]] == [
        (0, 0.0), (1, 0.2), (2, 0.4), (3, 0.6), (4, 0.8)
    ]  # fmt: skip
    assert found["targets"]["self_step"] == 2
    assert [layer["name"] for layer in found["layers"]] == ["blocks.0.self_attention", "blocks.1.self_attention"]
    assert sum(found["rollout"]) == pytest.approx(1, abs=1e-3)


def test_a_small_page_leaves_steps_out(task, tmp_path):
    _, whole = write_generation_page(task, settings(task, steps=12), tmp_path / "whole.html")
    _, small = write_generation_page(task, settings(task, steps=12), tmp_path / "small.html", budget=60_000)
    steps = [each["step"] for each in content(small.path)["targets"]["steps"]]
    assert 1 <= len(steps) < 12
    assert steps[-1] == 11
    assert f"the page shows {len(steps)} of 12 steps, to stay small" in small.notes
    assert len(content(whole.path)["targets"]["steps"]) == 12


def test_first_keeps_the_last_step(task):
    words = generation_page_data(trace_generation(task, settings(task, steps=7)), 3)
    assert [words.first_targets(n).steps for n in (1, 2, 3, 7)] == [[6], [3, 6], [1, 4, 6], list(range(7))]
    assert words.first_targets(2).layers[0].scores.shape == (2, 3, 6, 35)


def test_many_steps(task, monkeypatch):
    monkeypatch.setattr(generated_picture_trace, "MOST_STEPS", 3)
    words = generation_page_data(trace_generation(task, settings(task, steps=7)), 3)
    assert words.steps == [1, 4, 6]
    assert words.notes[-1] == "the page shows 3 of 7 steps, to stay small"


def test_what_cannot_be_shown(task, tmp_path):
    with pytest.raises(DataError):
        write_generation_page(task, settings(task, steps=1), tmp_path / "absent" / "look.html")
    layout = replace(settings(task, steps=1), layout=Layout("a ring"))
    with pytest.raises(SaccadeError, match="a page shows a picture of one prompt"):
        write_generation_page(task, layout, tmp_path / "look.html")


def test_a_pipeline_shows_its_weights_and_what_is_left(task):
    traced = generators.pipeline_trace(task)
    words = pipeline_page_data(traced)
    assert words.names == ["two", "red", "words", "(other)"]
    assert words.steps == [0, 1, 2, 3, 4]
    assert [layer.tokens for layer in words.layers] == [7, 13]
    single = replace(traced, tokens=[[1], [2, 3], [5]])  # a token counts once
    for step in range(5):
        fine, coarse = (single.word_maps(step, layer) for layer in (0, 1))
        coarse = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        for layer, expected in ((0, fine), (1, coarse)):
            found = words.layers[layer].weights[step]
            torch.testing.assert_close(found[:, :3], expected.flatten(2), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(found.sum(dim=1), torch.ones(3, 24))
    assert words.prompt_maps.most_local[0] < 3


def test_a_large_pipeline_shows_fewer_evaluations(task, monkeypatch):
    monkeypatch.setattr(pipeline_picture, "MOST_NUMBERS", 1500)  # an evaluation has 6 heads, 4 words and 24 patches
    words = pipeline_page_data(generators.pipeline_trace(task))
    assert words.steps == [1, 4]
    assert words.notes == ["the page shows 2 of 5 evaluations, to stay small"]


def test_the_page_of_a_pipeline(task, tmp_path, monkeypatch):
    public = object.__new__(PublicGenerateTask)
    public.name = "another"
    monkeypatch.setattr(generate, "trace_pipeline", lambda *_, **__: generators.pipeline_trace(task))
    _, report = write_generation_page(public, settings(task), tmp_path / "look.html")
    found = content(report.path)
    assert found["targets"]["kind"] == "pipeline"
    assert found["layers"] == []
    assert [each["src"] for each in found["targets"]["steps"]] == [None] * 5
    assert [layer["scale"] for layer in found["targets"]["layers"]] == [None, None]
