"""Films read frame by frame, and written: times, colours, turns, and everything that films can be broken in."""

import builtins
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from saccade.data.files import is_video
from saccade.data.film_writers import VideoWriter
from saccade.data.video import VideoReader
from saccade.errors import DataError, SaccadeError

from . import tiny_videos


def near(image, expected, most=6.0):
    difference = np.abs(np.asarray(image, float) - np.asarray(expected, float))
    return image.size == expected.shape[1::-1] and difference.mean() < most


def test_names_of_films():
    assert all(map(is_video, ["a.mp4", "b/c.MKV", "d.webm", "e.avi", "f.mov", "g.mpeg", "h.mts"]))
    assert not any(map(is_video, ["a.gif", "a.png", "a.webp", "mp4", "a.mp4.txt", "a.json"]))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libx264"), ("mov", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("avi", "mpeg4"),
        ("webm", "libvpx-vp9"),
    ],
)  # fmt: skip
def test_every_format(tmp_path, suffix, codec):
    with VideoReader(tiny_videos.film(tmp_path / f"말 1.{suffix}", codec=codec)) as film:
        frames = list(film)
    assert [time for time, _ in frames] == [Fraction(i, 25) for i in range(7)]
    for i, (_, picture) in enumerate(frames):
        assert near(picture.image, tiny_videos.picture(i))
        assert picture.image.mode == "RGB"
        assert picture.name == f"{tmp_path}/말 1.{suffix} frame {i}"
    assert (film.rate, film.read, film.notes) == (25, 7, [])
    assert film.count in (None, 7)


@pytest.mark.parametrize("times", [[0, 1, 2, 30, 31, 500], [90_000, 90_040, 90_080, 90_500, 90_501, 91_000]])
def test_times_of_a_film_whose_rate_varies(tmp_path, times):
    source = tiny_videos.film(tmp_path / "a.mkv", 6, times=times, time_base=Fraction(1, 1000))
    with VideoReader(source) as film:
        found = [time for time, _ in film]
    assert found == [Fraction(time - times[0], 1000) for time in times]  # from the first on, as players count


@pytest.mark.parametrize(
    ("turned", "way"),
    [
        ("cw", lambda p: np.rot90(p, -1)), ("ccw", np.rot90), ("half", lambda p: np.rot90(p, 2)),
        ("mirror", lambda p: p[:, ::-1]),
    ],
)  # fmt: skip
def test_a_rotated_film_is_turned_upright(tmp_path, turned, way):
    with VideoReader(tiny_videos.film(tmp_path / "a.mp4", turned=turned)) as film:
        (_, picture), *_ = film
    assert near(picture.image, way(tiny_videos.picture(0)))
    assert picture.notes[0].startswith("turned upright as the video says")


def test_transparency_is_laid_on_white(tmp_path):
    with av.open(str(tmp_path / "a.mov"), "w") as file:
        stream = file.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 8, "rgba"
        clear = np.zeros((8, 16, 4), np.uint8)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(clear, format="rgba")))
        file.mux(stream.encode(None))
    with VideoReader(tmp_path / "a.mov") as film:
        (_, picture), *_ = film
    assert picture.image.getpixel((3, 3)) == (255, 255, 255)
    assert picture.notes == ("transparency laid on white",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"no film\n" * 50, "is not a video that can be read"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nreal.mp4\n#EXT-X-ENDLIST\n", "is not a video"),
        (b"ffconcat version 1.0\nfile 'real.mp4'\n", "is not a video"),
        (b"YUV4MPEG2 W4 H4 F25:1\nFRAME\n" + bytes(24), "is not a video"),
    ],
)
def test_invalid_videos_are_refused(tmp_path, content, message):
    tiny_videos.film(tmp_path / "real.mp4")
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=message):
        VideoReader(tmp_path / "a.mp4")


def test_no_video_no_file_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"holds no video stream \(found: audio\)"):
        VideoReader(tiny_videos.sound(tmp_path / "a.mp4"))
    with pytest.raises(DataError, match="does not exist"):
        VideoReader(tmp_path / "b.mp4")
    with pytest.raises(DataError, match="is a folder"):
        VideoReader(tmp_path)


