"""Animated GIF, WebP, PNG and AVIF, and folders of frames, read as videos are."""

import os
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate, count
from pathlib import Path
from typing import Literal

from PIL import Image

from saccade.data.decoders import FORMATS, check_size, decode_error
from saccade.data.files import check_file, escape
from saccade.data.film_files import FRAME_RATE, frame_files, png_text
from saccade.data.images import Picture, pillow_warnings, read_image
from saccade.data.video import LONGEST, FilmReader, Frame
from saccade.errors import DataError

DEFAULT_DURATION = Fraction(1, 10)  # seconds of a frame without a duration, as browsers show it
TOO_SHORT = Fraction(1, 100)  # seconds; browsers show frames of a GIF that are this short for `DEFAULT_DURATION`
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # Pillow's names of the formats
_FINEST = 1_000_000  # denominator of milliseconds


class AnimationReader(FilmReader):
    """An animated picture, or a still one as a film of one frame.

    Frames without a duration, and those of a GIF of at most 10 ms, last 100 ms, as in browsers.

    Raises DataError if the file is not a picture that can be read."""

    def __init__(self, path: Path, on_error: Literal["skip", "fail"] = "skip") -> None:
        super().__init__(path, on_error)
        if not check_file(path).stat().st_size:
            raise DataError(f"{self.display} is empty (0 bytes); a film was expected")
        self._image = self._open()
        self._damage: Exception | None = None
        try:
            check_size(self._image.size, self.display)
            # the picture that programs without animation show, which is not a frame
            self._first = int(getattr(self._image, "default_image", False))
            durations = self._durations()
        except BaseException:
            self.close()
            raise
        self._times = [Fraction(0), *accumulate(durations)]
        self.end, self.count = self._times.pop(), len(durations)
        self.rate = self.count / self.end

    def close(self) -> None:
        self._image.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames. Raises DataError if the first cannot be decoded, and with on_error="fail" if any cannot."""
        for i, time in enumerate(self._times):
            try:
                with pillow_warnings([]):
                    self._image.seek(self._first + i)
                    still = self._image.copy()  # is not animated, so that no note says which frame was taken
            except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged bytes
                self._damage, self.end = error, time
                break
            picture = read_image(still, name=f"{self.name} frame {i}")
            self.read += 1
            yield Frame(time, picture)
        if self._damage is not None:
            self._problem(self._damage)

    def _open(self) -> Image.Image:
        try:
            with pillow_warnings(self.notes):
                return Image.open(self.path, formats=FORMATS)
        except Exception as error:
            raise decode_error(error, self.display) from error

    def _durations(self) -> list[Fraction]:
        """Seconds of each frame. A file that is damaged further on has those up to there."""
        if self._image.format not in ANIMATED:  # the frames of other formats are pages and views
            return [DEFAULT_DURATION]
        shortest = TOO_SHORT if self._image.format == "GIF" else 0
        given: list[Fraction] = []
        size = self._image.size
        try:
            for i in count(self._first):
                with pillow_warnings([]):  # a frame can make the picture too large
                    self._image.seek(i)
                if self._image.size != size:  # Pillow enlarges the picture to hold it
                    raise OSError(f"frame {i} reaches beyond the {size[0]} x {size[1]} pixels of the picture")
                if self._image.format in ("WEBP", "AVIF"):
                    self._image.load()  # which sets the duration
                seconds = Fraction(self._image.info.get("duration") or 0).limit_denominator(_FINEST) / 1000
                if seconds > LONGEST:
                    raise DataError(f"{self.display} is damaged: a frame lasts {float(seconds):.0f} s")
                given.append(seconds)
        except EOFError:  # there are no more
            if self._image.format == "GIF" and not _ends(self.path):
                self._damage = OSError("no end mark")
        except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged bytes
            if not given:
                raise decode_error(error, self.display) from error
            self._damage = error
            self._image.close()  # Pillow's picture stays as large as it became
            self._image = self._open()
        missing = sum(each <= shortest for each in given)
        if missing and len(given) > 1:
            self.notes.append(f"{self.display}: {missing} frames have no duration and were taken to last 0.1 s")
        return [DEFAULT_DURATION if each <= shortest else each for each in given]

    def _problem(self, error: Exception) -> None:
        damage = decode_error(error, self.display)
        if self.on_error == "fail" or not self.read:
            raise damage from error
        self.notes.append(f"{damage}; its first {self.read} frames are used")


def _ends(gif: Path) -> bool:
    """Whether a GIF has its last byte. Pillow takes one that is cut between two frames for whole."""
    with gif.open("rb") as file:
        file.seek(-min(gif.stat().st_size, 256), os.SEEK_END)
        return file.read().rstrip(b"\0").endswith(b";")


class FrameFolderReader(FilmReader):
    """The pictures in a folder, in natural order, as a film.

    rate: frames per second where the pictures do not state it, as those of `write_film` do.

    Raises DataError for a folder without pictures."""

    def __init__(
        self, path: Path, on_error: Literal["skip", "fail"] = "skip", rate: Fraction = 1 / DEFAULT_DURATION
    ) -> None:
        super().__init__(path, on_error)
        self.files = frame_files(path)
        self.count = len(self.files)
        self._size: tuple[int, int] | None = None
        stated = self._stated_rate()
        self.rate = stated or rate
        if stated is None and self.count > 1:
            self.notes.append(f"{self.display} does not state a frame rate; {float(rate):g} per second was taken")

    def __iter__(self) -> Iterator[Frame]:
        """The frames. Raises DataError for a picture that cannot be read or has another size than those before:
        without it, the others would follow each other too fast."""
        for i in range(len(self.files)):
            picture = self._picture(i)
            self.read, self.end = i + 1, (i + 1) / self.rate
            yield Frame(i / self.rate, picture)

    def _picture(self, index: int) -> Picture:
        picture = read_image(self.files[index])
        self._size = self._size or picture.image.size
        if picture.image.size != self._size:
            found, expected = ("x".join(map(str, each)) for each in (picture.image.size, self._size))
            raise DataError(
                f"{escape(self.files[index])} is {found} and others are {expected}; frames of one size expected"
            )
        return picture

    def _stated_rate(self) -> Fraction | None:
        try:
            with pillow_warnings([]), Image.open(self.files[0], formats=FORMATS) as image:
                text = png_text(image, FRAME_RATE) or ""
            rate = Fraction(text) if re.fullmatch(r"\d{1,9}(/\d{1,9})?", text) else Fraction(0)
        except Exception:  # the picture is reported when it is decoded
            return None
        return rate if rate * LONGEST >= 1 else None
