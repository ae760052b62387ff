"""Films of a few small frames that differ in colour, whole and broken in every way."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# Of the bytes "tkhd" to the matrix of a track, in version 0 of the box (ISO 14496-12, 8.3.2).
_TO_MATRIX = 4 + 4 + 20 + 16
MS = Fraction(1, 1000)
# Where the x axis and the y axis lead -> how the picture below looks upright.
MATRICES = {
    "cw": ((0, 1), (-1, 0)), "ccw": ((0, -1), (1, 0)), "half": ((-1, 0), (0, -1)), "mirror": ((-1, 0), (0, 1)),
}  # fmt: skip


def colour(i: int) -> tuple[int, int, int]:
    """Of frame i."""
    return (40 + 37 * i % 180, 200 - 23 * i % 160, 90 + 11 * i % 100)


def picture(i: int, size: tuple[int, int] = (48, 32)) -> np.ndarray:
    """uint8 (y x 3) of frame i: its colour, with the quarter at the top left white. size: (width, height)."""
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    pixels[:] = colour(i)
    pixels[: size[1] // 2, : size[0] // 2] = 255
    return pixels


def film(
    out: Path,
    frames: int = 7,
    size: tuple[int, int] = (48, 32),
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    turned: str = "",
    pixel: str = "yuv420p",
    **options: str,
) -> Path:
    """A film in the format of the suffix. times: of its frames, in units of time_base. turned: a key of MATRICES."""
    with av.open(str(out), "w", options=options) as file:
        stream = file.add_stream(codec, rate=25, options={"crf": "12", "g": "5"} if codec == "libx264" else {})
        stream.width, stream.height = size
        stream.pix_fmt = pixel
        stream.codec_context.time_base = time_base
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(i, size), format="rgb24")
            frame.pts, frame.time_base = times[i] if times else i, time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    if turned:
        data = bytearray(out.read_bytes())
        at = data.index(b"tkhd") + _TO_MATRIX
        (a, b), (c, d) = MATRICES[turned]
        data[at : at + 36] = (np.array([a, b, 0, c, d, 0, 0, 0, 1 << 14]) << 16).astype(">i4").tobytes()
        out.write_bytes(data)
    return out


def sound(out: Path) -> Path:
    """A file with sound only."""
    with av.open(str(out), "w") as file:
        stream = file.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out


def cut(whole: Path, out: Path, share: float) -> Path:
    """The first part of its bytes."""
    data = whole.read_bytes()
    out.write_bytes(data[: round(len(data) * share)])
    return out
