"""Animated GIF and WebP in which every frame stays a frame.

Pillow's and libwebp's own encoders join a frame with an equal one before it, and a still film to a single picture
without a duration. Here each frame is encoded by itself, as the rectangle in which it differs from the previous one.
"""

import io
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from PIL import GifImagePlugin, Image, ImageChops

USER_COMMENT, EXIF_IFD = 0x9286, 0x8769  # tags of EXIF 2.32; other tools keep settings in this one
UNICODE = b"UNICODE\0"  # character code of a user comment
_EXIF, _ANIMATED = 0x08, 0x02  # flags of VP8X
_NO_BLENDING = b"\x02"  # of ANMF
_WHITE_ENDLESS = b"\xff\xff\xff\xff\0\0"  # of ANIM: background, number of loops


def spread_durations(rate: Fraction, count: int, unit: Fraction) -> list[int]:
    """Durations of the frames in whole units of `unit` seconds, of which every sum from the first frame on is exact to
    half a unit."""
    ends = [round(i / rate / unit) for i in range(count + 1)]
    return [end - start for start, end in pairwise(ends)]


def gif_bytes(frames: Sequence[Image.Image], rate: Fraction, comment: str = "") -> bytes:
    """RGB frames of one size as a GIF that repeats endlessly. Each has a palette of its own, of 256 colours. comment:
    in the file's comment extension, in UTF-8. Durations are whole hundredths of a second."""
    durations = spread_durations(rate, len(frames), Fraction(1, 100))
    info = {"loop": 0, "duration": 10 * durations[0], **({"comment": comment.encode()} if comment else {})}
    blocks = list(GifImagePlugin.getheader(frames[0].quantize(256), info=info)[0])
    for duration, (part, corner) in zip(durations, _changes(frames, 1), strict=True):
        blocks += GifImagePlugin.getdata(part.quantize(256), corner, duration=10 * duration, include_color_table=True)
    return b"".join((*blocks, b";"))


def webp_bytes(frames: Sequence[Image.Image], rate: Fraction, comment: str = "") -> bytes:
    """RGB frames of one size as a lossless WebP that repeats endlessly (WebP Container Specification, RFC 9649).
    comment: in the user comment of its EXIF. Durations are whole milliseconds."""
    durations = spread_durations(rate, len(frames), Fraction(1, 1000))
    size = b"".join(_uint24(side - 1) for side in frames[0].size)
    flags = _ANIMATED | (_EXIF if comment else 0)
    chunks = [_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size), _chunk(b"ANIM", _WHITE_ENDLESS)]
    for duration, (part, (left, top)) in zip(durations, _changes(frames, 2), strict=True):
        place = (left // 2, top // 2, part.width - 1, part.height - 1, duration)
        head = b"".join(map(_uint24, place)) + _NO_BLENDING
        chunks.append(_chunk(b"ANMF", head + _pixel_chunk(part)))
    if comment:
        exif = Image.Exif()
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + comment.encode("utf-16-be")
        chunks.append(_chunk(b"EXIF", exif.tobytes()))
    return _chunk(b"RIFF", b"WEBP" + b"".join(chunks))


def _changes(frames: Sequence[Image.Image], step: int) -> list[tuple[Image.Image, tuple[int, int]]]:
    """The rectangle of each frame that differs from the previous one, a single pixel where nothing does, and its left
    and top edge, multiples of `step`."""
    parts = [(frames[0], (0, 0))]
    for before, frame in pairwise(frames):
        left, top, right, bottom = ImageChops.difference(before, frame).getbbox() or (0, 0, 1, 1)
        left, top = left - left % step, top - top % step
        parts.append((frame.crop((left, top, right, bottom)), (left, top)))
    return parts


def _pixel_chunk(image: Image.Image) -> bytes:
    """The chunk with the pixels, of a lossless WebP that holds nothing else."""
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True)
    return file.getvalue()[len(b"RIFF") + 4 + len(b"WEBP") :]


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _uint24(value: int) -> bytes:
    return value.to_bytes(3, "little")
