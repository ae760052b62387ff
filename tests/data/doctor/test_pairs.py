"""What the doctor finds in pairs and in style sets."""

import shutil

import pytest
from PIL import Image

from saccade.data.doctor import examine_pairs, examine_side_by_side, examine_styles
from saccade.errors import DataError

from ..conftest import noise


@pytest.fixture
def folders(tmp_path):
    for i, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        for name in range(7):
            noise(11, 7, seed=10 * i + name).save(tmp_path / folder / f"{name}.png")
    return tmp_path / "a", tmp_path / "b"


def kinds(report) -> dict[str, list[str]]:
    return {each.kind: each.places for each in report.findings if each.kind != "assumed"}


def test_sound_pairs(folders):
    report, _ = examine_pairs(*folders)
    assert (kinds(report), report.sound, report.format) == ({}, True, "pairs in two folders")
    assert report.splits["pairs"].to_dict() == {"pictures": 7, "objects": {}, "captions": 0}
    assert report.sizes == {(11, 7): 14}


def test_pairs_that_do_not_fit(folders):
    a, b = folders
    noise(11, 7, seed=99).save(a / "alone.png")
    noise(22, 14, seed=98).save(b / "1.png")
    noise(22, 17, seed=97).save(b / "2.png")
    (b / "3.png").write_bytes(b"no picture")
    shutil.copy(a / "4.png", b / "4.png")
    shutil.copy(b / "5.png", b / "6.png")
    turned = noise(7, 11, seed=96)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(b / "0.png", exif=exif)
    (b / "5.txt").write_text("five")
    report, _ = examine_pairs(a, b)
    found = kinds(report)
    (unreadable,) = found.pop("picture unreadable")
    assert unreadable.startswith(f"{b}: 3.png is not a picture")
    assert found == {
        "pair aspect": ["2: 7 x 11 and 17 x 22"],
        "pair alone": [f"{a}: alone"],
        "pair equal": ["4"],
        "picture repeated": [f"{b}: 6.png = 5.png"],
        "pair size": ["1: 7 x 11 and 14 x 22"],
    }
    assert not report.sound
    assert report.splits["pairs"].captions == 1
    assert any("captions were read from" in place for each in report.findings for place in each.places)


def test_pictures_side_by_side(folders):
    noise(11, 14, seed=50).save(folders[0] / "6.png")
    report, _ = examine_side_by_side(folders[0])
    assert kinds(report) == {"pair odd": [f"{i}.png: 7 pixels wide" for i in range(6)]}


def test_styles(folders):
    a, b = folders
    (a.parent / "c").mkdir()
    noise(11, 7, seed=70).save(a.parent / "c" / "0.png")
    noise(11, 7, seed=71).save(b / "only.png")
    (a.parent / "captions.tsv").write_text("code\tname\n0\tnought\n1\t\n")
    report, _ = examine_styles(a.parent)
    assert kinds(report) == {
        "style small": ["c"],
        "style alone": ["b/only.png"],
        "caption unused": ["captions.tsv, line 3 has no caption for b/1.png; write one or remove the entry"],
    }
    assert {style: (each.pictures, each.captions) for style, each in report.splits.items()} == {
        "a": (7, 1),
        "b": (8, 1),
        "c": (1, 1),
    }
    with pytest.raises(DataError, match="one for each style expected"):
        examine_styles(a)