def test_no_frames(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        file.start_encoding()
    with pytest.raises(DataError, match="holds nothing that can be played"):
        VideoReader(tmp_path / "a.mp4")
    data = tiny_videos.film(tmp_path / "b.mp4", movflags="faststart").read_bytes()
    (tmp_path / "c.mp4").write_bytes(data[: data.index(b"mdat") + 20])  # its table of contents and nothing else
    with VideoReader(tmp_path / "c.mp4") as film, pytest.raises(DataError, match=r"holds no frame.*damaged"):
        list(film)
    assert film.read == 0


def test_a_film_without_its_table_of_contents(tmp_path):
    cut = tiny_videos.cut(tiny_videos.film(tmp_path / "a.mp4", 50), tmp_path / "b.mp4", 0.7)
    with pytest.raises(DataError, match=r"it is cut short or damaged|is not a video"):
        VideoReader(cut)


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("webm", "libvpx-vp9"), ("mp4", "libx264")])
def test_a_film_cut_short(tmp_path, suffix, codec):
    faststart = {"movflags": "faststart"} if suffix == "mp4" else {}
    whole = tiny_videos.film(tmp_path / f"a.{suffix}", 50, size=(96, 64), codec=codec, **faststart)
    short = tiny_videos.cut(whole, tmp_path / f"b.{suffix}", 0.6)
    with VideoReader(short) as film:
        frames = list(film)
    assert 3 < len(frames) < 45
    assert near(frames[2][1].image, tiny_videos.picture(2, (96, 64)))
    assert "cut short" in film.notes[-1]
    assert f"b.{suffix}" in film.notes[-1]
    with VideoReader(short, on_error="fail") as film, pytest.raises(DataError, match="cut short"):
        list(film)
    with VideoReader(whole, on_error="fail") as film:
        assert len(list(film)) == 50


def test_damage_in_the_middle_is_passed_over(tmp_path):
    data = bytearray(tiny_videos.film(tmp_path / "a.mp4", 40, size=(96, 64)).read_bytes())
    start = data.index(b"mdat")
    middle = start + (data.index(b"moov") - start) // 2
    data[middle : middle + 60] = bytes(60)
    (tmp_path / "b.mp4").write_bytes(data)
    with VideoReader(tmp_path / "b.mp4") as film:
        frames = list(film)
    assert 20 < len(frames) <= 40
    assert "damaged" in film.notes[0]
    with VideoReader(tmp_path / "b.mp4", on_error="fail") as film, pytest.raises(DataError, match="damaged"):
        list(film)


