"""Pictures of more than 8 bits, scaled by the bits that they use."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data import ImageFolder
from saccade.data.images import read_image

DEPTHS = {200: 8, 1000: 10, 4000: 12, 16000: 14, 65000: 16}


def values(top: int, channels: int) -> np.ndarray:
    found = np.random.default_rng(top).integers(0, top, (7, 11, channels)).astype(np.uint16)
    found[3, 5] = top
    return found


def png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits, which Pillow does not write in colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns, channels = pixels.shape
    head = struct.pack(">IIBBBBB", columns, rows, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("top", "bits"), DEPTHS.items())
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_is_scaled_from_the_bits_that_it_uses(top: int, bits: int, channels: int):
    pixels = values(top, channels)
    if channels == 4:
        pixels[..., 3] = 65535
    picture = read_image(png(pixels))
    expected = np.broadcast_to(np.rint(pixels[..., :3] * (255 / (2**bits - 1))), (7, 11, 3))
    # colours that use all bits are Pillow's, which keeps the first byte and does not round
    tolerance = 1 if bits == 16 and channels > 1 else 0
    np.testing.assert_allclose(np.asarray(picture.image), expected, atol=tolerance)
    assert (f"of which {bits} bits are used" in " ".join(picture.notes)) == (bits < 16)


def test_a_tiff_states_its_depth():
    file = io.BytesIO()
    Image.fromarray(values(200, 1)[..., 0]).save(file, "TIFF", tiffinfo={281: 4095})
    picture = read_image(file.getvalue())
    assert picture.notes == ("16-bit pixels of which 12 bits are used: scaled from 0..4095",)
    assert np.asarray(picture.image).max() == round(200 * 255 / 4095)


def test_a_set_notes_the_depths_of_its_pictures(tmp_path: Path):
    for name, top in (("cat/a", 4000), ("cat/b", 65000), ("dog/a", 4001), ("dog/b", 1000)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.png").write_bytes(png(values(top, 1)))
    data = ImageFolder(tmp_path)
    for i in range(4):
        data.picture(i)
    assert data.notes == [
        "16-bit pixels of which 12 bits are used: scaled from 0..4095, in some pictures",
        "16-bit pixels of which 10 bits are used: scaled from 0..1023, in some pictures",
    ]
