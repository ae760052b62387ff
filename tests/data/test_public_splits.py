"""Splits of public sets: lists of videos (DAVIS), several divisions of the same pictures (DTD)."""

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from saccade.data.doctor import examine
from saccade.data.folders import splits
from saccade.data.objects.sets import object_splits
from saccade.data.segments.sets import segment_splits
from saccade.errors import DataError

VIDEOS = {"bear": 1, "bus": 2, "camel": 3, "dog": 2, "goat": 1}  # objects of each


def davis(root: Path, lists: dict[str, str], videos: dict[str, int] = VIDEOS) -> Path:
    rng = np.random.default_rng(0)
    for video, count in videos.items():
        for i in range(3):
            mask = np.zeros((41, 53), np.uint8)
            for k in range(count):
                mask[3 + 11 * k : 10 + 11 * k, 5 + i : 17 + i] = k + 1
            for place, pixels in (
                ("JPEGImages/480p", rng.integers(0, 256, (41, 53, 3), dtype=np.uint8)),
                ("Annotations/480p", mask),
            ):
                (root / place / video).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / place / video / f"{i:05}.png")
    for name, text in lists.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def videos_of(dataset) -> set[str]:
    return {PurePosixPath(name).parent.name for name in dataset.names}


def test_lists_of_videos_are_splits(tmp_path: Path):
    """DAVIS 2017, whose folder has the lists of 2016 too, which name a part."""
    root = davis(tmp_path, {"ImageSets/2016/train.txt": "bear\n", "ImageSets/2017/train.txt": "bear\nbus\ncamel\n",
                            "ImageSets/2017/val.txt": "dog\ngoat\n"})  # fmt: skip
    train, val = segment_splits(root, on_error="fail")
    assert (videos_of(train), videos_of(val)) == ({"bear", "bus", "camel"}, {"dog", "goat"})
    assert (len(train), len(val)) == (9, 6)
    assert "validation: the split val" in val.notes
    train, val = object_splits(root, on_error="fail")
    assert (videos_of(train), videos_of(val)) == ({"bear", "bus", "camel"}, {"dog", "goat"})
    kinds = {each.kind for each in examine(root).report.findings}
    assert not kinds & {"leak", "picture missing", "picture listed twice"}


@pytest.mark.parametrize("open_splits", [segment_splits, object_splits])
@pytest.mark.parametrize("listed", ["bear\nbus\ncamel\ndog\ngoat\n", "cow\n"])
def test_whole_videos_are_held_out(tmp_path: Path, open_splits, listed: str):
    root = davis(tmp_path, {"ImageSets/2017/train.txt": listed})
    for seed in range(4):
        train, val = open_splits(root, val_fraction=0.4, seed=seed)
        assert not videos_of(train) & videos_of(val)
        assert len(train) + len(val) == 15
        assert any(note.startswith("whole videos are held out: ") for note in val.notes)


def test_one_video_is_not_divided(tmp_path: Path):
    root = davis(tmp_path, {"ImageSets/2017/train.txt": "bus\n"}, {"bus": 2})
    with pytest.raises(DataError, match=r"has frames of one video only; two are needed .*name a validation set"):
        segment_splits(root)


def test_numbered_pictures_in_folders_may_be_frames(tmp_path: Path):
    _, val = segment_splits(davis(tmp_path, {}))
    assert any("numbered in 5 folders (bear, bus, camel and 2 more): if these are frames" in note for note in val.notes)


def textures(root: Path) -> Path:
    """Two divisions of 3 x 6 pictures in DTD's layout."""
    classes, joint = ("banded", "dotted", "lined"), []
    for c, name in enumerate(classes):
        for i in range(6):
            place = root / "images" / name / f"{name}_{i}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(6 * c + i).integers(0, 256, (17, 13, 3), dtype=np.uint8)).save(place)
            joint.append(f"{name}/{name}_{i}.png {name}{' ' + 'woven' * (i == 5)}\n")
    (root / "labels").mkdir()
    (root / "labels/labels_joint_anno.txt").write_text("".join(joint))
    for number, order in ((1, (0, 1, 2, 3, 4, 5)), (2, (5, 3, 1, 0, 2, 4))):
        for k, split in enumerate(("train", "val", "test")):
            lines = [f"{name}/{name}_{i}.png\n" for name in classes for i in order[2 * k : 2 * k + 2]]
            (root / f"labels/{split}{number}.txt").write_text("".join(lines))
    return root


def test_one_of_several_divisions(tmp_path: Path):
    root = textures(tmp_path)
    train, val = splits(root)
    assert train.classes == ["banded", "dotted", "lined"]
    assert {name[-5] for name in train.names} == {"0", "1"}
    assert {name[-5] for name in val.names} == {"2", "3"}
    assert any("2 divisions of the same pictures are listed, and " in note for note in train.notes)
    assert not [each for each in examine(root).report.findings if each.severity == "error"]
    (root / "labels/train1.txt").unlink()  # the first division that is whole
    train, val = splits(root)
    assert ({name[-5] for name in train.names}, {name[-5] for name in val.names}) == ({"5", "3"}, {"1", "0"})


def test_numbered_parts_are_no_divisions(tmp_path: Path):
    root = textures(tmp_path)
    for name in ("labels_joint_anno", "train2", "val2", "test1", "test2"):
        (root / f"labels/{name}.txt").unlink()
    lines = (root / "labels/train1.txt").read_text().splitlines(keepends=True)
    (root / "labels/train1.txt").write_text("".join(lines[::2]))
    (root / "labels/train2.txt").write_text("".join(lines[1::2]))
    train, _ = splits(root)
    assert not any("divisions" in note for note in train.notes)
