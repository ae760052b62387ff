"""VOC sets as tools and people write them: folders, lists, coordinates that count from 0."""

from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.data import open_objects
from saccade.data.doctor import examine, write_clean
from saccade.data.objects.sets import object_splits
from saccade.errors import DataError

from .annotated_sets import CLASSES, NAMES, OBJECTS, save_pictures, write_voc, xml

BOXES = [[list(map(float, box)) for _, box in objects] for objects in OBJECTS]


def boxes(root: Path, split: str | None = None) -> list[list[list[float]]]:
    dataset = open_objects(root, split)
    return [dataset.objects(i).boxes.tolist() for i in range(len(dataset))]


def written(root: Path, change: Callable[[tuple], tuple]) -> Path:
    """A set whose coordinates are `change(left, top, right, bottom)`."""
    write_voc(root)
    for i, objects in enumerate(OBJECTS):
        rows = [(CLASSES[label], change(box)) for label, box in objects]
        (root / "Annotations" / f"{NAMES[i]}.xml").write_text(xml(i, rows))
    return root


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda b: (int(b[0]) + 1, int(b[1]) + 1, int(b[2]), int(b[3])), ""),
        (lambda b: (b[0] + 1.0, b[1] + 1.0, float(b[2]), float(b[3])), ""),
        (lambda b: b, "count from 0, as 1 boxes begin at 0; their ends are the edges"),
        (lambda b: tuple(map(float, b)), "count from 0, as 1 boxes begin at 0; their ends are the edges"),
        (
            lambda b: (b[0], b[1], b[2] - 1, b[3] - 1),
            "count from 0, as 1 boxes begin at 0; their ends are the last pixels",
        ),
    ],
)
def test_coordinates_count_from(tmp_path, change, note):
    root = written(tmp_path / "set", change)
    assert boxes(root) == BOXES
    notes = open_objects(root).notes[1:]
    assert [note] == [each.removeprefix("coordinates were taken to ") for each in notes] if note else notes == []


def test_slips_and_boxes_of_no_edge(tmp_path):
    root = written(tmp_path / "set", lambda b: (b[0] + 1, b[1] + 1, b[2], b[3]))
    many = [("ant", (1, 9 + i, 7, 20 + i)) for i in range(9)]
    (root / "Annotations" / "a.xml").write_text(xml(0, [*many, ("ant", (0, 9, 7, 20))]))
    dataset = open_objects(root)
    assert dataset.objects(0).boxes[0].tolist() == [0, 8, 7, 20]
    assert not any("count from 0" in note for note in dataset.notes)
    inner = write_voc(tmp_path / "inner")
    for i, name in enumerate(NAMES):
        (inner / "Annotations" / f"{name}.xml").write_text(xml(i, [("ant", (5, 6, 17, 19))]))
    (note,) = open_objects(inner).notes[1:]
    assert note.startswith(
        "no box touches an edge, by which counts from 0 could be told: pixels were taken to count from 1"
    )


def test_fractions_count_from_0(tmp_path):
    root = write_voc(tmp_path / "set")
    for i, name in enumerate(NAMES):
        (root / "Annotations" / f"{name}.xml").write_text(xml(i, [("ant", (5.25, 6.5, 17.75, 19.5))]))
    assert boxes(root) == [[[5.25, 6.5, 17.75, 19.5]]] * 5
    assert "5 of 5 boxes have fractions" in open_objects(root).notes[1]


def test_a_clean_copy_counts_as_the_set_does(tmp_path):
    root = written(tmp_path / "set", lambda box: box)
    file = root / "Annotations" / "e.xml"
    file.write_text(xml(4, [("ant", (0, 0, 20, 20)), ("bee", (30, 30, 50, 50))]))
    assert write_clean(examine(root), tmp_path / "out") == {"box beyond: cut": 1}
    assert "<xmin>30</xmin><ymin>30</ymin><xmax>41</xmax><ymax>50</ymax>" in (
        (tmp_path / "out" / "Annotations" / "e.xml").read_text()
    )


@pytest.mark.parametrize(
    ("pictures", "files"),
    [
        ("Images", "Annotations"),
        ("images", "annotations/xmls"),
        ("images", "xmls"),
        ("imgs", "labels"),
        ("photos of ants", "boxes"),
        ("JPEGImages", "Annotations/batch 1"),
        ("data", "data"),
        ("train/images", "train/labels"),
    ],
)
@pytest.mark.parametrize("suffix", [".xml", ".XML"])
def test_folders(tmp_path, pictures, files, suffix):
    root = tmp_path / "set"
    save_pictures(root / pictures)
    (root / files).mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(NAMES):
        (root / files / f"{name}{suffix}").write_text(xml(i))
    assert boxes(root) == BOXES


