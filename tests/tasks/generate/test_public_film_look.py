"""Words by frame of public pipelines that make films, beside an explicit softmax."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saccade.errors import SaccadeError
from saccade.tasks.generate.public_film import load_film_pipeline
from saccade.tasks.generate.public_film_look import trace_film
from saccade.tasks.generate.public_look import prompt_tokens
from saccade.tasks.generate.sample import Sampling

from .film_pipelines import FILM_VARIANTS, FILMS, IMAGE_FILMS, WORDS
from .test_public_film import known_of, pixels, settings, text_fixing

__all__ = ["text_fixing"]  # a fixture
pytestmark = pytest.mark.filterwarnings("ignore")
BUILD = FILMS | FILM_VARIANTS | IMAGE_FILMS
GRID = {"height": 32, "width": 96}
# Tokens of the text; (frames, rows, columns) of tokens of 9 frames of 32 x 96 pixels; layers that read the text, by
# evaluation.
LAYOUTS = {
    "wan": (512, (3, 2, 6), (2, 2)),
    "stages": (512, (3, 2, 6), (2, 1)),
    "masked": (512, (3, 2, 6), (2, 2)),
    "wan_image": (512, (3, 2, 6), (2, 2)),
    "ltx": (128, (2, 4, 12), (2, 2)),
    "ltx_image": (128, (2, 4, 12), (2, 2)),
    "cogvideox": (WORDS, (3, 2, 6), (2, 2)),
    "tubes": (WORDS, (2, 2, 6), (2, 2)),
    "cogvideox_image": (WORDS, (3, 2, 6), (2, 2)),
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    loaded = {}

    def task(name):
        if name not in loaded:
            folder = tmp_path_factory.mktemp("pipelines") / name
            BUILD[name]().save_pretrained(folder)
            loaded[name] = load_film_pipeline(folder)
        return loaded[name]

    return task


def explicit_softmaxes(task, given, known, monkeypatch):
    """The weights of all attention in the transformers, in double precision, by pass of a network; and the film."""
    passes = []
    fused = F.scaled_dot_product_attention

    def record(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **options):
        scores = query.double() @ key.double().transpose(-1, -2) * (scale or 1 / math.sqrt(query.shape[-1]))
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        passes[-1].append(scores.softmax(dim=-1))
        return fused(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **options)

    with monkeypatch.context() as patch:
        for network in filter(None, (task.model.transformer, getattr(task.model, "transformer_2", None))):
            forward = network.forward

            def recorded(*args, forward=forward, **kwargs):
                passes.append([])
                with monkeypatch.context() as inner:
                    inner.setattr(F, "scaled_dot_product_attention", record)
                    return forward(*args, **kwargs)

            patch.setattr(network, "forward", recorded)
        [film] = task.generate_films([given], known)
    return passes, film


def of_words(weights, words, text, grid):
    """Heads, words, frames, rows, columns of one call: the places are the last targets, the text the first sources."""
    maps = [weights[-1, :, -math.prod(grid) :, word] for word in words]
    assert weights.shape[2] - math.prod(grid) in (0, text)
    return torch.stack(maps, dim=1).unflatten(-1, grid)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("name", LAYOUTS)
def test_word_maps_are_those_of_an_explicit_softmax(tasks, name, guidance, monkeypatch):
    task, known = tasks(name), known_of(name)
    text, grid, layers = LAYOUTS[name]
    given = settings(task, known, sampling=Sampling(2, guidance), **GRID)
    passes, plain = explicit_softmaxes(task, given, known, monkeypatch)
    if task.film.apart and guidance > 1:
        passes = passes[::2]
    trace = trace_film(task, given, known=known)
    np.testing.assert_array_equal(pixels(trace.film), pixels(plain))
    assert (trace.words, trace.tokens, trace.grid) == (["a", "red", "star"], [[0], [1], [2]], grid)
    assert tuple(len(trace.layers(i)) for i in range(len(trace.calls))) == layers
    for evaluation, weights in enumerate(passes):
        sources = text + (math.prod(grid) if task.film.joint else 0)
        read = [each for each in weights if each.shape[-1] == sources]
        assert len(read) == layers[evaluation]
        for layer, each in enumerate(read):
            expected = of_words(each, range(3), text, grid)
            found = trace.word_maps(evaluation, layer)
            assert found.shape == (2, 3, *grid)
            torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["wan", "ltx", "cogvideox", "tubes"])
def test_places_lie_frame_by_frame_and_row_by_row(tasks, name, monkeypatch):
    """Noise that is changed in one frame, row and column changes the queries of the first layer most in that place."""
    task = tasks(name)
    given = settings(task, sampling=Sampling(1, 1.0), **GRID)
    t, y, x = 1, 1, 4
    before = trace_film(task, given).calls[0][0]
    tube, padding = task.geometry.tube, task.geometry.padding(9)
    assert padding == (1 if name == "tubes" else 0)
    original = task.model.prepare_latents

    def changed(*args, **kwargs):
        latents = original(*args, **kwargs)
        place = (slice(t * tube[0], (t + 1) * tube[0]), slice(y * tube[1], (y + 1) * tube[1]))
        place = (*place, slice(x * tube[2], (x + 1) * tube[2]))
        if name == "ltx":  # already packed into tokens by diffusers' own function
            packed = latents.unflatten(1, LAYOUTS[name][1]).clone()
            packed[(0, t, y, x)] += 3
            return packed.flatten(1, 3)
        latents = latents.clone()
        (latents[0].transpose(0, 1) if name == "wan" else latents[0])[(place[0], slice(None), *place[1:])] += 3
        return latents

    monkeypatch.setattr(task.model, "prepare_latents", changed)
    trace = trace_film(task, given)
    moved = (trace.calls[0][0].q - before.q).abs().amax(dim=(0, 1, 3))[trace.places].unflatten(0, trace.grid)
    assert moved.argmax() == (t * trace.grid[1] + y) * trace.grid[2] + x


def test_words_of_several_tokens(tasks):
    # Wan's prompt is cleaned first.
    assert prompt_tokens(tasks("wan"), "  a  &lt;red bat ") == prompt_tokens(tasks("wan"), "a <red bat")
    assert prompt_tokens(tasks("wan"), "a &amp; star") == (["a", "&", "star"], [[0], [1, 2], [3]])
    assert prompt_tokens(tasks("ltx"), "a red bat") == (["a", "red", "bat"], [[0], [1], [2, 3, 4, 5]])


def test_layers_are_chosen_by_name(tasks):
    task = tasks("wan")
    given = settings(task)
    trace = trace_film(task, given, layers="*.blocks.1.*")
    assert trace.layers() == ["transformer.blocks.1.attn2"]
    for evaluation, layer, message in (
        (2, 0, "there are 2"),
        (-1, 0, "there are 2"),
        (0, 1, "has 1 that read the text"),
    ):
        with pytest.raises(SaccadeError, match=message):
            trace.word_maps(evaluation, layer)
    with pytest.raises(SaccadeError, match=r"no layer of wan that matches '\*.attn1' attends to the text"):
        trace_film(task, given, layers="*.attn1")


def test_too_much_to_keep_is_refused(tasks, monkeypatch):
    given = settings(tasks("wan"))
    monkeypatch.setattr("saccade.tasks.generate.public_film_look.MOST_BYTES", 2**14)
    with pytest.raises(
        SaccadeError, match=r"the attention of 2 steps in 2 layers takes .* GB, more than .*: choose fewer"
    ):
        trace_film(tasks("wan"), given)


def test_another_layout_is_refused(tasks, monkeypatch):
    given = settings(tasks("ltx"))
    monkeypatch.setattr(type(tasks("ltx")), "text_tokens", lambda self, tokenizer: 127)
    with pytest.raises(SaccadeError, match="sources, and 64 and 127 are expected of 2 x 4 x 8 places and 127 tokens"):
        trace_film(tasks("ltx"), given)
