"""The files of a folder, a tar or a zip, behind one interface. Nothing is unpacked to disk."""

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from saccade.data.archive_names import ArchiveMembers, Kind
from saccade.data.files import WalkReport, escape, is_picture, missing_path_message, natural_key, placeholder_kind, walk
from saccade.data.zip_store import MAX_BOMB_BYTES, MAX_RATIO, ZipStore, is_zip
from saccade.errors import DataError

# magic bytes -> reader of a compressed file, which unlike tarfile's own detects truncation
Reader = type[gzip.GzipFile] | type[bz2.BZ2File] | type[lzma.LZMAFile]
COMPRESSED: dict[bytes, Reader] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
OTHER_ARCHIVES = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x28\xb5\x2f\xfd": "zstd"}
LONG_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
KINDS: dict[bytes, Kind] = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "link"}
KINDS |= dict.fromkeys((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE), "file")
MAX_HEADER_BYTES = 1 << 20  # bytes of a member's long name or pax records
# Raised by tarfile and the readers for damaged or malicious files; chained headers are parsed recursively.
DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError, IndexError, RecursionError)
MAX_COMPRESSED_BYTES = 4 << 30  # bytes of a compressed tar, which allows no random access

MAX_FILE_BYTES = 1 << 31  # bytes of one annotation file


class FileStore(Protocol):
    """Files under one root.

    Attributes:
        title: name in messages.
        files: all regular files, relative to the root, separated by "/".
        folders: all folders likewise, without the root.
        notes: what was left out or lies outside, one sentence each.
    """

    title: str
    files: list[str]
    folders: set[str]
    notes: list[str]

    def read(self, name: str) -> Path | bytes:
        """The path of a file, or its bytes."""

    def full_name(self, name: str) -> str:
        """The file name with that of the root, not escaped."""

    def is_picture(self, name: str) -> bool:
        """Whether a file is what the set is of: a picture, or a film."""


def open_store(source: str | os.PathLike[str] | FileStore) -> FileStore:
    """A folder, `.tar`, `.tar.gz`, `.tar.bz2`, `.tar.xz` or `.zip` as a Store.

    Raises:
        DataError: missing (a similar name is suggested), neither a folder nor an archive, damaged, encrypted, too large
            for a compressed tar, or with a member name that points outside it.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    path = Path(source)
    if path.is_dir():
        return FolderStore(path)
    if not path.is_file():
        problem = (
            f"{escape(path)} is neither a folder nor a regular file" if path.exists() else missing_path_message(path)
        )
        raise DataError(problem)
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise DataError(f"{escape(path)} cannot be opened ({error.strerror})") from error
    if is_zip(start):
        return ZipStore(path)
    reader = next((r for magic, r in COMPRESSED.items() if start.startswith(magic)), None)
    if reader is None and not _is_tar(path):
        if what := placeholder_kind(start):
            raise DataError(f"{escape(path)} {what}")
        packed = next((kind for magic, kind in OTHER_ARCHIVES.items() if start.startswith(magic)), None)
        if packed is not None:
            raise DataError(f"{escape(path)} is a {packed} archive, which is not read; unpack it to a folder")
        raise DataError(f"{escape(path)} is neither a folder nor a tar (.tar, .tar.gz, .tar.bz2, .tar.xz) nor a .zip")
    return TarStore(path, reader)


class TarHeader(tarfile.TarInfo):
    """A tar header with sizes checked before tarfile uses them."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "TarHeader":
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0:
            raise ValueError("a member of negative size")
        if header.type in LONG_HEADERS and header.size > MAX_HEADER_BYTES:  # tarfile reads these at once
            raise ValueError(f"a header of {header.size} bytes, at most {MAX_HEADER_BYTES} are read")
        return header


def _is_tar(path: Path) -> bool:
    try:
        tarfile.open(path, "r:", tarinfo=TarHeader).close()
    except tarfile.TarError:
        return False
    except DAMAGED:  # a tar, TarStore reports what is wrong
        pass
    return True


def _follows(tar: tarfile.TarFile) -> bool:
    """Whether more than the padding follows the end mark of a tar whose members were read."""
    assert tar.fileobj is not None
    return any(tar.fileobj.read(1 << 20))


class FolderStore:
    """A folder on disk."""

    def __init__(self, root: Path):
        self.root = root
        self.title = escape(root)
        self.files: list[str] = []
        self.folders: set[str] = set()
        walked = WalkReport()
        for at, names in walk(root, walked, runs=False):
            if at:
                self.folders.add(at)
            self.files += [f"{at}/{name}" if at else name for name in names]
        self.folders -= walked.around_runs({*self.files, *self.folders})
        self.notes = walked.notes

    def read(self, name: str) -> Path:
        return self.root / name

    def full_name(self, name: str) -> str:
        return str(self.root / name)

    def is_picture(self, name: str) -> bool:
        return is_picture(name)


