"""Pairs of pictures in two folders and side by side: what is read, how it is split, and bad input."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.pairs import SideBySide, TwoFolders, pair_splits
from saccade.data.pairs.sets import same_aspect
from saccade.data.pairs.splits import HoldOut
from saccade.errors import DataError

from ..conftest import noise

NAMES = ("a", "sub/b", "10", "2", "é")


def anything(text: str) -> None:
    """Accepts every caption."""


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """a/ with PNGs and b/ with pictures of twice the size, as BMP."""
    for i, name in enumerate(NAMES):
        for folder, form, scale in (("a", ".png", 1), ("b", ".bmp", 2)):
            # the names of B are decomposed, as macOS writes them
            file = tmp_path / folder / (unicodedata.normalize("NFD" if folder == "b" else "NFC", name) + form)
            file.parent.mkdir(parents=True, exist_ok=True)
            noise(11 * scale, 7 * scale, seed=10 * scale + i).save(file)
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture
def sides(tmp_path) -> Path:
    """Five pictures of 14 x 11 pixels."""
    (tmp_path / "sides").mkdir()
    for i in range(5):
        noise(11, 14, seed=i).save(tmp_path / "sides" / f"{i}.png")
    return tmp_path / "sides"


def test_pictures_with_equal_names_are_pairs(folders):
    pairs = TwoFolders(*folders, anything, "fail")
    assert pairs.stems == ["2", "10", "a", "sub/b", "é"]
    for i, stem in enumerate(pairs.stems):
        seed = NAMES.index(stem)
        source, target = pairs.pair(i)
        assert np.array_equal(source.image, noise(11, 7, seed=10 + seed))
        assert np.array_equal(target.image, noise(22, 14, seed=20 + seed))
    assert "5 pairs, 0 of them with captions" in pairs.notes[0]
    assert pairs.captions(0) == ()


def test_captions_lie_beside_the_pictures_to_paint(folders):
    a, b = folders
    (a / "10.txt").write_text("a sketch of ten")
    (b / "10.txt").write_text("ten\nzehn\nfar too long")
    (b / "2.txt").write_text("far too long")

    def read(text):
        if "far" in text:
            raise DataError("it has 3 words")

    pairs = TwoFolders(a, b, read, "skip")
    assert [pairs.captions(i) for i in range(3)] == [(), ("ten", "zehn"), ()]
    assert sorted(pairs.skipped) == ["10.bmp, caption 3", "2.bmp, caption 1"]
    with pytest.raises(DataError, match=r"it has 3 words"):
        TwoFolders(a, b, read, "fail")
    assert TwoFolders(b, a, read, "fail").captions(1) == ("a sketch of ten",)


def test_a_table_of_captions_that_cannot_be_read_is_noted(folders):
    (folders[1] / "captions.csv").write_text("picture,words\n2.bmp,two\n")
    notes = TwoFolders(*folders, anything).notes
    assert any("captions were not read" in note and "picture, words" in note for note in notes)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("captions.tsv", "code\tname\n2\ttwo\n10\tten\n"),
        ("metadata.csv", "file_name,text\nb/2.bmp,two\nb/10.bmp,ten\n"),
    ],
)
def test_captions_in_a_table_around_the_folders(folders, monkeypatch, table, text):
    a, b = folders
    (a.parent / "results.csv").write_text("code,name\n2,another\n")
    (a.parent / table).write_text(text)
    expected = [("two",), ("ten",), (), (), ()]
    pairs = TwoFolders(a, b, anything)
    assert [pairs.captions(i) for i in range(5)] == expected
    assert f"captions were read from {a.parent / table}" in pairs.notes
    monkeypatch.chdir(b)
    pairs = TwoFolders(Path("..") / "a", Path("."), anything)
    assert [pairs.captions(i) for i in range(5)] == expected
    (b / "2.txt").write_text("its own")
    pairs = TwoFolders(a, b, anything)
    assert [pairs.captions(i) for i in range(2)] == [("its own",), ()]
    assert f"captions were read from {b / '*.txt'}" in pairs.notes


def test_captions_around_the_folders_are_of_one_table_that_can_be_read(folders):
    a, b = folders
    (a.parent / "captions.tsv").write_text("code\tname\n2\ttwo\n")
    (a.parent / "metadata.csv").write_text("picture,words\n2.bmp,two\n")
    notes = TwoFolders(a, b, anything).notes
    assert any("captions were not read" in note and "picture, words" in note for note in notes)
    (a.parent / "metadata.csv").write_text("code,text\n2,zwei\n")
    expect("all hold captions of the pictures of", a, b)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pictures_side_by_side(sides, direction):
    (sides / "3.txt").write_text("three")
    pairs = SideBySide(sides, direction, anything, "fail")
    pixels = np.asarray(noise(11, 14, seed=3))
    left, right = pixels[:, :7], pixels[:, 7:]
    source, target = pairs.pair(3)
    expected = (left, right) if direction == "AtoB" else (right, left)
    assert np.array_equal(source.image, expected[0])
    assert np.array_equal(target.image, expected[1])
    assert pairs.captions(3) == ("three",)


def test_held_out_pairs_follow_from_the_seed(folders):
    splits = [pair_splits(TwoFolders(*folders, anything), HoldOut(0.4, seed)) for seed in (0, 0, 1, 2, 3)]
    for train, val in splits:
        assert 1 <= len(val) <= 4
        assert sorted(train.stems + val.stems) == sorted(unicodedata.normalize("NFC", n) for n in NAMES)
    assert splits[0][1].stems == splits[1][1].stems
    assert len({tuple(val.stems) for _, val in splits}) > 1


def test_a_file_names_the_pairs_to_hold_out(folders, tmp_path):
    (tmp_path / "names.txt").write_text("10\n\nsub/b\n", encoding="utf-8")
    train, val = pair_splits(TwoFolders(*folders, anything), HoldOut(file=tmp_path / "names.txt"))
    assert (train.stems, val.stems) == (["2", "a", "é"], ["10", "sub/b"])


def test_folders_of_splits(sides):
    for name, split in (("0", "train"), ("1", "train"), ("2", "val"), ("3", "test"), ("4", "train")):
        (sides / split).mkdir(exist_ok=True)
        (sides / f"{name}.png").rename(sides / split / f"{name}.png")
    train, val = pair_splits(SideBySide(sides, "AtoB", anything), HoldOut())
    assert (train.stems, val.stems) == (["train/0", "train/1", "train/4"], ["val/2"])
    (sides / "val" / "2.png").unlink()
    train, val = pair_splits(SideBySide(sides, "AtoB", anything), HoldOut())
    assert len(train) == 2
    assert val.stems[0].startswith("train/")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ((256, 256), (512, 512), True),
        ((256, 171), (768, 512), True),
        ((100, 50), (50, 100), False),
        ((256, 256), (256, 255), True),
        ((256, 256), (256, 250), False),
        ((7, 11), (14, 22), True),
    ],
)
def test_an_aspect_is_the_same_to_a_pixel(a, b, same):
    assert same_aspect(a, b) is same_aspect(b, a) is same


def test_names_without_a_partner_are_left_out_with_a_note(folders):
    a, b = folders
    noise(3, 3).save(a / "only.png")
    noise(3, 3).save(b / "other.png")
    pairs = TwoFolders(a, b, anything)
    assert len(pairs) == 5
    assert f"1 of 6 pictures of {a} have no partner in {b}: only; left out" in pairs.notes
    assert f"1 of 6 pictures of {b} have no partner in {a}: other; left out" in pairs.notes
    with pytest.raises(DataError, match=r"have no partner in .*: only; 1 of 6"):
        TwoFolders(a, b, anything, "fail")


def expect(text: str, *given: object, **more: object) -> None:
    with pytest.raises(DataError) as error:
        pair_splits(TwoFolders(*given, anything), HoldOut(**more))
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_folders_that_hold_no_pairs(folders, tmp_path):
    a, b = folders
    expect("is given twice", a, tmp_path / "a" / ".." / "a")
    expect("lie inside each other", a, a / "sub")
    expect("does not exist", a, tmp_path / "c")
    (tmp_path / "c").mkdir()
    expect("holds no pictures (found: nothing)", a, tmp_path / "c")
    for i in range(4):
        noise(3, 3).save(tmp_path / "c" / f"x{i}.png")
    expect(
        f"5 of 5 pictures of {a} have no partner in {tmp_path / 'c'}: 2, 10, a and 2 more; 4 of 4", a, tmp_path / "c"
    )
    noise(3, 3).save(a / "2.bmp")
    expect("have the same name without suffix", a, b)


def test_bad_names_to_hold_out(folders, tmp_path):
    names = tmp_path / "names.txt"
    expect("No such file", *folders, file=names)
    names.write_bytes(b"\xff")
    expect("not UTF-8", *folders, file=names)
    names.write_text("\n")
    expect("is empty", *folders, file=names)
    names.write_text("10.png\na\n")
    expect("lists 1 of 2 names that", *folders, file=names)
    names.write_text("\n".join(NAMES))
    expect("lists all names", *folders, file=names)
    for folder in folders:
        (folder / "train").mkdir()
        for file in [*folder.glob("*.*")]:
            file.rename(folder / "train" / file.name)
    expect("are in folders of the splits train, but sub/b is in none", *folders)


def test_one_pair_only(sides):
    for i in range(1, 5):
        (sides / f"{i}.png").unlink()
    with pytest.raises(DataError, match="holds one pair; two are needed"):
        pair_splits(SideBySide(sides, "AtoB", anything), HoldOut())


def test_pictures_that_do_not_fit(folders, sides):
    a, b = folders
    noise(22, 19).save(b / "a.bmp")
    (b / "10.bmp").write_bytes(b"no picture")
    pairs = TwoFolders(a, b, anything)
    with pytest.raises(DataError, match=r"a\.png is 7 x 11 and .*a\.bmp 19 x 22 pixels; the same aspect expected"):
        pairs.pair(pairs.stems.index("a"))
    with pytest.raises(DataError, match=r"10\.bmp is not a picture"):
        pairs.pair(pairs.stems.index("10"))
    Image.new("RGB", (15, 11)).save(sides / "2.png")
    with pytest.raises(DataError, match=r"2\.png is 15 pixels wide; two halves of equal width expected"):
        SideBySide(sides, "AtoB", anything).pair(2)
