"""What the page of a picture that was painted from others holds: from its bytes come the weights of the calls."""

import json
import re
import zlib

import numpy as np
import pytest
import torch

from saccade.studio.views.generate import write_generation_page
from saccade.studio.views.generated_picture import GenerationPageData, SourcedGenerationPageData
from saccade.studio.views.generated_picture_trace import generation_page_data
from saccade.studio.views.word_scores import PatchGrid, PlaceScores, WordScores
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.sample import Sampling

from ..tasks.generate import generators
from ..tasks.generate.test_image_to_image import random_picture


@pytest.fixture(scope="module")
def task():
    return generators.task(("picture", "masked", "style"))


@pytest.fixture(scope="module")
def originals():
    return SourceImages(SourceImage.read(random_picture(56, 40)), SourceImage.read(random_picture(24, 40)))


def settings(task, originals, prompt="a (red:1.5) star", negative="blue (sky:2) a", **scales):
    return task.settings(prompt, negative, 5, Sampling(4, 3.0, **scales), originals=originals, style_strength=2)


def content(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])


def unpacked(data, quantum, shape):
    raw = np.frombuffer(zlib.decompress(data), dtype="u1").reshape(2, -1).astype(np.uint16)
    whole = (raw[0] | raw[1] << 8).view(np.int16).astype(np.float64)
    return torch.from_numpy(whole).view(shape) * quantum


@pytest.mark.parametrize("text", ["prompt", "negative"])
def test_places_give_the_weights_of_the_calls(task, originals, text):
    generation = trace_generation(task, settings(task, originals), originals=originals)
    shown = generation_page_data(generation, 1)
    maps = shown.prompt_maps if text == "prompt" else shown.negative
    assert maps.words[-3:] == ["(picture)", "(no masked picture)", "(style)"]
    assert maps.given == {name: maps.words.index(f"({name})") for name in ("picture", "style")}
    for number, layer in enumerate(maps.layers):
        places = layer.places
        (queries, query), (keys, key) = places.packed_queries(), places.packed_keys()
        queries, keys = unpacked(queries, query, (4, 3, 12, 35)), unpacked(keys, key, (3, 75, 12))
        scores = torch.einsum("shkn,hmk->shmn", queries, keys) * places.scale
        for name, first, count in (("picture", 0, 35), ("style", 35, 40)):
            row = maps.given[name]
            share, score = layer.weights[:, :, row : row + 1], layer.scores[:, :, row : row + 1]
            found = share * (scores[:, :, first : first + count] - score).exp()
            for step in range(4):
                span = generation.spans[name]
                exact = generation.call(step, number).weights()[generation.batch_row(text), :, :, span].transpose(1, 2)
                torch.testing.assert_close(found[step].float(), exact, rtol=0.01, atol=1e-6)


def test_words_of_both_texts_give_the_weights_of_the_calls(task, originals):
    generation = trace_generation(task, settings(task, originals), originals=originals)
    shown = generation_page_data(generation, 1)
    for maps, text, count in ((shown.prompt_maps, "prompt", 3), (shown.negative, "negative", 3)):
        for layer in range(2):
            for step in range(4):
                found = maps.layers[layer].weights[step]
                torch.testing.assert_close(found[:, :count], generation.word_maps(step, layer, text).flatten(2))
                torch.testing.assert_close(found.sum(dim=1), torch.ones(3, 35))
    assert shown.negative.words[:3] == ["blue", "sky", "a"]
    assert shown.notes == [
        "What is in brackets is no word: all patches of another source together, or that there is none."
    ]


def test_the_page(task, originals, tmp_path):
    _, report = write_generation_page(task, settings(task, originals), tmp_path / "look.html", originals=originals)
    targets = content(report.path)["targets"]
    assert targets["kind"] == "sources"
    assert [(one["name"], one["grid"], one["width"]) for one in targets["sources"]] == [
        ("picture", [5, 7], 56), ("style", [8, 5], 40)
    ]  # fmt: skip
    assert targets["negative"]["names"][:3] == ["blue", "sky", "a"]
    blobs = re.findall(r'<script type="text/plain" id="targets-([\w-]+)">', report.path.read_text(encoding="utf-8"))
    texts = [f"{text}{kind}{layer}" for layer in (0, 1) for text in ("", "negative-") for kind in ("", "queries-")]
    assert sorted(blobs) == sorted([*texts, "keys-0", "keys-1"])


def test_without_sources_and_negative_prompt(task):
    shown = generation_page_data(trace_generation(task, task.settings("a star", "", 5, Sampling(2))), 0)
    assert type(shown) is GenerationPageData
    assert (shown.negative, shown.sources) == (None, [])
    assert shown.layers[0].places is None


def test_a_negative_prompt_has_the_guided_steps_alone(task, originals):
    one = settings(task, originals, interval=(0.2, 0.6))
    shown = generation_page_data(trace_generation(task, one, originals=originals), 0)
    assert isinstance(shown, SourcedGenerationPageData)
    assert shown.negative.steps == [1, 2]
    assert shown.negative.layers[0].scores.shape[0] == 2
    two = shown.first_targets(2)
    assert (two.steps, two.negative.steps) == ([1, 3], [0])
    torch.testing.assert_close(two.negative.layers[0].scores[0], shown.negative.layers[0].scores[0])
    assert two.negative.layers[0].places.queries.shape[0] == 1
    assert shown.first_targets(1).negative is None


def test_a_prompt_may_be_absent(task, originals, tmp_path):
    one = settings(task, originals, "", "")
    _, report = write_generation_page(task, one, tmp_path / "look.html", originals=originals)
    found = content(report.path)
    assert found["targets"]["names"] == ["(no prompt)", "(picture)", "(no masked picture)", "(style)"]
    assert found["title"] == "picture, picture, strength 2"


def test_a_film_is_groups_of_patches():
    """The planes of words hold all groups, one above the other."""
    scores = torch.randn(2, 3, 5, 2 * 3 * 7, generator=torch.Generator().manual_seed(1))
    layer = WordScores("film", scores, torch.zeros(5), 1.0, PatchGrid(2, 3, 7), 5)
    assert (layer.grid.stacked_shape, layer.grid.group_shape) == ((6, 7), (3, 7))
    data, meta = layer.packed()
    assert len(zlib.decompress(data)) >= scores.numel()
    assert len(meta["planes"]) == 3 * 2 * 3 * 5


def test_numbers_that_are_too_large_for_the_quantum():
    queries = torch.full((1, 1, 2, 3), 1e6)
    data, quantum = PlaceScores(queries, torch.ones(1, 2, 3), 1.0).packed_queries()
    torch.testing.assert_close(unpacked(data, quantum, (1, 1, 3, 2)).float(), queries.transpose(2, 3))
