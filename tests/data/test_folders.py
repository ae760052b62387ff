"""Class folders, from a folder and from a tar of it, and their splits."""

import gzip
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import ImageFolder, splits, store
from saccade.errors import DataError

from .conftest import encoded, noise, pack

Make = Callable[..., Path]
COUNTS = {"cat": 11, "dog": 7, "eel": 13}


def items(dataset: ImageFolder) -> list[tuple[str, int, bytes]]:
    read = (dataset[i] for i in range(len(dataset)))
    return [(name, label, p.image.tobytes()) for name, (p, label) in zip(dataset.names, read, strict=True)]


def test_folder(make_folder: Make):
    data = ImageFolder(make_folder(COUNTS))
    assert data.classes == ["cat", "dog", "eel"]
    assert len(data) == 31
    assert data.labels.dtype == torch.int64
    assert data.labels.bincount().tolist() == [11, 7, 13]
    assert data.names[:11] == [f"cat/{i}.png" for i in range(1, 12)]
    picture, label = data[12]
    assert (label, picture.name.endswith("dog/2.png"), picture.image.size) == (1, True, (7, 5))


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.xz", "w:xz")])
@pytest.mark.parametrize("prefix", [".", "train", "my pictures"])
def test_tar_gives_the_same_items(make_folder: Make, tmp_path: Path, suffix: str, mode: str, prefix: str):
    folder = make_folder(COUNTS)
    before = {p.name for p in tmp_path.iterdir()}
    tar = pack(folder, tmp_path / f"set.{suffix}", mode, prefix)
    assert items(ImageFolder(tar)) == items(ImageFolder(folder))
    assert {p.name for p in tmp_path.iterdir()} == before | {tar.name}


def test_nested_pictures_and_other_files(make_folder: Make):
    folder = make_folder(COUNTS)
    (folder / "README.md").touch()
    (folder / "cat" / "labels.txt").touch()
    (folder / ".cache").mkdir()
    (folder / "cat" / "more").mkdir()
    noise(5, 7).save(folder / "cat" / "more" / "1.png")
    data = ImageFolder(folder)
    assert data.labels.bincount().tolist() == [12, 7, 13]
    assert "cat/more/1.png" in data.names


def test_given_classes_set_the_order(make_folder: Make):
    folder = make_folder(COUNTS)
    data = ImageFolder(folder, classes=["eel", "cat", "dog"])
    assert data.labels.bincount().tolist() == [13, 11, 7]
    assert data.names[0] == "eel/1.png"
    with pytest.raises(DataError, match=r"lacks ant and adds eel"):
        ImageFolder(folder, classes=["cat", "dog", "ant"])


def test_folder_errors(make_folder: Make, tmp_path: Path):
    loose = tmp_path / "loose"
    loose.mkdir()
    with pytest.raises(DataError, match="no class folders"):
        ImageFolder(loose)
    noise(5, 7).save(loose / "1.png")
    with pytest.raises(DataError, match="1 loose pictures"):
        ImageFolder(loose)
    mixed = make_folder(COUNTS, "mixed")
    noise(5, 7).save(mixed / "1.png")
    with pytest.raises(DataError, match="beside its class folders"):
        ImageFolder(mixed)
    with pytest.raises(DataError, match="one class only"):
        ImageFolder(make_folder({"cat": 2}, "single"))
    empty = make_folder({"cat": 2, "dog": 0}, "empty")
    (empty / "dog" / "a.txt").touch()
    with pytest.raises(DataError, match=r"'dog'.*no pictures \(found: 1 \.txt\)"):
        ImageFolder(empty)
    with pytest.raises(DataError, match="did you mean"):
        ImageFolder(tmp_path / "mixd")
    with pytest.raises(DataError, match="neither a folder nor a tar"):
        ImageFolder(loose / "1.png")
    with pytest.raises(DataError, match="skip"):
        ImageFolder(mixed, on_error="maybe")


@pytest.mark.parametrize("name", ["scenes", "scenes:10,apart"])
def test_drawn_scenes_are_not_looked_for_as_a_folder(name):
    with pytest.raises(DataError, match="stands for drawn scenes"):
        splits(name)


