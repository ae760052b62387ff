"""Sets in zips: read as the folder is; damaged, encrypted and hostile ones are refused."""

import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.data import ImageFolder, splits, zip_store
from saccade.data.store import open_store
from saccade.errors import DataError

from .conftest import encoded, noise

Make = Callable[..., Path]
COUNTS = {"cat": 3, "dog": 2}


def pack(folder: Path, path: Path, prefix: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for each in sorted(folder.rglob("*")):
            file.write(each, prefix + each.relative_to(folder).as_posix())
    return path


def contents(source: Path) -> list[tuple[str, int, bytes]]:
    data = ImageFolder(source)
    return [(n, int(data.labels[i]), data.picture(i).image.tobytes()) for i, n in enumerate(data.names)]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("prefix", ["", "my pictures/"])
def test_a_zip_gives_the_same_items(make_folder: Make, tmp_path: Path, method: int, prefix: str):
    folder = make_folder(COUNTS)
    path = pack(folder, tmp_path / "set.zip", prefix, method)
    assert contents(path) == contents(folder)
    before = path.read_bytes()
    path.write_bytes(b"#!/bin/sh a program that unpacks itself\n" + before)  # offsets are from the start of the zip
    with pytest.raises(DataError, match="neither a folder nor a tar"):
        ImageFolder(path)


def test_splits_in_a_zip_of_a_mac(make_folder: Make, tmp_path: Path):
    folder = make_folder({f"{s}/{c}": 3 for s in ("Train", "Valid") for c in ("caf\u00e9", "dog")})
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(pack(folder, path), "a") as file:
        file.writestr("__MACOSX/Train/dog/._1.png", b"\0")
        file.writestr("Train/.DS_Store", b"\0")
    data = path.read_bytes()
    mark = zip_store.UTF8.to_bytes(2, "little")
    path.write_bytes(data.replace(b"\x14\0" + mark, b"\x14\0\0\0"))  # a mac writes UTF-8 and does not say so
    assert zipfile.ZipFile(path).namelist() != zipfile.ZipFile(pack(folder, tmp_path / "other.zip")).namelist()
    train, val = splits(path)
    assert (train.classes, len(train), len(val)) == (["caf\u00e9", "dog"], 6, 6)


def test_zip64(tmp_path: Path):
    path, body = tmp_path / "set.zip", encoded(noise(3, 5))
    with zipfile.ZipFile(path, "w") as file:
        for name in ("cat/1.png", "dog/1.png"):
            with file.open(name, "w", force_zip64=True) as member:
                member.write(body)
    assert [name for name, _, _ in contents(path)] == ["cat/1.png", "dog/1.png"]


@pytest.mark.parametrize(
    "name", ["../cat/1.png", "/tmp/cat/1.png", "cat/../../x.png", "cat\\..\\x.png", "C:/cat/1.png"]
)
def test_names_that_point_outside(tmp_path: Path, name: str):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(name, encoded(noise(3, 3)))
    with pytest.raises(DataError, match="points outside"):
        ImageFolder(tmp_path / "a.zip")


def test_links_are_passed_over(make_folder: Make, tmp_path: Path):
    path = pack(make_folder(COUNTS), tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a") as file:
        link = zipfile.ZipInfo("cat/9.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    assert len(ImageFolder(path)) == 5


def test_an_encrypted_zip_is_named_as_such(make_folder: Make, tmp_path: Path):
    path = pack(make_folder(COUNTS), tmp_path / "set.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[at + 8] |= zip_store.ENCRYPTED
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"set\.zip is encrypted; unpack it"):
        ImageFolder(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zip_store, "MAX_BOMB_BYTES", 1 << 20)
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("cat/1.png", "dog/1.png"):
            file.writestr(name, bytes(5 << 20))
    with pytest.raises(DataError, match=r"set\.zip:cat/1\.png claims 5 MiB in \d+ compressed bytes; at most 1 MiB"):
        ImageFolder(path).picture(0)


def test_damaged_zips(make_folder: Make, tmp_path: Path):
    path = pack(make_folder(COUNTS), tmp_path / "set.zip")
    data = path.read_bytes()
    for cut in (len(data) // 3, len(data) - 9, len(data) - 40):
        path.write_bytes(data[:cut])
        with pytest.raises(DataError, match=r"set\.zip is damaged or cut short"):
            ImageFolder(path)
    start = data.index(b"cat/1.png") + len("cat/1.png")
    path.write_bytes(data[: start + 40] + bytes([data[start + 40] ^ 255]) + data[start + 41 :])
    with pytest.raises(DataError, match=r"cat/1\.png is damaged"):
        ImageFolder(path).picture(0)
    path.write_bytes(data.replace(b"PK\x03\x04", b"PK\x03\x05").replace(b"PK\x03\x05", b"PK\x03\x04", 1))
    with pytest.raises(DataError, match="no file where the directory says"):
        ImageFolder(path).picture(1)


def test_other_archives_are_named(tmp_path: Path):
    for start, kind in ((b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01", "rar")):
        (tmp_path / "set").write_bytes(start + bytes(600))
        with pytest.raises(DataError, match=f"is a {kind} archive, which is not read; unpack it"):
            open_store(tmp_path / "set")


def test_a_tar_and_a_zip_hold_the_same_names(make_folder: Make, tmp_path: Path):
    folder = make_folder({"a/b": 1, "c": 1})
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        file.add(folder, arcname="")
    stores = [open_store(tmp_path / "set.tar"), open_store(pack(folder, tmp_path / "set.zip")), open_store(folder)]
    assert (
        len({tuple(sorted(each.files)) for each in stores})
        == len({tuple(sorted(each.folders)) for each in stores})
        == 1
    )
