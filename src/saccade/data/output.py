"""Output files: never over an input, and written completely or not at all."""

import ctypes
import errno
import glob
import io
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from saccade.data.files import escape
from saccade.errors import DataError, in_one_line

if TYPE_CHECKING:
    from PIL import Image

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # full-width ones too
_SEPARATORS = (",", ";", "|", "\t", '"', "\r", "\n")
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS
_HERE = -100  # AT_FDCWD: paths are relative to the current folder


def check_writable(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Check before the work starts that `out` can be written. Raises DataError if it is a folder, its folder does not
    exist, or it is one of the inputs or a file in a folder of them."""
    if out.is_dir():
        raise DataError(f"{escape(out)} is a folder; give a file to write to")
    if not out.parent.is_dir():
        raise DataError(
            f"{escape(out.parent)} is not a folder, so {escape(out.name)} cannot be written there; make it first"
        )
    for path in inputs if out.exists() else ():
        if path.exists() and out.samefile(path):
            raise DataError(f"{escape(out)} is a picture to read; writing there would destroy it: choose another file")
        if path.is_dir() and path.resolve() in out.resolve().parents:
            raise DataError(f"{escape(out)} is a file of {escape(path)}; writing there destroys it: choose another")


def check_outside_data(out: Path, source: Path) -> None:
    """Raises DataError for a folder of results in the folder of the data, which they would become a part of."""
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{escape(out)} lies inside {escape(source)}, which is never written to; choose another folder")


def write_file(out: Path, content: bytes, durable: bool = True) -> None:
    """Write `content` to `out`, replacing it only once everything is written: on disk, unless not `durable`."""
    with atomic_write(out, durable) as file:
        file.write(content)


def write_png(out: Path, picture: "Image.Image") -> None:
    """Write one of many pictures, which can be made again after a power cut, in a folder that is made if need be."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    with convert_os_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, content.getvalue(), durable=False)


@contextmanager
def atomic_write(out: Path, durable: bool = True) -> Iterator[IO[bytes]]:
    """A temporary file that replaces `out` when the context ends without an error: once it is on disk, if `durable`.

    Raises DataError if it cannot be created, written or moved; `out` is then as it was before."""
    with convert_os_errors(out):
        if out.exists() and not out.is_file():  # a pipe, a terminal, /dev/null
            with out.open("wb") as stream:
                yield stream
            return
        with temporary_file(out) as file:
            try:
                yield file
                file.flush()
                move_into_place(file.name, out, durable)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def temporary_file(out: Path) -> IO[bytes]:
    """A new file in the folder of `out`, with a name of its own. Raises DataError where it cannot be created."""
    with convert_os_errors(out):
        return open(_temporary_name(out), "x+b")


def move_into_place(file: str, out: Path, durable: bool = True) -> None:
    """Move a finished temporary file to `out`, with the permissions of the file it replaces; if `durable`, it is on
    disk when this returns. Raises DataError where that fails."""
    with convert_os_errors(out):
        if durable:
            fsync_path(Path(file))
        if out.exists():
            os.chmod(file, out.stat().st_mode)
        os.replace(file, out)
        if durable:
            fsync_path(out.parent)


@contextmanager
def atomic_folder(out: Path, replace: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `out`, which does not exist or is empty, when the context ends without an error.

    replace: `out` may exist; its files are replaced by those written, all in one step unless it holds others too.
    Everything is on disk before, so that either the old files or the new ones survive a power cut.
    Raises DataError if it cannot be created, filled or moved; `out` is then as it was before."""
    place = Path(_temporary_name(out))
    try:
        with convert_os_errors(out):
            place.mkdir()
            yield place
            for each in [*place.rglob("*"), place] if replace else []:
                fsync_path(each)
            if replace and out.exists():
                _replace(place, out)
            else:
                os.replace(place, out)
            fsync_path(out.parent)
    finally:
        shutil.rmtree(place, ignore_errors=True)  # what was written, after an error; else what it replaced


def make_folder(out: Path) -> None:
    """Make a folder, if need be with those above it; they are on disk when this returns. Raises DataError if it cannot
    be made."""
    with convert_os_errors(out):
        missing = [place for place in (out, *out.parents) if not place.exists()]
        out.mkdir(parents=True, exist_ok=True)
        for place in missing:
            fsync_path(place.parent)


@contextmanager
def new_folder(out: Path) -> Iterator[None]:
    """Inside, files are written to `out`, which does not exist or is empty. After an error it is so again.

    Raises DataError if it cannot be made or written to."""
    made = not out.exists()
    with convert_os_errors(out):
        try:
            out.mkdir(parents=True, exist_ok=True)
            yield
        except BaseException:
            for each in [out] if made else list(out.iterdir()) if out.is_dir() else []:
                shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
            raise


def remove_leftovers(out: Path) -> None:
    """Remove what killed processes left of writes to `out`. No other process may be writing it now."""
    for place in out.parent.glob(f"{glob.escape(_prefix(out))}{'[0-9a-f]' * 16}"):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def fsync_path(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on disk, so that it survives a power cut."""
    if os.name == "nt" and path.is_dir():  # folders cannot be opened there
        return
    opened = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync folders
            raise
    finally:
        os.close(opened)


@contextmanager
def convert_os_errors(out: Path) -> Iterator[None]:
    """Turns errors of the operating system while `out` is written into WriteError; those of other files pass."""
    try:
        yield
    except OSError as error:
        if not _is_part(error.filename, out):
            raise
        raise make_write_error(out, error) from error


class WriteError(DataError):
    """A file or folder that cannot be written; what was there before is kept."""


def make_write_error(out: Path, error: OSError) -> WriteError:
    """The error for a file or folder that cannot be written."""
    why = error.strerror or in_one_line(error)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return WriteError(f"{escape(out)} cannot be written there ({why}); choose another path")
    kept = "what was there before is kept" if os.path.lexists(out) else "nothing of it is left"
    return WriteError(f"{escape(out)} cannot be written there ({why}), {kept}; free some space or choose another path")


def _is_part(file: object, out: Path) -> bool:
    """Whether a file of an error is `out`, its folder, or a temporary file for it. Errors of writes name no file."""
    if not isinstance(file, (str, bytes)):
        return True
    path = Path(os.fsdecode(file))
    return path == out.parent or path.is_relative_to(out) or any(part.startswith(_prefix(out)) for part in path.parts)


def _replace(new: Path, out: Path) -> None:
    names = set(os.listdir(new))
    if not names >= set(os.listdir(out)):  # whatever else it holds stays
        for name in sorted(names):
            os.replace(new / name, out / name)
        fsync_path(out)
    elif not _exchange(new, out):  # for a moment there is none
        aside = _temporary_name(out)
        os.replace(out, aside)
        os.replace(new, out)
        os.replace(aside, new)


def _exchange(a: Path, b: Path) -> bool:
    """Exchange the names of two folders atomically. False where the system or the file system cannot do that."""
    names = os.fsencode(a), os.fsencode(b)
    if sys.platform == "darwin":
        return ctypes.CDLL(None).renamex_np(*names, _EXCHANGE) == 0
    if sys.platform != "linux" or (rename := getattr(ctypes.CDLL(None), "renameat2", None)) is None:
        return False
    return rename(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0


def _prefix(out: Path) -> str:
    return f".{out.name[:40]}-"


def _temporary_name(out: Path) -> str:
    return str(out.with_name(f"{_prefix(out)}{secrets.token_hex(8)}"))


def csv_cell(text: str) -> str:
    """A text as a cell of a CSV table that spreadsheets do not execute.

    Spreadsheets interpret cells that start with = + - @, a tab or a line break as formulas, which a malicious file name
    can be. Such cells get a leading apostrophe, which spreadsheets hide; other programs must remove it.
    """
    return f"'{text}" if text.startswith(_FORMULAS) else text


def csv_table(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV (RFC 4180). A cell with any character that some spreadsheet separates cells by is quoted: opened with
    another separator, the rest of a name would be a cell, and a formula."""
    return "".join(",".join(_quoted(str(cell)) for cell in row) + "\n" for row in rows)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in _SEPARATORS) else cell
