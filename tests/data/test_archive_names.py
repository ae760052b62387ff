"""Members of tars and zips that are odd, hostile or many."""

import bz2
import gzip
import io
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from saccade.data import ImageFolder, archive_names, store
from saccade.data.archive_names import ArchiveMembers
from saccade.data.store import open_store
from saccade.errors import DataError

from .conftest import encoded, noise

Pack = Callable[[Path, Sequence[tuple[str, bytes]]], Path]
BODY = encoded(noise(3, 5))
SOUND = [("cat/1.png", BODY), ("dog/2.png", BODY)]


def as_tar(path: Path, members: Sequence[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for name, body in members:
            member = tarfile.TarInfo(name)
            member.size = len(body)
            file.addfile(member, io.BytesIO(body))
    return path


def as_tar_gz(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    return as_tar(path, members, "w:gz")


def as_zip(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as file:
        warnings.simplefilter("ignore")  # zipfile warns of repeated names
        for name, body in members:
            file.writestr(name, body)
    return path


every_archive = pytest.mark.parametrize("pack", [as_tar, as_tar_gz, as_zip])


@every_archive
def test_the_last_file_of_a_name_is_read_and_noted(pack: Pack, tmp_path: Path):
    found = open_store(pack(tmp_path / "set", [*SOUND, ("cat/1.png", b"first"), ("./cat//1.png", b"second")]))
    assert (found.files, found.read("cat/1.png")) == (["cat/1.png", "dog/2.png"], b"second")
    assert [note.partition(" of ")[::2] for note in found.notes] == [
        ("2 files", f"{found.title} have the name of an earlier one, which they replace")
    ]
    assert open_store(pack(tmp_path / "sound", SOUND)).notes == []


@every_archive
def test_a_file_and_a_folder_of_one_name(pack: Pack, tmp_path: Path):
    with pytest.raises(DataError, match="holds 'cat' as a file and as a folder; pack it anew"):
        open_store(pack(tmp_path / "set", [*SOUND, ("cat", b"")]))
    assert open_store(pack(tmp_path / "dotnet", [*SOUND, ("cat\\", b"")])).files == ["cat/1.png", "dog/2.png"]


@every_archive
@pytest.mark.parametrize(
    ("name", "found"), [("a/" * 2000 + "1.png", "4005 characters in 2000 folders"), ("b" * 1025, "1025 characters")]
)
def test_names_that_are_too_deep_or_too_long(pack: Pack, tmp_path: Path, name: str, found: str):
    with pytest.raises(DataError, match=f"holds a name of {found}.* at most 1024 in 63 are read: unpack it"):
        open_store(pack(tmp_path / "set", [*SOUND, (name, BODY)]))


def test_the_largest_name_and_depth():
    members = ArchiveMembers("set")
    name = "a/" * (archive_names.MAX_DEPTH - 1)
    name += "b" * (archive_names.MAX_NAME - len(name))
    assert members.add(name, "file") == name
    assert len(members.folders) == archive_names.MAX_DEPTH - 1
    for more in (name + "b", "a/" + name[:-2]):
        with pytest.raises(DataError, match="at most"):
            members.add(more, "file")


@every_archive
@pytest.mark.parametrize("name", ["\\\\server\\1.png", "c:/1.png", "C:\\1.png", "cat/..", "..", "/", "a/b/../../../c"])
def test_more_names_that_point_outside(pack: Pack, tmp_path: Path, name: str):
    with pytest.raises(DataError, match="points outside"):
        open_store(pack(tmp_path / "set", [*SOUND, (name, BODY)]))


@every_archive
@pytest.mark.parametrize("name", [".", "./", ".hidden/1.png", "__MACOSX/cat/._1.png"])
def test_names_that_are_left_out(pack: Pack, tmp_path: Path, name: str):
    assert open_store(pack(tmp_path / "set", [*SOUND, (name, BODY)])).files == ["cat/1.png", "dog/2.png"]


def test_special_files_are_counted(tmp_path: Path):
    path = as_tar(tmp_path / "a.tar", SOUND)
    with tarfile.open(path, "a") as file:
        for i, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"cat/{i}.png")
            member.type, member.linkname = kind, "../../etc/passwd"
            file.addfile(member)
    found = open_store(path)
    assert found.files == ["cat/1.png", "dog/2.png"]
    assert found.notes == [f"2 {kind}s in {path} were passed over" for kind in ("link", "special file")]


@every_archive
def test_archives_in_an_archive_are_not_opened(pack: Pack, tmp_path: Path):
    inner = [as_tar(tmp_path / "in.tar", SOUND), as_zip(tmp_path / "in.zip", SOUND)]
    path = pack(tmp_path / "set", [(each.name, each.read_bytes()) for each in inner])
    assert open_store(path).files == ["in.tar", "in.zip"]
    with pytest.raises(DataError, match=r"1 \.tar, 1 \.zip"):
        ImageFolder(path)


@every_archive
def test_many_members(pack: Pack, tmp_path: Path):
    names = [f"{i % 3}/{i}.png" for i in range(5003)]
    found = open_store(pack(tmp_path / "set", [(name, b"") for name in names]))
    assert (found.files, found.folders) == (names, {"0", "1", "2"})


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("name", ["cat/9.png", ".hidden/9.png"])
def test_a_compressed_tar_that_is_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes], name: str
):
    monkeypatch.setattr(store, "MAX_BOMB_BYTES", 1 << 20)
    path = as_tar(tmp_path / "a.tar", [*SOUND, (name, bytes(2 << 20))])
    path.write_bytes(compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"holds more than [0-9.]+ GiB in \d+ compressed bytes; decompress it"):
        open_store(path)
    as_tar_gz(path, [*SOUND, (name, noise(700, 701).tobytes())])  # as large, and no bomb
    assert open_store(path).files[:2] == ["cat/1.png", "dog/2.png"]


def test_a_compressed_tar_that_claims_more_than_it_holds(tmp_path: Path):
    member = tarfile.TarInfo("cat/1.png")
    for member.size, message in ((1 << 40, "holds more than 0.25 GiB"), (1 << 20, "damaged or cut short")):
        (tmp_path / "a.tar.gz").write_bytes(gzip.compress(member.tobuf() + bytes(10240)))
        with pytest.raises(DataError, match=message):
            open_store(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_joined_tars_are_noted(tmp_path: Path, compress: Callable[[bytes], bytes]):
    path = as_tar(tmp_path / "a.tar", SOUND)
    path.write_bytes(compress(path.read_bytes() * 2))
    found = open_store(path)
    assert (found.files, len(found.notes)) == (["cat/1.png", "dog/2.png"], 1)
    assert "goes on behind its end mark" in found.notes[0]


def test_a_compressed_file_that_is_no_tar(tmp_path: Path):
    (tmp_path / "set.gz").write_bytes(gzip.compress(BODY * 20))
    with pytest.raises(DataError, match=r"set\.gz is a compressed file that holds no tar; unpack it"):
        open_store(tmp_path / "set.gz")


def test_zips_whose_files_overlap(tmp_path: Path):
    path = as_zip(tmp_path / "a.zip", [(f"cat/{i}.png", BODY) for i in range(3)])
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data.startswith(b"PK\1\2", i)]
    for at in starts:  # each spans all of them
        struct.pack_into("<I", data, at + 20, 3 * len(BODY))
    path.write_bytes(data)
    with pytest.raises(DataError, match="files that overlap, or end behind its own end"):
        open_store(path)


def test_a_zip_of_an_unknown_method(tmp_path: Path):
    path = as_zip(tmp_path / "a.zip", SOUND)
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 10, 9)  # Deflate64
    path.write_bytes(data)
    found = open_store(path)
    with pytest.raises(DataError, match=r"cat/1\.png cannot be read \(.*method.*\); unpack the zip"):
        found.read("cat/1.png")
    assert found.read("dog/2.png") == BODY
