"""What the doctor finds in sets with masks, and the clean copies it writes of them."""

import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from saccade.data.doctor import CHECKS, examine, write_clean
from saccade.data.segments.sets import open_segments, segment_splits

from ..segments.masked_sets import COLOURS, NAMES, SPLITS, coloured, grey, indices, picture, write

QUIET = {"class rare", "class small"}  # the sets that tests are made of are too small


def found(root, split=None) -> dict[str, int]:
    report = examine(root, split).report
    assert {each.kind for each in report.findings} <= set(CHECKS)
    return {each.kind: each.count for each in report.findings if each.kind not in QUIET}


def test_a_sound_set(tmp_path):
    root = write(tmp_path / "set")
    report = examine(root).report
    assert (report.sound, report.format) == (True, "index masks")
    assert found(root) == {}
    (split,) = report.splits.values()
    masks = [indices(i) for i in range(5)]
    assert split.pictures == 5
    assert split.objects == {name: sum((m == i).any() for m in masks) for i, name in enumerate(("sky", "road", "car"))}
    assert split.pixels == {
        name: sum(int((m == i).sum()) for m in masks) for i, name in enumerate(("sky", "road", "car"))
    }
    assert split.ignored == 10
    counted = json.loads(json.dumps(report.to_dict()))["splits"]["all"]
    assert (counted["ignored"], counted["pixels"], counted["objects"]) == (10, split.pixels, split.objects)


def spoil(root) -> None:
    """One fault a picture, in the set of splits abc, d, e."""
    masks = root / "masks"
    grey(indices(0)[:, 1:]).save(masks / "train" / "a.png")
    strange = indices(1)
    strange[2, 2] = 77
    grey(strange).save(masks / "train" / "b.png")
    (root / "images" / "train" / "c.png").write_bytes(b"nothing")
    (masks / "val" / "d.png").write_bytes(b"nothing")
    grey(np.full_like(indices(4), 255)).save(masks / "test" / "e.png")
    Image.effect_noise((30, 30), 50).convert("RGB").save(root / "images" / "train" / "bare.png")
    grey(indices(0)).save(masks / "val" / "alone.png")
    picture(2).save(root / "images" / "train" / "good.png")
    grey(indices(2)).save(masks / "train" / "good.png")
    picture(4).save(root / "images" / "train" / "leak.png")
    grey(indices(4)).save(masks / "train" / "leak.png")


def spoilt(root):
    write(root, "images/{split}/{name}.png", "masks/{split}/{name}.png", splits=SPLITS)
    spoil(root)
    return root


def test_what_is_wrong(tmp_path):
    root = spoilt(tmp_path / "set")
    assert found(root) == {
        "mask size": 1, "mask value": 1, "mask unreadable": 1, "picture unreadable": 1, "mask ignored": 1,
        "picture unlabelled": 1, "mask without picture": 1, "leak": 1,
    }  # fmt: skip
    report = examine(root).report
    assert not report.sound
    places = {each.kind: each.places[0] for each in report.findings}
    assert places["mask value"] == (
        "masks/train/b.png has the value 77 (1 pixels), of no class; 0 to 2, or 255 (ignored), expected"
    )
    assert places["mask size"].startswith("masks/train/a.png is a mask of 16 x 13 pixels and its picture images/train")
    assert places["leak"] == "images/train/leak.png = images/test/e.png"
    assert list(report.splits) == ["train", "val", "test"]
    assert report.splits["val"].pixels == {"sky": 0, "road": 0, "car": 0}
    assert "mask value" not in found(root, "test")


def test_a_clean_copy(tmp_path):
    root = spoilt(tmp_path / "set")
    grey(indices(3)).save(root / "masks" / "val" / "d.png")
    before = {path: path.read_bytes() for path in root.rglob("*.*")}
    changes = write_clean(examine(root), tmp_path / "out")
    assert changes == {
        "mask size: left out": 1, "mask value: left out": 1, "picture unreadable: left out": 1, "leak: left out": 1,
    }  # fmt: skip
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == before
    assert examine(tmp_path / "out").report.sound
    train, val = segment_splits(tmp_path / "out", on_error="fail")
    assert (train.names, val.names) == (["images/train/good.png"], ["images/val/d.png"])
    assert train.classes == ["sky", "road", "car"]
    assert np.array_equal(train.mask(0), indices(2))


