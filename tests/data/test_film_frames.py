"""Frames of films of any kind, chosen by their time stamps."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saccade.data.film_files import FRAME_RATE, write_film
from saccade.data.film_frames import open_film, read_film, resample_frames
from saccade.errors import DataError

from . import tiny_videos

MS = tiny_videos.MS


def grey(i: int) -> Image.Image:
    return Image.new("RGB", (17, 13), (10 * i, 10 * i, 10 * i))


def numbers(pictures: list[Image.Image]) -> list[int]:
    """Of the frames that `grey` drew."""
    return [round(float(np.asarray(each).mean()) / 10) for each in pictures]


def shown(source: Path, rate: Fraction, start: Fraction = Fraction(0)) -> list[int]:
    with open_film(source, rate=rate) as film:
        return numbers([picture.image for picture in resample_frames(film, rate, start)])


def uneven(out: Path, times: list[int]) -> Path:
    """A film whose frames are shown from these milliseconds on."""
    with av.open(str(out), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        stream.codec_context.time_base = MS
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_image(Image.new("RGB", (16, 16), (10 * i,) * 3))
            frame.pts, frame.time_base = time, MS
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp", "folder"])
def test_equal_and_multiple_rates_take_every_frame_or_every_nth(name: str, tmp_path: Path):
    """Where time stamps are rounded, too: 24 a second in hundredths and thousandths of a second."""
    write_film(tmp_path / name, [grey(i) for i in range(24)], Fraction(24))
    assert shown(tmp_path / name, Fraction(24)) == list(range(24))
    assert shown(tmp_path / name, Fraction(12)) == list(range(0, 24, 2))
    assert shown(tmp_path / name, Fraction(8)) == list(range(0, 24, 3))
    assert shown(tmp_path / name, Fraction(48)) == [i // 2 for i in range(48)]
    assert shown(tmp_path / name, Fraction(8), Fraction(1, 4)) == list(range(6, 24, 3))


def test_rounded_time_stamps_of_matroska(tmp_path: Path):
    film = uneven(tmp_path / "a.mkv", [round(1000 * i / 24) for i in range(24)])
    assert shown(film, Fraction(24)) == list(range(24))
    assert shown(film, Fraction(12)) == list(range(0, 24, 2))


def test_a_variable_frame_rate_does_not_distort_time(tmp_path: Path):
    """Frame 1 is held for a second, of which an index times the average rate would know nothing."""
    film = uneven(tmp_path / "a.mp4", [0, 100, 1100, 1200, 1300, 1400])
    assert shown(film, Fraction(10))[:13] == [0, *[1] * 10, 2, 3]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "folder"])
def test_the_first_frames(name: str, tmp_path: Path):
    write_film(tmp_path / name, [grey(i) for i in range(9)], Fraction(9))
    film = read_film(tmp_path / name, 4)
    assert numbers(film.frames) == [0, 1, 2, 3]
    assert film.rate == 9
    assert abs(film.end - Fraction(4, 9)) < Fraction(1, 50)


def test_a_still_picture_is_a_film_of_one_frame(tmp_path: Path):
    grey(7).save(tmp_path / "a.png")
    film = read_film(tmp_path / "a.png")
    assert (numbers(film.frames), film.times, film.notes) == ([7], [0], [])


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_animations_of_other_programs(suffix: str, tmp_path: Path):
    """Pillow's, with rectangles of what changed, unequal durations and transparency."""
    clear = [Image.new("RGBA", (11, 7), (0, 0, 0, 0)) for _ in range(3)]
    for i, each in enumerate(clear):
        each.paste((200, 10, 10, 255), (i, 1, i + 4, 5))
    clear[0].save(
        tmp_path / f"a.{suffix}", save_all=True, append_images=clear[1:], duration=[100, 250, 50], disposal=2
    ) if suffix != "webp" else clear[0].save(
        tmp_path / "a.webp", save_all=True, append_images=clear[1:], duration=[100, 250, 50], lossless=True
    )
    film = read_film(tmp_path / f"a.{suffix}")
    assert film.times == [0, Fraction(1, 10), Fraction(7, 20)]
    assert film.end == Fraction(2, 5)
    for got, true in zip(film.frames, clear, strict=True):
        paper = Image.alpha_composite(Image.new("RGBA", true.size, "white"), true).convert("RGB")
        assert np.array_equal(np.asarray(got), np.asarray(paper))


def test_the_still_that_an_apng_shows_elsewhere_is_no_frame(tmp_path: Path):
    frames = [grey(i) for i in range(1, 4)]
    grey(9).save(tmp_path / "a.png", save_all=True, append_images=frames, default_image=True, duration=200)
    assert numbers(read_film(tmp_path / "a.png").frames) == [1, 2, 3]


def test_frames_without_a_duration_last_as_in_browsers(tmp_path: Path):
    grey(1).save(tmp_path / "a.gif", save_all=True, append_images=[grey(2), grey(3)], duration=0)
    film = read_film(tmp_path / "a.gif")
    assert film.times == [0, Fraction(1, 10), Fraction(1, 5)]
    assert any("no duration" in note for note in film.notes)


