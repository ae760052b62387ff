"""Classes in files beside the pictures, as in the tars of WebDataset; what is named where it is not read."""

import shutil
from pathlib import Path

import pytest

from saccade.data import ImageFolder
from saccade.data.doctor import examine
from saccade.errors import DataError

from .conftest import encoded, noise, pack


def shard(root: Path, count: int = 6, first: int = 0) -> Path:
    """Pictures of the classes 0 and 10, beside them their .cls."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        noise(5, 7, seed=i).save(root / f"{i:05d}.png")
        (root / f"{i:05d}.cls").write_text(f"{10 * (i % 2)}\n")
    return root


def test_webdataset(tmp_path: Path):
    data = ImageFolder(pack(shard(tmp_path / "set"), tmp_path / "set.tar", "w", prefix=""))
    assert data.classes == ["0", "10"]
    assert data.names == [f"{i:05d}.png" for i in (0, 2, 4, 1, 3, 5)]
    assert data.notes[0] == "classes read from the .cls files beside the pictures"


def test_unpacked_shards_are_no_classes(tmp_path: Path):
    shard(tmp_path / "00000"), shard(tmp_path / "00001", 4, 6)
    data = ImageFolder(tmp_path)
    assert (data.classes, len(data)) == (["0", "10"], 10)


def test_splits_are_folders(tmp_path: Path):
    shard(tmp_path / "train"), shard(tmp_path / "val", 4, 6)
    assert [len(ImageFolder(tmp_path, split=split)) for split in ("train", "val")] == [6, 4]


def test_faults_beside_the_pictures(tmp_path: Path):
    shard(tmp_path)
    (tmp_path / "00001.cls").write_text("")
    (tmp_path / "00003.cls").unlink()
    with pytest.raises(DataError, match=r"00001\.cls holds nothing; one class in a line expected"):
        ImageFolder(tmp_path)
    data = ImageFolder(tmp_path, on_error="skip")
    assert len(data) == 4
    assert "1 pictures have no .cls and are not used, such as 00003.png" in data.notes


def test_a_folder_of_shards_is_named(tmp_path: Path):
    shard(tmp_path / "set")
    (tmp_path / "shards").mkdir()
    pack(tmp_path / "set", tmp_path / "shards" / "train-000000.tar", "w")
    for opened in (ImageFolder, examine):
        with pytest.raises(DataError, match=r"archives in the set \(train-000000\.tar\), which is not read; give one"):
            opened(tmp_path / "shards")


def test_pictures_without_a_suffix_are_named(tmp_path: Path):
    (tmp_path / "train").mkdir()
    for i in range(3):
        (tmp_path / "train" / f"{i:04x}").write_bytes(encoded(noise(5, 7, seed=i), "JPEG"))
    (tmp_path / "train.csv").write_text("id,label\n0000,a\n0001,b\n0002,a\n")
    expected = r"3 files without a suffix, such as train/0000, are pictures: name them \*\.jpg"
    for opened in (ImageFolder, examine):
        with pytest.raises(DataError, match=expected):
            opened(tmp_path)
    shutil.move(tmp_path / "train" / "0000", tmp_path / "train" / "0000.jpg")
    with pytest.raises(DataError, match="2 files without a suffix"):
        ImageFolder(tmp_path)