def test_lists_and_tables_are_copied_too(tmp_path):
    root = write(tmp_path / "set", save=coloured, classes=None)
    (root / "label_colors.txt").write_text(
        "".join(f"{r} {g} {b} {n}\n" for n, (r, g, b) in zip(["sky", "road", "car", "Void"], COLOURS, strict=True))
    )
    (root / "train.txt").write_text("a\nimages/b.png masks/b.png\nc\nlost\n")
    (root / "val.txt").write_text("d\n")
    grey(indices(2)[1:]).save(root / "masks" / "c.png")
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        file.add(root, arcname="around")
    assert found(tmp_path / "set.tar") == {"picture missing": 1, "mask size": 1, "assumed": 1, "in no split": 1}
    write_clean(examine(tmp_path / "set.tar"), tmp_path / "out")
    assert examine(tmp_path / "out").report.sound
    assert (tmp_path / "out" / "train.txt").read_text() == "a\nimages/b.png masks/b.png\n"
    train = open_segments(tmp_path / "out", "train", "fail")
    assert [np.array_equal(train.mask(i), indices(i)) for i in range(2)] == [True, True]
    assert not (tmp_path / "out" / "images" / "e.png").exists()


def test_masks_that_exif_turns(tmp_path):
    root = write(tmp_path / "set")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(0).save(root / "images" / "a.png", exif=exif)
    assert found(root) == {"mask turned": 1}


def test_unreadable_files(tmp_path):
    root = write(tmp_path / "set", save=coloured, classes=None)
    assert found(root) == {"structure": 1}
    root = write(tmp_path / "unlisted", classes=None)
    assert found(root) == {"assumed": 1}


@pytest.mark.parametrize(
    "kinds",
    [("mask", "no_mask"), ("mask", "face"), ("labels", "other"), ("target", "one", "two"), ("w", "x", "y")],
)
def test_classes_called_mask_are_classes(tmp_path, kinds):
    for i, kind in enumerate(kinds):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for j, name in enumerate(NAMES):
            noise = np.random.default_rng(10 * i + j).integers(0, 256, (23, 29, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "set" / kind / f"{name}.png")
    report = examine(tmp_path / "set").report
    assert report.format == "class folders"
    assert report.splits["all"].objects == dict.fromkeys(kinds, 5)


def test_what_masks_have_in_common(tmp_path):
    blank = write(tmp_path / "blank", masks=lambda i: indices(i, ignored=False) * 0)
    (finding,) = [each for each in examine(blank).report.findings if each.kind == "mask of one class"]
    assert (finding.severity, finding.count) == ("error", 1)
    assert finding.places[0].endswith("which value stands for them")
    assert "is 'sky' (5 masks): there is nothing to tell apart" in finding.places[0]
    alike = tmp_path / "alike"
    for name in "abcd":
        write(alike, f"images/{name}.png", f"masks/{name}.png", splits={"": "a"})
        picture(NAMES.index(name)).resize((17, 13)).save(alike / "images" / f"{name}.png")
    assert found(alike) == {"mask alike": 1}
    drawn = write(tmp_path / "drawn")
    for i, name in enumerate(NAMES):
        coloured(indices(i)).save(drawn / "images" / f"{name}.png")
    assert found(drawn)["picture drawn"] == 5


def test_masks_of_objects(tmp_path):
    root = tmp_path / "set"
    for name in NAMES:
        i = NAMES.index(name)
        for k in (1, 2):
            path = root / name / "masks" / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            grey(np.uint8(indices(i, ignored=False) == k)).save(path)
        (root / name / "images").mkdir()
        picture(i).save(root / name / "images" / f"{name}.png")
    grey(indices(0)[1:]).save(root / "a" / "masks" / "2.png")
    examined = examine(root)
    assert (examined.report.format, found(root)) == ("masks of objects", {"mask size": 1, "assumed": 1})
    write_clean(examined, tmp_path / "clean")
    clean = open_segments(tmp_path / "clean", on_error="fail")
    assert clean.names == [f"{name}/images/{name}.png" for name in "bcde"]
    assert np.array_equal(clean.mask(0), indices(1, ignored=False) > 0)