def test_a_folder_without_a_rate_says_which_was_taken(tmp_path: Path):
    for i in (1, 2, 10):
        grey(i).save(tmp_path / f"{i}.png")
    film = read_film(tmp_path, rate=Fraction(4))
    assert numbers(film.frames) == [1, 2, 10]
    assert film.times == [0, Fraction(1, 4), Fraction(1, 2)]
    assert "does not state a frame rate; 4 per second" in film.notes[0]


@pytest.mark.parametrize("stated", ["1/9999999", "0", "-5", "1e99999999", "9" * 5000, "1/0", "nan", ""])
def test_a_rate_that_cannot_be_is_not_taken(stated: str, tmp_path: Path):
    text = PngInfo()
    text.add_text(FRAME_RATE, stated)
    for i in (1, 2):
        grey(i).save(tmp_path / f"{i}.png", pnginfo=text)
    assert read_film(tmp_path).times == [0, Fraction(1, 10)]


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_frames_far_apart(suffix: str, tmp_path: Path):
    """A frame of days ends a film; one of minutes is repeated, up to a limit."""
    path = tmp_path / f"a{suffix}"
    longest = [40, 16_000_000, 40] if suffix == ".webp" else [40, 65_000, 40]
    grey(1).save(path, save_all=True, append_images=[grey(2), grey(3)], duration=longest, lossless=True)
    if suffix == ".webp":
        film = read_film(path)
        assert (numbers(film.frames), film.end) == ([1], Fraction(1, 25))
        assert "a frame lasts 16000 s; its first 1 frames are used" in film.notes[0]
        with open_film(path, "fail") as opened, pytest.raises(DataError, match="a frame lasts 16000 s"):
            list(opened)
        grey(1).save(path, save_all=True, append_images=[grey(2)], duration=[16_000_000, 40], lossless=True)
        with pytest.raises(DataError, match="a frame lasts 16000 s"):
            open_film(path)
        return
    with open_film(path) as opened:
        assert len(list(resample_frames(opened, Fraction(25)))) == 65 * 25 + 2
    with (
        open_film(path) as opened,
        pytest.raises(DataError, match=r"a\.png shows one frame from 0 s to 65 s: more than"),
    ):
        list(resample_frames(opened, Fraction(200)))
    with open_film(path) as opened:
        assert len(list(itertools.islice(resample_frames(opened, Fraction(100)), 3000))) == 3000


def test_a_folder_of_several_sizes_is_refused(tmp_path: Path):
    grey(1).save(tmp_path / "1.png")
    Image.new("RGB", (13, 17)).save(tmp_path / "2.png")
    with pytest.raises(DataError, match=r"2\.png is 13x17 and others are 17x13"):
        read_film(tmp_path)


def test_films_that_cannot_be_read(tmp_path: Path):
    for name in ("a.mp4", "a.gif", "a.webp", "a.xyz"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(DataError, match=r"empty \(0 bytes\)"):
            read_film(tmp_path / name)
        (tmp_path / name).write_text("words, and no film")
        with pytest.raises(DataError, match=name):
            read_film(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        read_film(tmp_path / "folder")
    with pytest.raises(DataError, match="does not exist"):
        read_film(tmp_path / "none.gif")


def test_pages_and_views_are_no_frames(tmp_path: Path):
    """Of a TIFF, and of a phone's JPEG with a second picture in it (MPO)."""
    grey(3).save(tmp_path / "a.tiff", save_all=True, append_images=[grey(4)])
    grey(3).save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[grey(4)])
    for name in ("a.tiff", "a.jpg"):
        assert numbers(read_film(tmp_path / name).frames) == [3]


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.9, 0.9999])
def test_a_gif_cut_anywhere_says_so(share: float, tmp_path: Path):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (37, 41, 3), np.uint8)) for _ in range(6)]
    write_film(tmp_path / "whole.gif", noise, Fraction(10))
    with open_film(tiny_videos.cut(tmp_path / "whole.gif", tmp_path / "cut.gif", share)) as film:
        count = len(list(film))
        assert count == film.read <= (6 if share > 0.99 else 5)
        assert any("damaged or cut short" in note for note in film.notes)
        assert film.end <= Fraction(count, 10)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_cut_short_is_used_up_to_there(suffix: str, tmp_path: Path):
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (37, 41, 3), np.uint8)) for _ in range(6)]
    write_film(tmp_path / f"whole.{suffix}", noise, Fraction(10))
    cut = tiny_videos.cut(tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}", 0.6)
    if suffix == "webp":  # libwebp reads whole files only
        with pytest.raises(DataError, match="cut"):
            read_film(cut)
        return
    with open_film(cut) as film:
        count = len(list(film))
        assert 0 < count < 6
        assert any("damaged or cut short" in note for note in film.notes)
        assert film.end <= Fraction(count, 10)
    with open_film(cut, on_error="fail") as film, pytest.raises(DataError, match="damaged or cut short"):
        list(film)


def test_one_frame_is_in_memory_at_a_time(tmp_path: Path):
    write_film(tmp_path / "a.mp4", [grey(i) for i in range(24)], Fraction(8))
    with open_film(tmp_path / "a.mp4") as film:
        assert len(list(itertools.islice(resample_frames(film, Fraction(8)), 2))) == 2
        assert film.read <= 4