def test_damaged_tars(make_folder: Make, tmp_path: Path):
    tar = pack(make_folder(COUNTS), tmp_path / "a.tar.gz", "w:gz")
    data = tar.read_bytes()
    plain = gzip.decompress(data)
    middle = plain.index(b"dog/") if plain.index(b"dog/") % 512 == 0 else plain.index(b"./dog/")  # between two files
    for cut in (data[: len(data) // 2], data[:100], plain[:middle], plain[: middle + 99], plain[: len(plain) // 2]):
        tar.write_bytes(cut)
        with pytest.raises(DataError, match=r"a\.tar\.gz is (damaged or cut short|neither)"):
            ImageFolder(tar)


def hostile(tar: Path, *members: tuple[str, bytes, bytes]) -> Path:
    with tarfile.open(tar, "w") as file:
        for name, kind, body in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(body), "/etc/passwd"
            file.addfile(info, io.BytesIO(body))
    return tar


@pytest.mark.parametrize("name", ["../cat/1.png", "/tmp/cat/1.png", "cat/../../x.png", "cat\\..\\x.png"])
def test_names_that_point_outside(tmp_path: Path, name: str):
    with pytest.raises(DataError, match="points outside"):
        ImageFolder(hostile(tmp_path / "a.tar", (name, tarfile.REGTYPE, encoded(noise(3, 3)))))


def test_links_and_devices_are_passed_over(tmp_path: Path):
    body = encoded(noise(3, 3))
    good = [(f"{c}/1.png", tarfile.REGTYPE, body) for c in ("cat", "dog")]
    odd = [(f"cat/{k}.png", kind, b"") for k, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE))]
    assert ImageFolder(hostile(tmp_path / "a.tar", *good, *odd)).names == ["cat/1.png", "dog/1.png"]
    escape = hostile(tmp_path / "b.tar", *good, ("\x1b[31m/1.png", tarfile.REGTYPE, body))
    with pytest.raises(DataError, match=r"control characters in its name \('\\x1b\[31m'\)"):
        ImageFolder(escape)


def test_class_names_of_every_script(tmp_path: Path):
    classes = ["a\u00a0b", "\u0645\u06cc\u200c\u062e"]  # a space that does not break, a joiner
    body = encoded(noise(3, 3))
    tar = hostile(tmp_path / "a.tar", *((f"{c}/1.png", tarfile.REGTYPE, body) for c in classes))
    data = ImageFolder(tar)
    assert data.classes == classes
    assert data[0][0].name == f"{tar}:a\u00a0b/1.png"
    bad = hostile(tmp_path / "b.tar", *((f"{c}/1.png", tarfile.REGTYPE, body) for c in ("a", "b\udcff")))
    with pytest.raises(DataError, match=r"control characters in its name \('b\\udcff'\)"):
        ImageFolder(bad)


def header(kind: bytes, size: int, name: str = "cat/1.png") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def record(key: str, value: str) -> bytes:
    text = f" {key}={value}\n"
    length = len(text) + 2
    return f"{length}{text}".encode().ljust(512, b"\0")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("head", "message"),
    [
        *((header(kind, (1 << 20) + 1), "a header of 1048577 bytes") for kind in (b"x", b"g", b"X", b"L", b"K")),
        (header(b"0", -512), "negative size"),
        (header(b"x", len("13 size=-512\n")) + record("size", "-512") + header(b"0", 0), "negative size"),
        (b"".join(header(b"L", 5) + b"name\0".ljust(512, b"\0") for _ in range(1500)), "recursion"),
    ],
)
def test_headers_that_lie(tmp_path: Path, compressed: bool, head: bytes, message: str):
    whole = head + bytes(10240)
    tar = tmp_path / "a.tar"
    tar.write_bytes(gzip.compress(whole) if compressed else whole)
    with pytest.raises(DataError, match=rf"a\.tar is damaged .*{message}"):
        ImageFolder(tar)