def test_without_pyav(tmp_path, monkeypatch):
    tiny_videos.film(tmp_path / "a.mp4")
    real = builtins.__import__

    def missing(name, *others, **more):
        if name == "av":
            raise ModuleNotFoundError("No module named 'av'")
        return real(name, *others, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(
        SaccadeError, match=r"PyAV, which is not installed: pip install .*saccade-attention\[film\]"
    ) as caught:
        VideoReader(tmp_path / "a.mp4")
    assert not isinstance(caught.value, DataError)  # no film is to be left out for it


@pytest.mark.parametrize("size", [(48, 32), (47, 31), (1, 1)])
@pytest.mark.parametrize(
    ("times", "time_base"),
    [(range(7), Fraction(1001, 30000)), ([33, 66, 100, 500, 501, 1333, 9000], Fraction(1, 1000))],
)
def test_written_and_read_again(tmp_path, size, times, time_base):
    with VideoWriter(tmp_path / "a.mp4", 1 / time_base, time_base) as writer:
        for i, time in enumerate(times):
            writer.add(Image.fromarray(tiny_videos.picture(i, size)), time * time_base)
    with av.open(str(tmp_path / "a.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    with VideoReader(tmp_path / "a.mp4", on_error="fail") as film:
        frames = list(film)
    assert [time for time, _ in frames] == [(time - times[0]) * time_base for time in times]
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    for i, (_, picture) in enumerate(frames):
        assert picture.image.size == even
        assert near(picture.image.crop((0, 0, *size)), tiny_videos.picture(i, size), most=10)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_other_sizes_and_times_that_go_back_are_brought_to_order(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", Fraction(25), Fraction(1, 25)) as writer:
        for time, size in ((0, (48, 32)), (3, (24, 16)), (1, (100, 90))):
            writer.add(Image.new("RGB", size, (20, 120, 220)), Fraction(time, 25))
    with VideoReader(tmp_path / "a.mp4") as film:
        frames = list(film)
    assert [time * 25 for time, _ in frames] == [0, 3, 4]
    assert {picture.image.size for _, picture in frames} == {(48, 32)}


def test_a_film_is_complete_or_absent(tmp_path):
    out = tmp_path / "a.mp4"
    out.write_bytes(b"old")
    with pytest.raises(RuntimeError), VideoWriter(out, Fraction(25), Fraction(1, 25)) as writer:  # noqa: PT012
        writer.add(Image.new("RGB", (48, 32)), Fraction(0))
        raise RuntimeError
    with VideoWriter(tmp_path / "none.mp4", Fraction(25), Fraction(1, 25)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert out.read_bytes() == b"old"
    with pytest.raises(DataError, match="cannot be written"):
        VideoWriter(tmp_path / "no" / "a.mp4", Fraction(25), Fraction(1, 25))


def test_one_frame_is_held(tmp_path):
    seen = []
    with VideoReader(tiny_videos.film(tmp_path / "a.mp4", 60)) as film:
        for _, picture in film:
            seen.append(weakref.ref(picture.image))
            assert sum(one() is not None for one in seen) <= 2
    assert len(seen) == 60


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG"), (1, "")])
def test_hdr_colours_are_noted(curve: int, name: str, tmp_path):
    """Phones record so by themselves; white paper is read as grey."""
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.color_trc = curve
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with VideoReader(tmp_path / "a.mp4") as film:
        assert [f"HDR colours ({name}" in note for note in film.notes] == ([True] if name else [])


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_transparency_of_webm_is_laid_on_white(codec, tmp_path):
    pixels = np.zeros((32, 48, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[:16, :, 3] = 255
    with av.open(str(tmp_path / "a.webm"), "w") as file:
        stream = file.add_stream(codec, rate=10, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuva420p"
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format="yuva420p")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with VideoReader(tmp_path / "a.webm") as film:
        frames = list(film)
    assert [frame.time for frame in frames] == [Fraction(i, 10) for i in range(5)]
    for _, picture in frames:
        shown = np.asarray(picture.image).astype(int)
        assert np.abs(shown[4:12] - (255, 0, 0)).max() < 12
        assert shown[20:].min() > 243
        assert picture.notes == ("transparency laid on white",)
    assert not film.notes


def test_transparency_that_is_not_decoded_is_noted(tmp_path, monkeypatch):
    tiny_videos.film(tmp_path / "a.webm", codec="libvpx-vp9", pixel="yuva420p")
    tiny_videos.film(tmp_path / "b.webm", codec="libvpx-vp9")
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libvpx-vp9"})
    with VideoReader(tmp_path / "a.webm") as film:
        assert "holds transparency" in film.notes[0]
    with VideoReader(tmp_path / "b.webm") as film:
        assert not film.notes


def test_a_jump_of_the_time_stamps_ends_a_film(tmp_path):
    """Two frames 41 days apart are not 35 million frames of 10 a second."""
    times = [0, 100, 200, 41 * 86_400_000]
    path = tiny_videos.film(tmp_path / "a.mkv", 4, times=times, time_base=Fraction(1, 1000))
    with VideoReader(path) as film:
        assert [time for time, _ in film] == [0, Fraction(1, 10), Fraction(1, 5)]
    assert "its time stamps jump by" in film.notes[0]
    with VideoReader(path, "fail") as film, pytest.raises(DataError, match="jump by 3542400 s after 3 frames"):
        list(film)


def test_frames_that_an_edit_list_leaves_out_are_not_counted(tmp_path):
    path = tiny_videos.film(tmp_path / "a.mp4", 20)
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12  # duration in milliseconds, then the first time in units of 1 / 12800 s
    for place, value in ((at, 600), (at + 4, 1024 + 5 * 512)):
        data[place : place + 4] = value.to_bytes(4, "big")
    path.write_bytes(data)
    with VideoReader(path) as film:
        assert (film.count, len(list(film))) == (15, 15)


def test_a_codec_that_is_not_known(tmp_path):
    path = tiny_videos.film(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9").replace(b"avcC", b"free"))
    with pytest.raises(DataError, match="codec is not known"):
        VideoReader(path)
