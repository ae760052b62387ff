"""Every way a picture can be handed over, and every row of what can be wrong with one."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import read_image
from saccade.data.decoders import FORMATS
from saccade.data.images import read_size
from saccade.data.pixels import uint16_to_uint8
from saccade.errors import DataError

from .conftest import encoded, noise


def pixels(source: object, **options: object) -> np.ndarray:
    picture = read_image(source, **options)
    assert picture.image.mode == "RGB"
    return np.asarray(picture.image)


def fails(source: object, *words: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read_image(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def test_every_kind_of_source_gives_the_same_pixels(tmp_path: Path):
    image = noise(5, 7)
    expected = np.asarray(image)
    path = tmp_path / "a.png"
    image.save(path)
    tensor = torch.from_numpy(expected.copy()).permute(2, 0, 1)
    sources = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), image, expected, tensor]
    for source in [*sources, expected / 255.0, tensor.float() / 255, read_image(path)]:
        np.testing.assert_array_equal(pixels(source), expected)
    with path.open("rb") as file:
        assert read_image(file).name == str(path)
    assert read_image(path).name == str(path)
    assert read_image(path).notes == ()


@pytest.mark.parametrize("format", [*FORMATS, "MPO"])
def test_allowed_formats(format: str):
    assert pixels(encoded(noise(17, 19), format)).shape == (17, 19, 3)


@pytest.mark.parametrize("format", ["ICO", "TGA", "EPS", "PCX"])
def test_other_formats_are_refused(format: str):
    fails(encoded(noise(16, 16), format), "not a picture that can be read", "JPEG")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_truncated_names_the_file(tmp_path: Path, format: str):
    path = tmp_path / "cut.img"
    data = encoded(noise(61, 67), format)
    path.write_bytes(data[: len(data) // 2])
    fails(path, str(path), "damaged or cut short")


def test_text_and_empty_files(tmp_path: Path):
    (tmp_path / "text.jpg").write_text("hello, I am not a picture\n" * 10)
    fails(tmp_path / "text.jpg", "text.jpg", "not a picture")
    (tmp_path / "empty.jpg").touch()
    fails(tmp_path / "empty.jpg", "empty.jpg", "0 bytes")
    fails(b"", "0 bytes")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int):
    top_left_red = Image.new("RGB", (24, 16), "blue")
    top_left_red.paste("red", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read_image(encoded(top_left_red, "JPEG", exif=exif, quality=95, subsampling=0))
    # where the stored top-left corner belongs: (right?, bottom?), by the EXIF standard
    right, bottom = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}[
        orientation
    ]
    assert picture.image.size == ((24, 16) if orientation < 5 else (16, 24))
    x, y = right * (picture.image.width - 1), bottom * (picture.image.height - 1)
    red, _, blue = picture.image.getpixel((x, y))
    assert red > 200 > 50 > blue
    assert bool(picture.notes) == (orientation > 1)


def test_damaged_exif_spoils_no_pixels():
    picture = read_image(encoded(noise(16, 16), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage"))
    assert picture.image.size == (16, 16)


def test_cmyk_exact():
    image = Image.new("CMYK", (3, 1))
    image.putdata([(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255)])
    picture = read_image(encoded(image, "TIFF"))
    assert np.asarray(picture.image).tolist() == [[[255] * 3, [0, 255, 255], [0] * 3]]
    assert "CMYK" in picture.notes[0]
    jpeg = pixels(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert np.abs(jpeg.astype(int) - [255, 0, 0]).max() < 8


def test_sixteen_bit_png_is_scaled_not_clipped():
    values = np.array([[0, 257, 32768, 65535, 300]], dtype=np.uint16)
    picture = read_image(encoded(Image.fromarray(values)))
    assert np.asarray(picture.image)[0, :, 0].tolist() == [0, 1, 128, 255, 1]
    assert "16-bit" in picture.notes[0]
    np.testing.assert_array_equal(pixels(values), np.asarray(picture.image))
    as_integers = Image.fromarray(values.astype(np.int32))
    assert as_integers.mode == "I"
    np.testing.assert_array_equal(pixels(as_integers), np.asarray(picture.image))
    fails(Image.fromarray(values.astype(np.int32) + 1), "0..65535")


def test_sixteen_bit_pgm():
    data = b"P5 3 1 65535\n" + np.array([0, 32768, 65535], dtype=">u2").tobytes()
    assert pixels(data)[0, :, 0].tolist() == [0, 128, 255]


def test_float_pillow_image():
    assert pixels(Image.fromarray(np.array([[0.0, 1.0]], dtype=np.float32)))[0, :, 0].tolist() == [0, 255]
    fails(Image.fromarray(np.array([[0.0, 9.0]], dtype=np.float32)), "0..1 expected")


def test_transparency_is_laid_on_white():
    rgba = Image.new("RGBA", (3, 1))
    rgba.putdata([(255, 0, 0, 0), (255, 0, 0, 255), (0, 0, 0, 128)])
    picture = read_image(encoded(rgba))
    assert np.asarray(picture.image).tolist() == [[[255] * 3, [255, 0, 0], [127] * 3]]
    assert picture.notes == ("transparency laid on white",)
    la = Image.new("LA", (2, 1))
    la.putdata([(9, 0), (9, 255)])
    assert pixels(encoded(la))[0, :, 0].tolist() == [255, 9]


def test_palette_with_transparency_and_one_bit():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putdata([0, 1])
    assert pixels(encoded(palette)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert pixels(encoded(palette, transparency=0)).tolist() == [[[255] * 3, [0, 0, 255]]]
    bits = Image.new("1", (2, 1))
    bits.putdata([0, 1])
    assert pixels(encoded(bits))[0, :, 0].tolist() == [0, 255]


def test_colour_key_transparency():
    rgb = Image.new("RGB", (2, 1))
    rgb.putdata([(1, 2, 3), (4, 5, 6)])
    assert pixels(encoded(rgb, transparency=(1, 2, 3))).tolist() == [[[255] * 3, [4, 5, 6]]]
    grey = Image.fromarray(np.array([[1000, 257, 65535]], dtype=np.uint16))
    assert pixels(encoded(grey, transparency=1000))[0, :, 0].tolist() == [255, 1, 255]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_gives_its_first_frame_and_says_so(format: str):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if format == "WEBP" else {}
    picture = read_image(encoded(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert picture.image.getpixel((4, 4)) == (255, 0, 0)
    assert any("first frame" in note for note in picture.notes)
    assert read_image(encoded(frames[0], format)).notes == ()


def test_one_pixel():
    assert pixels(encoded(Image.new("RGB", (1, 1), "red"))).tolist() == [[[255, 0, 0]]]
    assert pixels(np.zeros((1, 1, 3), np.uint8)).shape == (1, 1, 3)


def bomb(columns: int, rows: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 30_000])  # where Pillow warns, and where it raises
@pytest.mark.filterwarnings("default")
def test_decompression_bomb(side: int, recwarn: pytest.WarningsRecorder):
    fails(bomb(side, side), "too large", "million pixels", name="bomb.png")
    assert not recwarn.list


def test_no_pixels():
    fails(Image.new("RGB", (0, 0)), "no pixels")
    fails(np.zeros((0, 0, 3), np.uint8), "no pixels")
    fails(torch.zeros(3, 0, 5), "no pixels")


def test_array_layouts():
    hwc = np.asarray(noise(5, 7))
    chw = hwc.transpose(2, 0, 1)
    np.testing.assert_array_equal(pixels(chw, layout="chw"), hwc)
    np.testing.assert_array_equal(pixels(torch.from_numpy(hwc.copy()), layout="hwc"), hwc)
    np.testing.assert_array_equal(pixels(hwc[..., 0])[..., 2], hwc[..., 0])
    np.testing.assert_array_equal(pixels(torch.from_numpy(chw[:1].copy()))[..., 1], hwc[..., 0])
    np.testing.assert_array_equal(pixels(hwc[..., :1])[..., 1], hwc[..., 0])
    assert pixels(np.zeros((5, 7, 4), np.uint8)).min() == 255  # alpha 0 shows the paper
    assert pixels(np.array([[True, False]]))[0, :, 0].tolist() == [255, 0]
    assert pixels(torch.ones(3, 2, 2, dtype=torch.bfloat16)).min() == 255


def test_ambiguous_and_wrong_axes():
    fails(np.zeros((3, 5, 7), np.uint8), 'layout="chw"', "(3, 5, 7)")
    fails(np.zeros((3, 5, 3), np.uint8), "two ways", 'layout="chw"', 'layout="hwc"')
    assert pixels(np.zeros((3, 5, 3), np.uint8), layout="hwc").shape == (3, 5, 3)
    assert pixels(np.zeros((3, 5, 3), np.uint8), layout="chw").shape == (5, 3, 3)
    assert pixels(torch.zeros(3, 5, 3)).shape == (5, 3, 3)
    fails(torch.zeros(5, 7, 3), "permute(2, 0, 1)")
    fails(np.zeros((5, 7, 2), np.uint8), "1, 3 or 4 channels")
    fails(torch.zeros(1, 3, 5, 7), "batch", "x[0]")
    fails(np.zeros(5, np.uint8), "(rows, columns)")
    fails(np.zeros((5, 7), np.uint8), "hwc", layout="xyz")


def test_ranges():
    for bad in (np.nan, np.inf, -np.inf):
        image = np.zeros((5, 7, 3))
        image[2, 3, 1] = bad
        fails(image, "NaN or infinite")
        fails(torch.from_numpy(image).permute(2, 0, 1), "NaN or infinite")
    fails(np.full((5, 7), 200.0), "divide by 255", "200")
    fails(torch.full((3, 5, 7), -2.1), "normalisation", "-2.1")
    fails(np.zeros((5, 7), np.int64), "int64", "uint8")


def test_missing_file_suggests_a_near_name(tmp_path: Path):
    (tmp_path / "photo.jpg").touch()
    assert "did you mean" in fails(tmp_path / "phota.jpg", "phota.jpg", "does not exist", "photo.jpg")
    assert "did you mean" not in fails(tmp_path / "zzz.png", "does not exist")
    fails(tmp_path / "no" / "a.jpg", "no folder")
    fails("https://example.org/a.jpg", "download")
    fails("bad\0name.jpg", r"bad\x00name.jpg")
    fails("\x1b[31mred.jpg", r"\x1b")


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("at 3\u202fPM.png", "at 3\u202fPM.png"),
        ("\u0645\u06cc\u200c.png", "\u0645\u06cc\u200c.png"),
        ("\udcff.png", "\\xff.png"),
        ("\x1b.png", "\x1b.png"),
    ],
)
def test_names_are_data_and_messages_escape_them(tmp_path: Path, name: str, escaped: str):
    path = tmp_path / ("x" * 200) / ("y" * 200) / name
    path.parent.mkdir(parents=True)
    noise(5, 7).save(path)
    expected = f"{path.parent}/{escaped}"
    assert read_image(path).name == expected
    with path.open("rb") as file:
        assert read_image(file).name == expected
    with Image.open(path) as image:
        assert read_image(image).name == expected
    assert read_image(path.read_bytes(), name=name).name == escaped
    assert read_image(np.zeros((3, 5)), name=name).name == escaped
    path.write_bytes(b"no picture")
    message = fails(path, "\u2026", "is not a picture")
    assert message.isprintable()
    assert fails(np.zeros((3, 5, 2)), "channels", name=name).isprintable()


def test_invalid_sources_are_refused(tmp_path: Path):
    fails(tmp_path, "is a folder")
    fails(io.StringIO("text"), "opened as text")
    fails(7, "int", "a path")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        fails(tmp_path / "pipe", "not a regular file")


def test_reduced_decoding_is_at_least_the_requested_size():
    data = encoded(noise(640, 480), "JPEG")
    small = read_image(data, at_least=(100, 70)).image
    assert small.size == (120, 160)
    assert read_image(data, at_least=(300, 200)).image.size == (480, 640)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_stored_size_from_the_header(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(11, 17), kind, exif=exif)
    (tmp_path / "a").write_bytes(data)
    assert read_size(data, "a") == read_size(tmp_path / "a", "a") == ((11, 17), orientation)
    upright = (17, 11) if orientation < 5 else (11, 17)
    assert read_image(data).image.size == upright


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "is not a picture"), (b"text", "is not a picture"), (encoded(noise(5, 7))[:20], "damaged|not a")],
)
def test_sizes_of_invalid_pictures(tmp_path, data, reason):
    with pytest.raises(DataError, match=f"^a.png .*({reason})"):
        read_size(data, "a.png")
    with pytest.raises(DataError, match="does not exist"):
        read_size(tmp_path / "gone.png", "gone.png")


def _png(size: tuple[int, int], bits: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", *size, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(held)) + kind + held + struct.pack(">I", zlib.crc32(kind + held)) for kind, held in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_sizes_that_a_file_cannot_hold_take_no_memory():
    for data in (_png((9000, 9000), 16, bytes(99)), b"P5 9000 9000 255\n" + bytes(99)):
        with pytest.raises(DataError, match=r"bytes cannot hold its 9000 x 9000 pixels"):
            read_image(data)


def test_the_smallest_file_of_a_large_picture_is_read():
    blank = _png((4096, 2048), 1, b"".join(b"\0" + bytes(512) for _ in range(2048)))
    assert len(blank) < 4096 * 2048 / 4000
    assert read_image(blank).image.size == (4096, 2048)


def test_pixels_of_16_bits_are_converted_in_strips(monkeypatch):
    values = np.random.default_rng(0).integers(0, 65536, (37, 41), dtype=np.uint16)
    whole = uint16_to_uint8(values)
    assert np.array_equal(whole, np.rint(values / 257).astype(np.uint8))
    for strip in (1, 41, 100):
        monkeypatch.setattr("saccade.data.pixels.STRIP", strip)
        assert np.array_equal(uint16_to_uint8(values), whole)
