"""What the doctor finds in sets with captions."""

import pytest

from saccade.data.doctor import examine, write_clean
from saccade.errors import DataError

from ..captions.captioned_sets import CAPTIONS, WRITE, save_pictures, write_coco, write_table, write_texts
from ..objects import annotated_sets
from .test_examine import found


@pytest.mark.parametrize("kind", WRITE)
def test_sound_sets(tmp_path, kind):
    root = WRITE[kind](tmp_path / "set")
    report = examine(root).report
    assert report.format == kind
    assert report.sound
    assert report.splits["all"].to_dict() == {"pictures": 3, "objects": {}, "captions": 4}
    assert set(found(root)) <= {"assumed"}
    assert sum(report.sizes.values()) == 3


def test_everything_wrong(tmp_path):
    long = " ".join(["very"] * 64)
    rows = [
        ("images/a.png", "a star"),
        ("images/a.png", "a star"),
        ("images/b.png", "a star"),
        ("images/b.png", f"{long} long"),
        ("images/b.png", long),
        ("images/b.png", ""),
        ("images/c.png", "a\x07bell"),
        ("images/x.png", "a ring"),
    ]
    root = write_table(tmp_path / "set", rows=rows)
    save_pictures(root, ["images/other.png"])
    with (root / "metadata.csv").open("a") as file:
        file.write("images/d.png\n")
    expected = dict.fromkeys(["caption repeated", "caption shared", "caption long", "caption blank"], 1)
    expected |= {"caption broken": 2, "picture missing": 1, "picture uncaptioned": 2, "picture repeated": 1}
    assert found(root) == expected
    report = examine(root).report
    assert report.splits["all"].to_dict() == {"pictures": 4, "objects": {}, "captions": 4}
    places = {each.kind: each.places for each in report.findings}
    assert places["caption shared"] == ["'a star': 2 pictures"]
    assert places["caption long"] == [f"images/b.png: '{long[:60]}…', 65 words"]
    assert places["picture uncaptioned"] == ["images/c.png", "images/other.png"]


def test_splits(tmp_path):
    root = write_table(tmp_path / "set", "train.csv")
    write_table(root, "val.csv", rows=[("images/c.png", "a disc")])
    assert found(root)["leak"] == 1
    report = examine(root).report
    assert {name: (s.pictures, s.captions) for name, s in report.splits.items()} == {"train": (3, 4), "val": (1, 1)}
    assert list(examine(root, "val").report.splits) == ["val"]
    with pytest.raises(DataError, match="no split 'test'"):
        examine(root, "test")


def test_a_clean_copy_is_not_written(tmp_path):
    with pytest.raises(DataError, match="no clean copy of captions is written"):
        write_clean(examine(write_texts(tmp_path / "set")), tmp_path / "clean")
    assert not (tmp_path / "clean").exists()


@pytest.mark.parametrize("write", [annotated_sets.write_coco, annotated_sets.write_voc, annotated_sets.write_yolo])
def test_boxes_take_precedence(tmp_path, write):
    root = write(tmp_path / "set")
    before = examine(root).report.format
    assert before in ("COCO", "VOC", "YOLO")
    if before != "YOLO":
        write_coco(root)
        write_table(root)
        assert examine(root).report.format == before
        assert examine(root / "annotations/captions_all.json").report.format == "COCO captions"
        assert examine(root / "metadata.csv").report.splits["all"].captions == sum(map(len, CAPTIONS.values()))


def test_a_column_of_splits_and_names_by_stem(tmp_path):
    save_pictures(tmp_path, [f"{designer}/{code}.png" for designer in "xy" for code in (1, 2, 3)])
    lines = ["code\tname\tsplit", '1\t"A" button\ttrain', "2\ta star\tval", "3\ta ring\t", "4\ta disc\tval"]
    (tmp_path / "captions.tsv").write_text("\n".join(lines))
    report = examine(tmp_path).report
    assert {name: (s.pictures, s.captions) for name, s in report.splits.items()} == {"train": (4, 2), "val": (4, 2)}
    places = {each.kind: each.places for each in report.findings}
    assert places["caption shared"] == ["'\"A\" button': 2 pictures", "'a star': 2 pictures"]
    assert places["caption broken"] == [
        "captions.tsv, line 4 names no split; train, val or test expected in its column"
    ]
    assert places["picture missing"] == ["captions.tsv, line 5 names 4, and no picture has this name; add or remove it"]
    assert any("quotes in captions.tsv are not those of CSV" in place for place in places["assumed"])


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("captions.csv", "file,sentence\na/0.png,a star\n", "has the columns file, sentence; "),
        ("pairs.tsv", "file\tcaption\na/0.png\ta star\n", "has the columns file, caption; "),
        ("metadata.jsonl", "{]\n", "does not begin with a JSON object"),
        ("captions.csv", "", "is empty; "),
    ],
)
def test_a_broken_table_beside_class_folders_is_an_error(tmp_path, name, content, fault):
    save_pictures(tmp_path, [f"{folder}/{i}.png" for folder in "ab" for i in range(2)])
    (tmp_path / name).write_text(content)
    report = examine(tmp_path).report
    (finding,) = [each for each in report.findings if each.kind == "structure"]
    assert finding.count == 1
    assert finding.places[0].startswith("not read as captions: ")
    assert f"{name} {fault}" in finding.places[0]
    assert not report.sound


def test_another_table_beside_class_folders_is_noted(tmp_path):
    save_pictures(tmp_path, [f"{folder}/{i}.png" for folder in "ab" for i in range(2)])
    (tmp_path / "breeds.csv").write_text("id,breed\n0,dog\n")
    assert found(tmp_path)["assumed"] == 1
    assert examine(tmp_path).report.sound


def test_a_broken_table_without_pictures(tmp_path):
    (tmp_path / "captions.csv").write_text("file,caption\n")
    with pytest.raises(DataError, match=r"has the columns file, caption; .* rename the columns"):
        examine(tmp_path)
