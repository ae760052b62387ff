"""The files of a zip, read in place."""

import lzma
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from saccade.data.archive_names import ArchiveMembers, Kind
from saccade.data.files import escape, is_picture
from saccade.errors import DataError

MAX_RATIO = 200  # of sizes, above which a large file counts as a bomb: blank pictures reach a thousand
MAX_BOMB_BYTES = 256 << 20
MAX_FILE_BYTES = 1 << 31
LOCAL_HEADER = struct.Struct("<4s22xHH")  # mark, lengths of the name and the extra field (APPNOTE 4.3.7)
ENCRYPTED, UTF8 = 0x1, 0x800
# What zipfile and the decompressors raise for damaged files and methods that are unknown.
DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OSError, ValueError, IndexError,
    struct.error, zlib.error, lzma.LZMAError, RuntimeError, MemoryError, OverflowError,
)  # fmt: skip


class ZipStore:
    """A zip: its directory is read once, its files when they are asked for. Zip64 is read.

    Links and other special members are left out. Member names are never used as paths on disk; of several files of
    one name, the last counts.

    Raises DataError for a damaged or encrypted zip, for a member name that points outside it, and, when it is read, for
    a member that is damaged or much larger than its compressed bytes.
    """

    def __init__(self, path: Path):
        self.path = path
        self.title = escape(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        try:
            self._size = path.stat().st_size
            with zipfile.ZipFile(path) as file:
                members = file.infolist()
        except DAMAGED as error:
            raise DataError(f"{self.title} is damaged or cut short ({escape(error)})") from error
        if sum(member.compress_size for member in members) > self._size:
            raise DataError(f"{self.title} holds files that overlap, or end behind its own end; pack it anew")
        names = ArchiveMembers(self.title)
        for member in members:
            name = names.add(_true_name(member), _kind(member))
            if name and member.flag_bits & ENCRYPTED:
                raise DataError(f"{self.title} is encrypted; unpack it with its password, or write it without one")
            if name:
                self._members[name] = member
        self.files, self.folders, self.notes = list(names.files), names.folders, names.notes()

    def read(self, name: str) -> bytes:
        member, display = self._members[name], escape(self.full_name(name))
        packed = min(member.compress_size, self._size)
        limit = MAX_FILE_BYTES if member.file_size <= MAX_RATIO * packed else MAX_BOMB_BYTES
        if member.file_size > limit:
            raise DataError(
                f"{display} claims {member.file_size >> 20} MiB in {packed} compressed bytes; "
                f"at most {limit >> 20} MiB are read: unpack the zip to a folder"
            )
        try:
            # opened for each read: threads and processes share no file position
            with self.path.open("rb") as file:
                file.seek(member.header_offset)
                mark, name_length, extra_length = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
                if mark != b"PK\x03\x04":
                    raise zipfile.BadZipFile("no file where the directory says")
                file.seek(name_length + extra_length, 1)
                with zipfile.ZipExtFile(file, "r", member) as content:
                    data = content.read()
        except NotImplementedError as error:
            raise DataError(f"{display} cannot be read ({escape(error)}); unpack the zip to a folder") from error
        except DAMAGED as error:
            raise DataError(f"{display} is damaged or cut short ({escape(error) or type(error).__name__})") from error
        if len(data) != member.file_size:
            raise DataError(f"{display} is damaged or cut short ({len(data)} of {member.file_size} bytes)")
        return data

    def full_name(self, name: str) -> str:
        return f"{self.path}:{name}"

    def is_picture(self, name: str) -> bool:
        return is_picture(name)


def is_zip(start: bytes) -> bool:
    """Whether a file that begins with these bytes is a zip, or an empty one."""
    return start[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def _kind(member: zipfile.ZipInfo) -> Kind:
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the system that wrote it has none
    if kind == stat.S_IFLNK:
        return "link"
    if member.is_dir():
        return "folder"
    return "file" if kind in (0, stat.S_IFREG) else "special file"


def _true_name(member: zipfile.ZipInfo) -> str:
    """Names without the mark of UTF-8 are code page 437 by the specification, and UTF-8 in the zips of macOS."""
    if not member.flag_bits & UTF8:
        try:
            return member.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return member.filename
