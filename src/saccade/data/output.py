"""Output files: never over an input, and written completely or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from saccade.data.files import escape
from saccade.errors import DataError

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # full-width ones too


def check_writable(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Check before the work starts that `out` can be written. Raises DataError if it is a folder, its folder does not
    exist, or it is one of the inputs."""
    if out.is_dir():
        raise DataError(f"{escape(out)} is a folder; give a file to write to")
    if not out.parent.is_dir():
        raise DataError(
            f"{escape(out.parent)} is not a folder, so {escape(out.name)} cannot be written there; make it first"
        )
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise DataError(f"{escape(out)} is a picture to read; writing there would destroy it: choose another file")


def write_file(out: Path, content: bytes) -> None:
    """Write `content` to `out`, replacing it only once everything is written."""
    try:
        with atomic_write(out) as file:
            file.write(content)
    except OSError as error:
        raise write_error(out, error) from error


@contextmanager
def atomic_write(out: Path) -> Iterator[IO[bytes]]:
    """A temporary file that replaces `out` when the context ends without an error.

    Raises DataError if it cannot be created or moved. Convert errors of writes with `write_error`."""
    if out.exists() and not out.is_file():  # a pipe, a terminal, /dev/null
        with out.open("wb") as stream:
            yield stream
        return
    with temporary_file(out) as file:
        try:
            yield file
            file.flush()
            publish(file.name, out)
        except BaseException:
            os.unlink(file.name)
            raise


def temporary_file(out: Path) -> IO[bytes]:
    """A new file in the folder of `out`, with a name of its own. Raises DataError where it cannot be created."""
    try:
        return tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name[:40]}-", delete=False)
    except OSError as error:
        raise write_error(out, error) from error


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that becomes `out`, which does not exist or is empty, when the context ends without an error.

    Raises DataError if it cannot be created, filled or moved."""
    place = ""
    try:
        place = tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name[:40]}-")
        yield Path(place)
        os.chmod(place, 0o777 & ~umask())
        os.replace(place, out)
    except OSError as error:
        raise write_error(out, error) from error
    finally:
        if place:
            shutil.rmtree(place, ignore_errors=True)


def publish(file: str, out: Path) -> None:
    """Move a finished temporary file to `out`, with the permissions of a new file or of the one it replaces."""
    try:
        os.chmod(file, out.stat().st_mode if out.exists() else 0o666 & ~umask())
        os.replace(file, out)
    except OSError as error:
        raise write_error(out, error) from error


def write_error(out: Path, error: OSError) -> DataError:
    """The error for a file that cannot be written."""
    return DataError(f"{escape(out)} cannot be written there ({error.strerror}); choose another path")


def umask() -> int:
    """Permissions that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def csv_cell(text: str) -> str:
    """A text as a cell of a CSV table that spreadsheets do not execute.

    Spreadsheets interpret cells that start with = + - @, a tab or a line break as formulas, which a malicious file name
    can be. Such cells get a leading apostrophe, which spreadsheets hide; other programs must remove it.
    """
    return f"'{text}" if text.startswith(_FORMULAS) else text
