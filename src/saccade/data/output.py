"""Files that commands write: never over what they read, and whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from saccade.data.files import shown
from saccade.errors import DataError

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # full-width ones too


def check(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Find out before any work whether `out` can be written. Raises DataError if it is a folder, lies in no folder,
    or is one of the inputs."""
    if out.is_dir():
        raise DataError(f"{shown(out)} is a folder; give a file to write to")
    if not out.parent.is_dir():
        raise DataError(
            f"{shown(out.parent)} is no folder, so {shown(out.name)} cannot be written there; make it first"
        )
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise DataError(f"{shown(out)} is a picture to read; writing there would destroy it: choose another file")


def write(out: Path, content: bytes) -> None:
    """Write `content` to `out`. What was there stays until all of it is written."""
    if out.exists() and not out.is_file():  # a pipe, a terminal, /dev/null
        out.write_bytes(content)
        return
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name[:40]}-", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.chmod(file.name, out.stat().st_mode if out.exists() else 0o666 & ~_umask())
                os.replace(file.name, out)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise DataError(f"{shown(out)} cannot be written there ({error.strerror}); choose another path") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def csv_cell(text: str) -> str:
    """A name or a label as a cell of a CSV table that nothing executes.

    Spreadsheets take cells that begin with = + - @, a tab or a line break for formulas, which a hostile file name can
    be. Such cells get an apostrophe in front, which spreadsheets hide; other programs must take it off themselves.
    """
    return f"'{text}" if text.startswith(_FORMULAS) else text
