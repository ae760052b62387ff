"""Clips: which frames of a video stand for its time."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from saccade.data.film_files import write_film
from saccade.data.film_frames import choose_frames, read_clip
from saccade.data.video import VideoReader
from saccade.errors import DataError

from . import tiny_videos


@pytest.mark.parametrize(
    ("times", "end", "count", "expected"),
    [
        (range(6), 6, 3, [1, 3, 5]),
        (range(6), 6, 6, [0, 1, 2, 3, 4, 5]),
        ([0, 1, 2, 3, 4, 5, 50], 60, 6, [5, 5, 5, 5, 5, 6]),  # by time, not by number
        ([2, 3], 4, 4, [0, 0, 1, 1]),
        ([0], 1, 3, [0, 0, 0]),
        ([0, 2, 1, 3], 4, 4, [0, 0, 2, 3]),  # a frame that steps back in time
    ],
)
def test_frames_are_chosen_by_time(times, end, count, expected):
    assert choose_frames([Fraction(t) for t in times], Fraction(end), count) == expected


def test_a_clip_holds_the_frames_of_its_times(tmp_path):
    path = tiny_videos.film(tmp_path / "a.mkv", 7, times=[0, 40, 80, 120, 160, 600, 1000], time_base=tiny_videos.MS)
    with VideoReader(path) as video:
        every = list(video)
    clip = read_clip(path, 5)
    assert clip.of == 7
    assert len(clip.pictures) == 5
    assert clip.indices == (2, 4, 4, 5, 5)
    for picture, index, time in zip(clip.pictures, clip.indices, clip.times, strict=True):
        assert time == every[index].time
        assert np.array_equal(picture, every[index].picture.image)
    assert "frames" in clip.notes[0]


def test_what_was_used_is_noted(tmp_path):
    long = tiny_videos.film(tmp_path / "long.mp4", 20)
    clip = read_clip(long, 4)
    assert clip.indices == (2, 7, 12, 17)
    assert "4 of its 20 frames are used, one every 0.2 s (5 a second), from 0.08 s to 0.68 s" in clip.notes[0]
    short = read_clip(tiny_videos.film(tmp_path / "short.mp4", 3), 6)
    assert short.indices == (0, 0, 1, 1, 2, 2)
    assert "has 3 frames, where the model takes 6" in short.notes[0]
    single = read_clip(tiny_videos.film(tmp_path / "single.mp4", 1), 4)
    assert single.indices == (0, 0, 0, 0)
    assert "is a single frame: it is used 4 times, so that nothing moves" in single.notes[0]


def test_a_damaged_video_is_noted_or_refused(tmp_path):
    cut = tiny_videos.cut(tiny_videos.film(tmp_path / "a.mkv", 60), tmp_path / "cut.mkv", 0.5)
    clip = read_clip(cut, 4)
    assert any("cut short" in note for note in clip.notes)
    with pytest.raises(DataError):
        read_clip(cut, 4, on_error="fail")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_clip(tmp_path / "empty.mp4", 4)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "frames"])
def test_animated_pictures_and_folders_of_frames(name, tmp_path):
    frames = [Image.new("RGB", (8, 6), (30 * i, 0, 0)) for i in range(6)]
    if name == "frames":
        write_film(tmp_path / name, frames, Fraction(5))
    else:
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=200, lossless=True)
    clip = read_clip(tmp_path / name, 3)
    assert (clip.of, clip.indices, clip.end) == (6, (1, 3, 5), Fraction(6, 5))
    reds = [picture.getpixel((3, 3))[0] for picture in clip.pictures]
    assert all(abs(red - 30 * i) <= 8 for red, i in zip(reds, clip.indices, strict=True))
