"""Decoded frames of many films in a row, in memory or in a temporary file that is mapped into it. Processes that
they are sent to share them."""

import os
import tempfile
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.errors import SaccadeError


class Frames:
    """Attributes:
    pixels: uint8 (n c y x).
    file: that they are mapped from, removed with this object in the process that made it; None for memory.
    """

    def __init__(self, pixels: UInt8[Tensor, "n c y x"], file: Path | None = None):
        self.pixels, self.file = pixels, file
        if file is not None:
            weakref.finalize(self, _remove, file, os.getpid())

    def __getstate__(self) -> dict[str, Any]:
        if self.file is None:  # PyTorch moves it into memory that processes share
            return {"pixels": self.pixels, "file": None}
        return {"file": self.file, "shape": self.pixels.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.file = state["file"]
        self.pixels = state["pixels"] if self.file is None else _mapped(self.file, state["shape"])


class FrameStack:
    """Collects frames of films from several threads: in memory up to `budget` bytes, and beyond it all of them in a
    file in the folder for temporary files. `with` removes it after an error."""

    def __init__(self, budget: int) -> None:
        self.budget, self.count, self.bytes = budget, 0, 0
        self._held: list[np.ndarray] = []
        self._shape: tuple[int, ...] = (0, 0, 0)
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "FrameStack":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            if error is not None:
                _remove(Path(self._file.name), os.getpid())

    def put(self, frames: UInt8[np.ndarray, "_ c y x"]) -> int:
        """Add the frames of a film; the place of the first. Raises SaccadeError if the disk is full."""
        with self._lock:
            first, self.count = self.count, self.count + len(frames)
            self.bytes, self._shape = self.bytes + frames.nbytes, frames.shape[1:]
            self._held.append(frames)
            if self.bytes > self.budget:
                self._write()
            return first

    def finish(self) -> Frames:
        """All frames, of which there is at least one."""
        shape = torch.Size((self.count, *self._shape))
        if self._file is not None:
            return Frames(_mapped(Path(self._file.name), shape), Path(self._file.name))
        pixels, place = np.empty(shape, np.uint8), 0
        while self._held:  # freed one by one, so that memory does not hold all of them twice
            frames = self._held.pop(0)
            pixels[place : place + len(frames)] = frames
            place += len(frames)
        return Frames(torch.from_numpy(pixels))

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.NamedTemporaryFile(prefix="saccade-films-", delete=False)  # noqa: SIM115
            while self._held:
                self._file.write(np.ascontiguousarray(self._held.pop(0)).data)
            self._file.flush()
        except OSError as error:  # not a DataError: it is no fault of the film
            raise SaccadeError(
                f"{tempfile.gettempdir()} has no place for decoded films ({error.strerror}); set TMPDIR to another "
                "folder, or take fewer or smaller frames"
            ) from error


def _mapped(file: Path, shape: torch.Size) -> UInt8[Tensor, "n c y x"]:
    # private: a write would change the copy in memory, and never the file
    return torch.from_file(str(file), shared=False, size=shape.numel(), dtype=torch.uint8).reshape(shape)


def _remove(file: Path, process: int) -> None:
    """In the process that made it, and not in those that were forked from it."""
    if os.getpid() == process:
        file.unlink(missing_ok=True)