@pytest.mark.parametrize(
    ("pictures", "files"),
    [
        ("{}", "{}"),
        ("{}/images", "{}/annotations"),
        ("images/{}", "annotations/{}"),
        ("JPEGImages/{}", "Annotations/{}"),
        ("{}_images", "{}_xmls"),
    ],
)
def test_folders_of_splits(tmp_path, pictures, files):
    root = tmp_path / "set"
    for split, names in (("Train", "abc"), ("Valid", "de")):
        save_pictures(root / pictures.format(split))
        (root / files.format(split)).mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(NAMES):
            if name in names:
                (root / files.format(split) / f"{name}.xml").write_text(xml(i))
            else:
                (root / pictures.format(split) / f"{name}.png").unlink()
    train, val = object_splits(root)
    assert [[Path(name).stem for name in part.names] for part in (train, val)] == [list("abc"), list("de")]
    assert [val.objects(i).boxes.tolist() for i in range(2)] == BOXES[3:]


@pytest.mark.parametrize("folder", ["ImageSets/Main", "imagesets/main", "ImageSets", ""])
@pytest.mark.parametrize(
    "line", ["{}", "{}.png", "{} 1", "JPEGImages/{}.png", "C:\\x\\JPEGImages\\{}.png", "x/{}.png x/{}.xml"]
)
def test_lists(tmp_path, folder, line):
    root = write_voc(tmp_path / "set")
    (root / "ImageSets" / "Main").rmdir()
    (root / "ImageSets").rmdir()
    (root / folder).mkdir(parents=True, exist_ok=True)
    for split, names in (("train", "abc"), ("val", "de")):
        (root / folder / f"{split}.txt").write_text("".join(line.replace("{}", name) + "\n" for name in names))
    train, val = object_splits(root, on_error="fail")
    assert [[Path(name).stem for name in part.names] for part in (train, val)] == [list("abc"), list("de")]


def test_a_list_without_a_role_and_names_with_spaces(tmp_path):
    root = write_voc(tmp_path / "set", {"default": "abcd"})
    for folder, suffix in (("JPEGImages", "png"), ("Annotations", "xml")):
        (root / folder / f"a.{suffix}").rename(root / folder / f"a photo 1.{suffix}")
    (root / "ImageSets" / "Main" / "default.txt").write_text("a photo 1\nb\nc\nd\n")
    assert [len(part) for part in object_splits(root, val_fraction=0.25, on_error="fail")] == [3, 1]


def test_a_listed_picture_without_xml_is_left_out(tmp_path):
    root = write_voc(tmp_path / "set", {"train": "abc", "val": "de"})
    (root / "Annotations" / "c.xml").unlink()
    train, _ = object_splits(root)
    assert len(train) == 2
    assert "has no c.xml; left out" in train.skipped["c"]
    with pytest.raises(DataError, match=r"has no c\.xml"):
        object_splits(root, on_error="fail")


def test_the_file_name_decides_where_names_differ(tmp_path):
    root = write_voc(tmp_path / "set")
    for name in NAMES:
        (root / "Annotations" / f"{name}.xml").rename(root / "Annotations" / f"annotation {name}.xml")
    assert boxes(root) == BOXES


def test_xml_files_of_others_are_not_voc(tmp_path):
    root = write_voc(tmp_path / "set")
    (root / "project.xml").write_text("<project><name>ants</name></project>")
    (root / "Annotations" / "a.xml").write_text(f"<!-- <annotations><image name='x'/> -->{xml(0)}")
    assert boxes(root) == BOXES


@pytest.mark.parametrize(
    "change",
    [lambda b: (b[2], b[3], b[0] + 1, b[1] + 1), lambda b: (b[2], b[1] + 1, b[0] + 1, b[3])],
    ids=["both", "left and right"],
)
def test_swapped_corners_are_not_read_as_sizes(tmp_path: Path, change: Callable[[tuple], tuple]):
    """Widths and heights may fit as well, so neither is taken."""
    save_pictures(tmp_path / "JPEGImages")
    (tmp_path / "Annotations").mkdir()
    for i, name in enumerate(NAMES):
        box = change((2, 3, 5, 6))
        (tmp_path / "Annotations" / f"{name}.xml").write_text(xml(i, [("cat", box), ("cat", box)], (40, 50)))
    with pytest.raises(DataError, match=r"and as corners in the wrong order \(xmin > xmax or ymin > ymax\)"):
        open_objects(tmp_path)
