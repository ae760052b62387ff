"""Files that `predict` writes beside its results: drawn pictures and videos, masks, annotations."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image

from saccade.data.files import is_video
from saccade.data.film_writers import VideoWriter
from saccade.data.images import Picture
from saccade.data.output import convert_os_errors, write_png
from saccade.data.video import VideoReader
from saccade.errors import DataError


@dataclass(frozen=True)
class Frame:
    """A picture on its way through the model: a picture file, or a frame of a video.

    Attributes:
        file: where it comes from.
        picture: None where nothing is drawn on it later.
        video, index, time: of a frame, its video, its place and its time in seconds.
    """

    file: Path
    picture: Picture | None
    video: VideoReader | None = None
    index: int = 0
    time: Fraction = Fraction(0)


class ArtifactWriter:
    """A context manager that is given every frame with its result.

    Attributes:
        draws: whether `add` needs `Frame.picture`.
        message: printed when all is written, "" for nothing.
    """

    draws = False
    message = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def add(self, frame: Frame, result: Any) -> None:
        """Write what belongs to one frame."""
        raise NotImplementedError


class DrawingWriter(ArtifactWriter):
    """Draws results on their pictures, into a folder: a PNG for each picture, an MP4 for each video.

    A video is complete when the writer is left, or does not exist.

    Args:
        folder: where to write.
        files: all picture and video files.
        painter: whether it is for a video -> what draws a result on a picture.
    """

    draws = True

    def __init__(
        self,
        folder: Path,
        files: Sequence[Path],
        painter: Callable[[bool], Callable[[Image.Image, Any], Image.Image]],
    ):
        self.paths = output_paths(folder, files, "draw", video_suffix=".mp4")
        self.message = f"The pictures with their results are in {folder}"
        self._painter = painter
        self._file: Path | None = None
        self._video: VideoWriter | None = None
        self._open = ExitStack()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def add(self, frame: Frame, result: Any) -> None:
        assert frame.picture is not None
        if frame.file != self._file:
            self._begin(frame)
        drawn = self._paint(frame.picture.image, result)
        if self._video is not None:
            self._video.add(drawn, frame.time)
        else:
            write_png(self.paths[frame.file], drawn)

    def _begin(self, frame: Frame) -> None:
        """Finish the video before, open the next one."""
        self._open.close()
        self._file, self._video = frame.file, None
        self._paint = self._painter(frame.video is not None)
        path = self.paths[frame.file]
        with convert_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        if frame.video is not None:
            self._video = self._open.enter_context(VideoWriter(path, frame.video.rate, frame.video.time_base))


def output_paths(folder: Path, files: Iterable[Path], option: str, video_suffix: str = "") -> dict[Path, Path]:
    """File -> its PNG in `folder`, or of a video the path with `video_suffix`; names that clash are numbered.

    Raises DataError where one of them exists.
    """
    paths: dict[Path, Path] = {}
    taken: set[Path] = set()
    for file in files:
        stems = (file.stem if i == 1 else f"{file.stem}-{i}" for i in count(1))
        suffix = video_suffix if is_video(file) else ".png"
        paths[file] = next(path for stem in stems if (path := folder / f"{stem}{suffix}") not in taken)
        taken.add(paths[file])
    existing = next((path for path in paths.values() if os.path.lexists(path)), None)  # dangling links too
    if existing is not None:
        raise DataError(f"{existing} already exists: give another folder to --{option}")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give a folder to --{option}")
    return paths