def test_compressed_tar_over_the_limit(make_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tar = pack(make_folder(COUNTS), tmp_path / "a.tar.gz", "w:gz")
    monkeypatch.setattr(store, "MAX_COMPRESSED_BYTES", 1000)
    with pytest.raises(DataError, match=r"plain \.tar"):
        ImageFolder(tar)


def test_hold_out_is_stratified_and_deterministic(make_folder: Make, tmp_path: Path):
    folder = make_folder({"cat": 29, "dog": 11, "eel": 2})
    train, val = splits(folder, val_fraction=0.2, seed=3)
    assert val.labels.bincount().tolist() == [6, 2, 1]
    assert train.labels.bincount().tolist() == [23, 9, 1]
    assert not set(train.names) & set(val.names)
    assert "held out" in val.notes[-1]
    again, other = (
        splits(folder, val_fraction=0.2, seed=3)[1],
        splits(folder, val_fraction=0.2, seed=4)[1],
    )
    assert again.names == val.names != other.names
    packed = splits(pack(folder, tmp_path / "a.tar.gz", "w:gz", "all"), val_fraction=0.2, seed=3)[1]
    assert items(packed) == items(val)
    with pytest.raises(DataError, match="fraction"):
        splits(folder, val_fraction=1.0)


def test_one_picture_cannot_be_divided(make_folder: Make):
    with pytest.raises(DataError, match="'dog' has one picture"):
        splits(make_folder({"cat": 5, "dog": 1}))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
@pytest.mark.parametrize("packed", [False, True])
def test_split_folders(make_folder: Make, tmp_path: Path, name: str, packed: bool):
    make_folder(COUNTS, "data/train")
    make_folder({"cat": 1, "dog": 2, "eel": 3}, f"data/{name}")
    source = tmp_path / "data"
    if packed:
        source = pack(source, tmp_path / "data.tar.gz", "w:gz", "data")
    train, val = splits(source)
    assert (train.labels.bincount().tolist(), val.labels.bincount().tolist()) == ([11, 7, 13], [1, 2, 3])
    assert val.notes[-1] == f"validation: the split {name}"
    assert val[0][0].image.size == (7, 5)
    with pytest.raises(DataError, match="holds the splits train, "):
        ImageFolder(source)
    assert len(ImageFolder(source, split=name)) == 6
    with pytest.raises(DataError, match=rf"no split 'test' \(found: .*{name}"):
        ImageFolder(source, split="test")
    assert len(ImageFolder(source, split="dev")) == 6


@pytest.mark.parametrize("name", ["test", "testing"])
def test_a_test_split_chooses_nothing(make_folder: Make, tmp_path: Path, name: str):
    make_folder(COUNTS, "data/train")
    make_folder({"cat": 1, "dog": 2, "eel": 3}, f"data/{name}")
    train, val = splits(tmp_path / "data", val_fraction=0.2)
    assert sorted(train.names + val.names) == sorted(ImageFolder(tmp_path / "data", split="train").names)
    assert val.notes[-1].endswith(f"held out; the split {name} is not used")
    assert len(splits(tmp_path / "data", val=tmp_path / "data")[1]) == 6  # unless it is asked for


def test_val_is_preferred_to_test_and_may_be_elsewhere(make_folder: Make, tmp_path: Path):
    for part, count in (("train", 5), ("test", 3), ("val", 2)):
        make_folder({"cat": count, "dog": count}, f"data/{part}")
    assert len(splits(tmp_path / "data")[1]) == 4
    elsewhere = make_folder({"cat": 1, "dog": 1}, "elsewhere")
    train, val = splits(tmp_path / "data", val=elsewhere)
    assert (len(train), len(val)) == (10, 2)


def test_classes_that_differ_between_splits(make_folder: Make, tmp_path: Path):
    make_folder(COUNTS, "data/train")
    make_folder({"cat": 2, "dog": 2, "fox": 2}, "data/val")
    with pytest.raises(DataError, match=r"data/val differ .* lacks eel and adds fox"):
        splits(tmp_path / "data")


def test_only_a_train_folder(make_folder: Make, tmp_path: Path):
    make_folder(COUNTS, "data/train")
    data = ImageFolder(tmp_path / "data")
    assert (len(data), data.title.endswith("data/train")) == (31, True)
    assert len(ImageFolder(tmp_path / "data", split="train")) == 31
    shutil.rmtree(tmp_path / "data" / "train" / "cat")
    assert ImageFolder(tmp_path / "data").classes == ["dog", "eel"]


def test_subset(make_folder: Make):
    data = ImageFolder(make_folder(COUNTS))
    part = data.subset([30, 0, 11])
    assert (part.labels.tolist(), part.classes) == ([2, 0, 1], data.classes)
    np.testing.assert_array_equal(np.asarray(part[1][0].image), np.asarray(data[0][0].image))


LAYOUTS = {
    "capitals": ("TRAIN/{}", "Valid/{}", "Test/{}"),
    "sets": ("training_set/{}", "dev_set/{}", "test_set/{}"),
    "doubled": ("seg_train/seg_train/{}", "seg_val/seg_val/{}", "seg_test/seg_test/{}"),
    "German": ("Trainingsdaten/{}", "Validierung/{}", "Testdaten/{}"),
    "inside classes": ("{}/train", "{}/valid", "{}/test"),
    "inside classes around a folder": ("set/{}/Training", "set/{}/Validation", "set/{}/Testing"),
    "folder of pictures": ("images/train/{}", "images/val/{}", "images/test/{}"),
    "pictures of each": ("train/images/{}", "val/images/{}", "test/images/{}"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_splits(make_folder: Make, tmp_path: Path, layout: tuple[str, str, str], packed: bool):
    for place, count in zip(layout, (3, 2, 5), strict=True):
        source = make_folder({place.format(name): count for name in ("cat", "dog")}, "data")
    if packed:
        source = pack(source, tmp_path / "data.tar", "w", "data")
    train, val = splits(source)
    assert (train.classes, len(train), len(val)) == (["cat", "dog"], 6, 4)
    assert len(ImageFolder(source, split="test")) == 10


def test_trainval_is_divided_and_test_is_not_used(make_folder: Make):
    source = make_folder({f"{s}/{c}": 5 for s in ("trainval", "test") for c in ("cat", "dog")})
    train, val = splits(source, val_fraction=0.2)
    assert (len(train), len(val)) == (8, 2)
    assert val.notes[-1].endswith("held out; the split test is not used")


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"cat": 2, "dog": 2, "test": 2}, "'test' beside cat, dog: it may be a split or a class"),
        ({"train/cat": 2, "train/dog": 2, "more": 2}, "'train' beside more: it may be a split or a class"),
        ({"cat/train": 2, "cat/test": 2, "dog": 2}, "'cat' of .* holds splits, and 'dog' does not"),
        (
            {"cat/train": 2, "cat/test": 2, "cat/more": 1, "dog/train": 1},
            "'cat' of .* holds the splits test, train and other pictures",
        ),
        ({"images": 2, "masks": 2}, r"folders of pictures and of annotations \(images, masks\), not of classes"),
        ({"test/cat": 2, "test/dog": 2}, r"no split for training \(found: test\)"),
    ],
)
def test_folders_that_may_be_splits_or_classes_are_refused(make_folder: Make, folders: dict[str, int], message: str):
    with pytest.raises(DataError, match=message):
        splits(make_folder(folders))


