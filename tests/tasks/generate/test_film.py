"""Films: windows that go on from the frames before them, known frames, and settings."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.errors import DataError, SaccadeError
from saccade.tasks.generate.film import FilmNoise, KnownFrames, frame_windows
from saccade.tasks.generate.film_settings import FilmSettings, FrameReference
from saccade.tasks.generate.image_to_image import SourceImage
from saccade.tasks.generate.settings import Settings
from tests.tasks.generate.generators import film_task

PROMPT = "a red star moving left"


@pytest.mark.parametrize("most", [5, 9, 17])
@pytest.mark.parametrize("known", [0, 1, 2, 8, 30])
@pytest.mark.parametrize("frames", [1, 2, 7, 16, 40])
def test_windows_cover_the_film(frames, known, most):
    plan = list(frame_windows(known, frames, most))
    assert sum(window.kept for window in plan) == frames
    have = known
    for window in plan:
        assert window.history <= have
        assert window.history == 0 or window.history % 2 == 1
        assert window.history + window.frames <= most
        assert (window.history + window.frames) % 2 == 1, "one frame, then tubes of two"
        assert window.kept in (window.frames, window.frames - 1)
        have += window.kept


@pytest.fixture(scope="module")
def task():
    return film_task()


def paint(task, frames=6, **options):
    return task.generate(PROMPT, num_frames=frames, seed=5, num_inference_steps=2, **options)


def picture(grey: int, size: tuple[int, int] = (24, 16)) -> Image.Image:
    return Image.new("RGB", size, (grey, 10, 200))


def test_a_film_has_its_frames_whatever_the_others(task):
    (alone,) = paint(task)
    assert len(alone.frames) == 6
    again = paint(task, n=3)
    assert [film.seed for film in again] == [5, 6, 7]
    for one, other in zip(alone.frames, again[0].frames, strict=True):
        difference = torch.tensor(list(one.tobytes())).int() - torch.tensor(list(other.tobytes())).int()
        assert difference.abs().max() <= 1
    assert alone.frames[0].tobytes() != again[1].frames[0].tobytes()


def test_a_longer_film_begins_as_the_shorter_one_of_its_window(task):
    """Noise is drawn window by window, so that the first window does not depend on how many follow."""
    short, long = paint(task, 9)[0], paint(task, 12)[0]
    assert len(long.frames) == 12
    assert [frame.tobytes() for frame in long.frames[:9]] == [frame.tobytes() for frame in short.frames]


def test_known_frames_are_kept(task):
    first, last = picture(50), picture(90)
    (film,) = paint(task, 4, image=first, last_image=last)
    assert film.frames[0].size == (24, 16)
    assert [film.frames[i].tobytes() for i in (0, -1)] == [first.tobytes(), last.tobytes()]
    assert film.frames[1].tobytes() not in (first.tobytes(), last.tobytes())
    (begun,) = paint(task, 8, image=first)
    assert begun.frames[0].tobytes() == first.tobytes()
    assert len(begun.frames) == 8


def test_a_film_goes_on(task):
    before = [picture(10 * i) for i in range(7)]
    (film,) = paint(task, 6, video=before)
    assert [frame.tobytes() for frame in film.frames[:7]] == [frame.tobytes() for frame in before]
    assert len(film.frames) == 13
    (other,) = paint(task, 6, video=[*before[:6], picture(200)])
    assert film.frames[7].tobytes() != other.frames[7].tobytes()


def test_every_step_of_every_window_is_reported(task):
    calls = []
    paint(task, 12, callback=lambda done, total: calls.append((done, total)))
    assert calls == [(i, calls[0][1]) for i in range(1, calls[0][1] + 1)]
    assert calls[0][1] % 2 == 0


def test_noise_is_of_each_seed_alone():
    both, one = FilmNoise([3, 4], (3, 8, 8), torch.device("cpu")), FilmNoise([4], (3, 8, 8), torch.device("cpu"))
    for frames in (3, 2):
        assert torch.equal(both(frames)[1], one(frames)[0])


def test_settings_are_read_back():
    film = FilmSettings(16, 29.97, FrameReference('a "b", c.png', "0123456789"), FrameReference("별.png", "abc"))
    settings = Settings(PROMPT, 7, (16, 24), film=film)
    assert Settings.parse(str(settings)) == settings
    on = Settings(PROMPT, 7, (16, 24), film=FilmSettings(3, before=FrameReference("start.mp4", "ff")))
    assert Settings.parse(str(on)) == on
    assert on.frames == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 0}, "film of 0 frames"),
        ({"num_frames": 10_001}, "film of 10001 frames"),
        ({"num_frames": 3, "fps": 0.0}, "frames a second"),
        ({"num_frames": 3, "last_image": picture(1)}, "last frame goes with a first"),
        ({"num_frames": 2.5}, "frames of a film is 2.5; a whole number expected"),
        ({"num_frames": "3"}, "a whole number expected"),
        ({"num_frames": 3, "fps": "8"}, "fps of a film is '8'; a number expected"),
        ({"num_frames": 3, "video": []}, "has no frames"),
        ({"num_frames": 3, "video": "start.mp4"}, "video is a str; a list of frames expected"),
        ({"num_frames": 3, "video": picture(1)}, "a list of frames expected"),
        ({"num_frames": 3, "video": [1]}, "picture cannot be read from int"),
        ({"num_frames": 3, "video": [picture(1), picture(1, (16, 16))]}, "sizes of 24x16 and 16x16; one size"),
        ({"num_frames": 3, "video": [picture(1)], "image": picture(1)}, "give one of them"),
        ({"num_frames": 3, "image": picture(1), "strength": 0.5}, "no mask and no strength"),
        ({"num_frames": 40, "image": picture(1), "last_image": picture(2)}, "at most 9 expected"),
    ],
)
def test_what_films_do_not_take(task, options, message):
    with pytest.raises((SaccadeError, DataError), match=message):
        task.generate(PROMPT, num_inference_steps=1, **options)


def test_frames_of_any_mode_are_gone_on_from(task):
    grey = picture(70).convert("L")
    (film,) = paint(task, 2, video=[grey])
    (same,) = paint(task, 2, video=[np.repeat(np.asarray(grey)[..., None], 3, axis=2)])
    assert [frame.tobytes() for frame in film.frames] == [frame.tobytes() for frame in same.frames]


def test_frames_of_other_settings_are_refused():
    known = KnownFrames.of(SourceImage(picture(1), name="a.png"))
    settings = KnownFrames.of(SourceImage(picture(2), name="b.png")).settings(4, 8)
    with pytest.raises(SaccadeError, match=r"first frame b\.png .* and a\.png .* is given"):
        known.check(settings)
    with pytest.raises(SaccadeError, match="none is given"):
        KnownFrames().check(settings)


def test_a_generator_of_pictures_paints_no_film():
    from tests.tasks.generate import generators

    with pytest.raises(SaccadeError, match="paints pictures, not films"):
        generators.task().generate(PROMPT, num_frames=3)
