"""Films with their attention: the same films, and the weights of an explicit softmax in every window."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.errors import SaccadeError
from saccade.lens import watch
from saccade.tasks.generate import look
from saccade.tasks.generate.film import KnownFrames
from saccade.tasks.generate.film_look import film_windows, split_into_groups, trace_generated_film
from saccade.tasks.generate.generate_films import generate_films
from saccade.tasks.generate.image_to_image import SourceImage
from saccade.tasks.generate.sample import Sampling

from . import generators

PATCHES = 6  # of a frame of 16 x 24 pixels


@pytest.fixture(scope="module")
def task():
    return generators.film_task()


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), np.uint8)
    return Image.fromarray(pixels)


def settings(task, known=None, frames=8, steps=3, **options):
    film = task.film_settings(frames, None, known)
    return task.settings("a (red:1.5) star", "", 5, Sampling(steps, **options), film=film)


KNOWN = {
    "none": None,
    "first": KnownFrames.of(SourceImage(picture(1))),
    "both": KnownFrames.of(SourceImage(picture(1)), SourceImage(picture(2))),
    "film": KnownFrames(tuple(picture(i) for i in range(6)), "film", film=True),
}


def test_groups():
    assert split_into_groups(range(5)) == [[0], [1, 2], [3, 4]]
    assert split_into_groups(range(5, 9)) == [[5, 6], [7, 8]]
    assert split_into_groups(range(0)) == []


def test_windows(task):
    windows = film_windows(task, settings(task, frames=13), KnownFrames())
    assert [(one.history, one.painted, one.kept) for one in windows] == [
        (range(0), range(9), 9), (range(2, 9), range(9, 11), 2), (range(4, 11), range(11, 13), 2)
    ]  # fmt: skip
    [between] = film_windows(task, settings(task, KNOWN["both"], 7), KNOWN["both"])
    assert (between.known_groups, between.painted_groups) == ([[0], [6]], [[1, 2], [3, 4], [5]])
    assert between.kept == 5


def every_call(task, given, known):
    """The blocks' calls of each evaluation, those that encode known frames left out."""
    evaluations, begun = [], 0
    with watch(task.model, only="blocks.*") as trace:

        def observe(t, prediction):
            nonlocal begun
            evaluations.append(list(trace[begun:])[-2 * task.model.config.depth :])
            begun = len(trace)

        [film] = generate_films(task, [given], known, observe=observe)
    return evaluations, film


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("window", [0, -1])
@pytest.mark.parametrize("name", KNOWN)
def test_weights_are_those_of_the_model(task, name, window, sampler):
    known = KNOWN[name]
    frames = 9 if name == "both" else 12
    given = settings(task, known, frames, sampler=sampler)
    trace = trace_generated_film(task, given, known, window)
    evaluations, film = every_call(task, given, known)
    assert [np.asarray(one).tolist() for one in film.frames] == [np.asarray(one).tolist() for one in trace.film.frames]
    assert [each.step for each in trace.evaluations] == [0, 1, 2]
    each = 5 if sampler == "heun" else 3
    first = each * trace.window.index
    painted, sources = (PATCHES * len(groups) for groups in (trace.window.painted_groups, trace.window.known_groups))
    for step in range(3):
        expected = evaluations[first + (2 * step if sampler == "heun" else step)]
        for layer in range(2):
            own, cross = (trace.call(step, layer, kind) for kind in ("self", "cross"))
            for found, other in zip((own, cross), expected[2 * layer : 2 * layer + 2], strict=True):
                assert found.name == other.name
                torch.testing.assert_close(found.weights(), other.weights())
            assert own.shape[2:] == (painted, painted + sources)
            scores = own.q.double() @ own.k.double().mT / math.sqrt(12)
            torch.testing.assert_close(own.weights().double(), scores.softmax(-1), atol=1e-6, rtol=1e-4)
            maps = trace.word_maps(step, layer)
            assert maps.shape == (3, 3, len(trace.window.painted_groups), 2, 3)
            torch.testing.assert_close(maps.flatten(2), cross.weights()[0, :, :, :3].mT)


def test_known_frames_come_first_among_the_sources(task):
    """Another last frame changes the keys of its patches alone in the first layer, behind the first frame's."""
    keys = []
    for last in (2, 3):
        known = KnownFrames.of(SourceImage(picture(1)), SourceImage(picture(last)))
        trace = trace_generated_film(task, settings(task, known, 7), known, steps=[0])
        keys.append(trace.call(0, 0, "self").k[0])
    moved = (keys[0] - keys[1]).abs().amax(dim=(0, 2)) > 1e-4
    assert moved.nonzero()[:, 0].tolist() == list(range(PATCHES, 2 * PATCHES))
    assert trace.window.known_groups == [[0], [6]]


def test_the_prompt_is_encoded_once(task, monkeypatch):
    encode, calls = type(task.model).encode, []
    monkeypatch.setattr(type(task.model), "encode", lambda *args: calls.append(args) or encode(*args))
    trace_generated_film(task, settings(task))
    assert len(calls) == 1


def test_errors(task, monkeypatch):
    given = settings(task, frames=12)
    with pytest.raises(SaccadeError, match="window 3: the film is painted in 3, 0 to 2"):
        trace_generated_film(task, given, window=3)
    with pytest.raises(SaccadeError, match="step 3: the generation has 3, 0 to 2"):
        trace_generated_film(task, given, steps=[1, 3])
    monkeypatch.setattr(look, "MOST_BYTES", 1000)
    with pytest.raises(SaccadeError, match=r"3 steps over .* patches takes .* GB, more than"):
        trace_generated_film(task, given)