def test_a_class_of_trains(make_folder: Make):
    assert ImageFolder(make_folder({"bus": 2, "car": 2, "train": 2})).classes == ["bus", "car", "train"]


def test_a_class_without_pictures(make_folder: Make):
    source = make_folder({"train/cat": 3, "train/dog": 3, "train/eel": 0, "val/dog": 2})
    train, val = splits(source, on_error="skip")
    assert train.classes == val.classes == ["cat", "dog"]
    assert any("'eel'" in note and note.endswith("left out") for note in train.notes)
    assert any(note.endswith("val has no picture of cat") for note in val.notes)
    assert val.labels.tolist() == [1, 1]


def test_annotations_beside_class_folders_are_named(make_folder: Make):
    source = make_folder({"cat": 3, "dog": 3})
    box = "<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>"
    (source / "cat" / "1.xml").write_text(f"<annotation><filename>1.png</filename>{box}</annotation>")
    assert ImageFolder(source).notes[0].startswith("not read for classes: VOC XML (cat/1.xml)")
    (source / "dog").rename(source / "cat" / "dog")
    with pytest.raises(DataError, match=r"one class only \('cat'\).*; it holds VOC XML \(cat/1\.xml\), which"):
        ImageFolder(source)


def test_masks_are_no_class(tmp_path: Path):
    for i in range(5):
        for name in ("x", "y"):
            (tmp_path / name).mkdir(exist_ok=True)
        noise(23, 19, seed=i).save(tmp_path / "x" / f"{i}.png")
        values = np.zeros((23, 19), np.uint8)
        values[3 : 7 + i] = 255
        Image.fromarray(values).save(tmp_path / "y" / f"{i}.png")
    with pytest.raises(DataError, match="the folder y/ holds masks of the pictures in x/, not a class"):
        ImageFolder(tmp_path)
    for i in range(5):  # of other names: drawings and photographs
        (tmp_path / "y" / f"{i}.png").rename(tmp_path / "y" / f"drawing{i}.png")
    assert ImageFolder(tmp_path).classes == ["x", "y"]


def test_parts_of_a_set_are_no_classes(make_folder: Make):
    with pytest.raises(DataError, match="all hold the folders cat, dog, so they are parts of a set"):
        ImageFolder(make_folder({f"fold{i}/{c}": 2 for i in (1, 2) for c in ("cat", "dog")}))
    days = ImageFolder(make_folder({f"{c}/{time}": 2 for c in ("cat", "dog") for time in ("day", "night")}, "days"))
    assert days.classes == ["cat", "dog"]
    assert days.notes[0].endswith("all hold the folders day, night; the former were read as classes")