class TarStore:
    """A tar: uncompressed, read at the offsets of its files; compressed, read once into memory.

    Links, devices and other special members are left out. Member names are never used as paths on disk; of several
    files of one name, the last counts.
    """

    def __init__(self, path: Path, reader: Reader | None):
        self.path = path
        self.title = escape(path)
        self._names = ArchiveMembers(self.title)
        self._places: dict[str, tuple[int, int]] = {}  # name -> offset, size
        self._bytes: dict[str, bytes] = {}
        self._more = False  # whether something follows the end mark
        try:
            if reader is None:
                self._index()
            else:
                self._read_all(reader)
        except DataError:
            raise
        except DAMAGED as error:
            raise DataError(f"{self.title} is damaged or cut short ({escape(error)})") from error
        self.files, self.folders = list(self._names.files), self._names.folders
        self.notes = self._names.notes()
        if self._more:
            self.notes.append(f"{self.title} goes on behind its end mark, as joined tars do; that part is not read")

    def read(self, name: str) -> bytes:
        if name in self._bytes:
            return self._bytes[name]
        offset, size = self._places[name]
        with self.path.open("rb") as file:  # opened for each read: threads and processes share no file position
            file.seek(offset)
            return file.read(size)

    def full_name(self, name: str) -> str:
        return f"{self.path}:{name}"

    def is_picture(self, name: str) -> bool:
        return is_picture(name)

    def _index(self) -> None:
        with tarfile.open(self.path, "r:", tarinfo=TarHeader) as tar:
            for member in tar:
                name = self._accept(member)
                if name:
                    self._places[name] = (member.offset_data, member.size)
                tar.members = []  # type: ignore[attr-defined]  # which tarfile would keep
            self._more = _follows(tar)
        with self.path.open("rb") as file:  # tarfile does not check the empty blocks at the end
            file.seek(-tarfile.BLOCKSIZE, os.SEEK_END)
            if any(file.read()):
                raise tarfile.ReadError("no end mark")

    def _read_all(self, reader: Reader) -> None:
        packed = self.path.stat().st_size
        with reader(self.path) as plain, self._open_plain(plain) as tar:
            for member in tar:
                end = member.offset_data + member.size  # what is left out is decompressed, too
                limit = MAX_COMPRESSED_BYTES if end <= MAX_RATIO * packed else MAX_BOMB_BYTES
                if end > limit:
                    raise DataError(
                        f"{self.title} holds more than {limit / 2**30:g} GiB in {packed} compressed bytes; "
                        "decompress it to a plain .tar, which is read in place, or unpack it to a folder"
                    )
                name = self._accept(member)
                file = tar.extractfile(member) if name else None
                if file is not None:
                    self._bytes[name] = file.read()
                tar.members = []  # type: ignore[attr-defined]
            self._more = _follows(tar)

    def _open_plain(self, plain: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile) -> tarfile.TarFile:
        try:
            return tarfile.open(fileobj=plain, mode="r|", tarinfo=TarHeader)
        except tarfile.ReadError as error:
            raise DataError(f"{self.title} is a compressed file that holds no tar; unpack it") from error

    def _accept(self, member: tarfile.TarInfo) -> str:
        """The normalized name of a regular file, or "" for other members."""
        if member.size < 0:  # possible in pax records; tarfile would seek backwards
            raise ValueError("a member of negative size")
        kind: Kind = "special file" if member.issparse() else KINDS.get(member.type, "special file")
        return self._names.add(member.name, kind)


def read_bytes(store: FileStore, name: str) -> bytes:
    """Contents of a file. Raises DataError if it cannot be opened."""
    source = store.read(name)
    data = source if not isinstance(source, Path) else _read_file(source)
    if what := placeholder_kind(data[:512]):
        raise DataError(f"{escape(store.full_name(name))} {what}")
    return data


def read_bytes_or_empty(store: FileStore, name: str) -> bytes:
    """Contents of a file to tell what it is; nothing for one that cannot be opened, which is reported when it is
    read."""
    try:
        return read_bytes(store, name)
    except DataError:
        return b""


def _read_file(source: Path) -> bytes:
    try:
        if source.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{escape(source)} is larger than {MAX_FILE_BYTES >> 30} GiB; no annotation file is")
        return source.read_bytes()
    except OSError as error:
        raise DataError(f"{escape(source)} cannot be opened ({error.strerror})") from error


def read_text(store: FileStore, name: str) -> str:
    """Contents of a UTF-8 file, without a byte order mark. Raises DataError for other encodings."""
    try:
        return read_bytes(store, name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{escape(store.full_name(name))} is not UTF-8 text (byte {error.start}); convert it"
        ) from error


def join_path(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def without_suffix(store: FileStore, name: str) -> str:
    """A picture's name without its suffix; that of a film that is a folder has none (`clip_0.5s`)."""
    return name if name in store.folders else str(PurePosixPath(name).with_suffix(""))


def relative_to(root: str, name: str) -> str:
    """A file name relative to the folder `root`."""
    return name[len(root) + 1 :] if root and name.startswith(f"{root}/") else name


def parent_folder(name: str) -> str:
    return name.rpartition("/")[0]


def pictures_in(store: FileStore, folder: str) -> list[str]:
    """All pictures in a folder and its subfolders, in natural order."""
    inside = (n for n in store.files if (not folder or n.startswith(f"{folder}/")) and is_picture(n))
    return sorted(inside, key=natural_key)
