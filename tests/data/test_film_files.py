"""Films written in every format: all frames, their times and the text of the settings come back."""

import io
import os
import resource
import signal
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from saccade.data.animation_reader import AnimationReader
from saccade.data.film_files import check_film_name, read_embedded_settings, write_film
from saccade.data.film_frames import read_film
from saccade.data.film_writers import spread_durations
from saccade.errors import DataError, UsageError

from . import tiny_videos

TEXT = 'a red star, 별 "x"\nNegative prompt: blue\nSteps: 25, Sampler: Euler, Seed: 7, Size: 31x17'
SIZE = (31, 17)
NAMES = ["a.mp4", "a.gif", "a.webp", "folder"]


def frames(count: int = 7, size: tuple[int, int] = SIZE) -> list[Image.Image]:
    """A square that moves on every second frame only: each has an equal neighbour."""
    pictures = []
    for i in range(count):
        pixels = np.full((size[1], size[0], 3), (200, 220, 240), np.uint8)
        pixels[3 : 3 + size[1] // 2, 2 + i // 2 : 2 + i // 2 + size[0] // 3] = (90, 20, 30)
        pictures.append(Image.fromarray(pixels))
    return pictures


@pytest.mark.parametrize("rate", [Fraction(8), Fraction(24), Fraction(24000, 1001), Fraction(1, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_frames_and_times_come_back(name: str, rate: Fraction, tmp_path: Path):
    written = frames()
    write_film(tmp_path / name, written, rate, TEXT)
    film = read_film(tmp_path / name)
    assert len(film) == len(written)
    tolerance = {"a.gif": Fraction(5, 1000), "a.webp": Fraction(1, 2000), "a.mp4": Fraction(1, 1000)}.get(name, 0)
    assert all(abs(time - i / rate) <= tolerance for i, time in enumerate(film.times))
    assert abs(film.end - len(written) / rate) <= max(tolerance, 0)
    for got, expected in zip(film.frames, written, strict=True):
        seen, true = (np.asarray(each).astype(int)[: SIZE[1], : SIZE[0]] for each in (got, expected))
        assert np.abs(seen - true).mean() < (8 if name == "a.mp4" else 1e-9)
    assert read_embedded_settings(tmp_path / name) == TEXT


@pytest.mark.parametrize("name", NAMES)
def test_a_still_film_keeps_all_its_frames(name: str, tmp_path: Path):
    write_film(tmp_path / name, frames(1) * 5, Fraction(5))
    film = read_film(tmp_path / name)
    assert len(film) == 5
    assert film.end == 1
    assert read_embedded_settings(tmp_path / name) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_film_of_one_frame(name: str, tmp_path: Path):
    write_film(tmp_path / name, frames(1), Fraction(8), TEXT)
    assert len(read_film(tmp_path / name)) == 1
    assert read_embedded_settings(tmp_path / name) == TEXT


def test_other_programs_read_the_animations_alike(tmp_path: Path):
    """FFmpeg's decoder of GIF, and libwebp's through Pillow from a file in memory."""
    written = frames(9)
    write_film(tmp_path / "a.gif", written, Fraction(10), TEXT)
    write_film(tmp_path / "a.webp", written, Fraction(10), TEXT)
    with av.open(str(tmp_path / "a.gif")) as file:
        by_ffmpeg = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    with Image.open(io.BytesIO((tmp_path / "a.webp").read_bytes())) as image:
        by_libwebp = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    for decoded in (by_ffmpeg, by_libwebp):
        assert len(decoded) == 9
        assert all(np.array_equal(got, np.asarray(true)) for got, true in zip(decoded, written, strict=True))


def test_durations_are_spread():
    assert spread_durations(Fraction(24), 5, Fraction(1, 100)) == [4, 4, 4, 5, 4]
    assert sum(spread_durations(Fraction(24), 240, Fraction(1, 100))) == 1000
    assert sum(spread_durations(Fraction(30000, 1001), 300, Fraction(1, 1000))) == 10010


def test_the_text_survives_a_copy_of_the_streams(tmp_path: Path):
    """Other tools write no tags with names of their own, but keep the comment."""
    write_film(tmp_path / "a.mp4", frames(), Fraction(8), TEXT)
    with av.open(str(tmp_path / "a.mp4")) as old, av.open(str(tmp_path / "b.mov"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        new.metadata.update(old.metadata)
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    assert read_embedded_settings(tmp_path / "b.mov") == TEXT


def test_text_of_other_tools(tmp_path: Path):
    """Of pictures and of films without settings."""
    frames(1)[0].save(tmp_path / "a.jpg", comment=TEXT.encode())
    assert read_embedded_settings(tmp_path / "a.jpg") == TEXT
    assert read_embedded_settings(tiny_videos.film(tmp_path / "plain.mp4")) is None


@pytest.mark.parametrize("name", ["a.avi", "a.png", "a.mp4.zip"])
def test_other_suffixes_are_refused_with_those_there_are(name: str, tmp_path: Path):
    with pytest.raises(UsageError, match=r"\.mp4, \.gif, \.webp"):
        check_film_name(tmp_path / name)


def test_places_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name, match in {
        "full": "files in it",
        "file": "is a file",
        "no/a.mp4": "not a folder",
        "no/a": "not a",
    }.items():
        with pytest.raises(DataError, match=match):
            write_film(tmp_path / name, frames(), Fraction(8))
    write_film(tmp_path / "empty", frames(2), Fraction(8))
    assert sorted(each.name for each in (tmp_path / "empty").iterdir()) == ["0000.png", "0001.png"]
    assert (tmp_path / "file").read_text() == "mine"


def test_rates_that_a_format_does_not_allow(tmp_path: Path):
    with pytest.raises(UsageError, match=r"60 frames per second .* GIF; 0.01 to 50 expected: write an .mp4"):
        check_film_name(tmp_path / "a.gif", Fraction(60))
    for rate in (Fraction(0), Fraction(-1), Fraction(5000)):
        with pytest.raises(UsageError, match="frames per second"):
            write_film(tmp_path / "a.mp4", frames(), rate)
    assert not list(tmp_path.iterdir())


def test_frames_that_make_no_film(tmp_path: Path):
    with pytest.raises(DataError, match="no frames"):
        write_film(tmp_path / "a.gif", [], Fraction(8))
    with pytest.raises(DataError, match=r"sizes of 17x31 and 31x17"):
        write_film(tmp_path / "a.mp4", [*frames(1), frames(1)[0].transpose(Image.Transpose.ROTATE_90)], Fraction(8))
    with pytest.raises(DataError, match=r"a\.webp cannot be written .*write an \.mp4"):
        write_film(tmp_path / "a.webp", [Image.new("RGB", (16385, 1))], Fraction(8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_what_was_there(name: str, tmp_path: Path):
    """The limit on the size of a file stands in for it."""
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)) for _ in range(9)]
    if name != "folder":
        (tmp_path / name).write_text("before")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(DataError, match=rf"{name} cannot be written.*choose another path"):
            write_film(tmp_path / name, noise, Fraction(8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == ([] if name == "folder" else [name])
    assert name == "folder" or (tmp_path / name).read_text() == "before"


def test_text_of_files_that_cannot_be_read(tmp_path: Path):
    for name in ("a.mp4", "a.gif", "a.webp", "a.png"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(DataError, match=name):
            read_embedded_settings(tmp_path / name)
        (tmp_path / name).write_text("no film")
        with pytest.raises(DataError, match=name):
            read_embedded_settings(tmp_path / name)
    (tmp_path / "folder").mkdir()
    for name in ("folder", "none.mp4", "none.gif"):
        with pytest.raises(DataError, match=name):
            read_embedded_settings(tmp_path / name)


def test_a_frame_beyond_the_picture_ends_the_film(tmp_path):
    frames = [Image.new("RGB", (24, 18), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100)
    data, place = (tmp_path / "a.gif").read_bytes(), struct.pack("<BHHHH", ord(","), 0, 0, 24, 18)
    assert data.count(place) == 3
    last = data.rindex(place)
    data = data[:last] + struct.pack("<BHHHH", ord(","), 7, 0, 24, 18) + data[last + len(place) :]
    (tmp_path / "a.gif").write_bytes(data)
    with AnimationReader(tmp_path / "a.gif") as film:
        assert [frame.picture.image.size for frame in film] == [(24, 18)] * 2
        assert film.count == 2
        assert any("frame 2 reaches beyond the 24 x 18 pixels" in note for note in film.notes)
