"""Classes and splits that stand in tables and lists."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade.data import ImageFolder, splits
from saccade.data.doctor import examine
from saccade.errors import DataError

from .conftest import noise

Make = Callable[..., Path]
CLASSES = ["red", "blue"]  # of 1.png, 2.png, ...


def rows(count: int, line: str = "{i}.png,{c}", start: int = 1) -> str:
    return "".join(line.format(i=i, c=CLASSES[i % 2], k=i % 2, n=1 - i % 2) + "\n" for i in range(start, start + count))


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_csv", ".csv").replace("_txt", ".txt").replace(
            "_jsonl", ".jsonl"
        )
        path.write_text(text, encoding="utf-8")
    return root


def label_of(dataset: ImageFolder) -> dict[str, str]:
    return {name: dataset.classes[label] for name, label in zip(dataset.names, dataset.labels.tolist(), strict=True)}


TABLES = {
    "comma": "file_name,label\n" + rows(7),
    "semicolon, other words": "Datei;Klasse\n" + rows(7, "{i}.png;{c}"),
    "paths without suffix": "id,breed\n" + rows(7, "images/{i},{c}"),
    "no heading": rows(7),
    "quotes": "image,class\n" + rows(7, '"{i}.png","{c}"'),
    "numbers and names": "file,class_id,class_name\n" + rows(7, "{i}.png,{k},{c}"),
    "one column a class": "filename, blue, red\n" + rows(7, "{i}.png, {k}, {n}.0"),
    "heading of no known name": "image,colour of it\n" + rows(7),
    "paths of another machine": "path,label\n" + rows(7, "/home/x/set/images/{i}.png,{c}"),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_beside_pictures(make_folder: Make, table: str):
    root = write(make_folder({"images": 7}), labels_csv=table)
    expected = {f"images/{i}.png": CLASSES[i % 2] for i in range(1, 8)}
    for source in (root, root / "labels.csv"):
        found = ImageFolder(source)
        assert label_of(found) == expected
        assert found.classes == ["blue", "red"]
        assert found.notes[0].startswith("classes read from labels.csv")


def test_a_column_of_truth_values(make_folder: Make):
    table = "image,label,is_valid\n" + rows(5, "{i}.png,{c},False") + rows(2, "{i}.png,{c},True", 6)
    train, val = splits(write(make_folder({"images": 7}), all_csv=table))
    assert len(train) == 5
    assert sorted(val.names) == ["images/6.png", "images/7.png"]


def test_a_table_for_each_split(make_folder: Make):
    root = make_folder({"images": 7})
    head = "image,label\n"
    write(root, train_csv=head + rows(3), val_csv=head + rows(2, start=4), test_csv=head + rows(2, start=6))
    write(root, trainval_csv=head + rows(5))
    train, val = splits(root)
    assert sorted(train.names) == [f"images/{i}.png" for i in (1, 2, 3)]
    assert sorted(val.names) == [f"images/{i}.png" for i in (4, 5)]
    (root / "train.csv").unlink()
    assert sorted(splits(root)[0].names) == sorted(train.names)


@pytest.mark.parametrize("as_list", [False, True])
def test_a_json_file(make_folder: Make, as_list: bool):
    classes = {f"{i}.png": CLASSES[i % 2] for i in range(1, 8)}
    found = [{"image": name, "label": label} for name, label in classes.items()] if as_list else classes
    root = make_folder({"images": 7})
    (root / "labels.json").write_text(json.dumps(found))
    assert label_of(ImageFolder(root)) == {f"images/{name}": label for name, label in classes.items()}


def test_numbers_of_rows_are_not_names(make_folder: Make):
    table = ",filename,label\n" + "".join(f"{i},{8 - i}.png,{CLASSES[i % 2]}\n" for i in range(1, 8))
    found = ImageFolder(write(make_folder({"images": 7}), labels_csv=table))
    assert label_of(found) == {f"images/{8 - i}.png": CLASSES[i % 2] for i in range(1, 8)}


def test_json_lines_in_folders_of_splits(make_folder: Make):
    root = make_folder({"train": 7, "test": 3})
    for split, count in (("train", 7), ("test", 3)):
        lines = [json.dumps({"file_name": f"{i}.png", "label": i % 2, "by": "me"}) for i in range(1, count + 1)]
        (root / split / "metadata.jsonl").write_text("\n".join(lines))
    train, val = splits(root, val_fraction=0.3)
    assert {name.split("/")[0] for name in train.names + val.names} == {"train"}
    assert train.classes == ["0", "1"]
    assert "columns of train/metadata.jsonl that are not read: by" in train.notes
    assert len(ImageFolder(root, split="test")) == 3


def test_a_column_of_splits(make_folder: Make):
    table = "image,class,subset\n" + rows(4, "{i}.png,{c},train") + rows(2, "{i}.png,{c},dev", 5) + "7.png,red,test\n"
    train, val = splits(write(make_folder({"images": 7}), all_csv=table))
    assert (len(train), val.names) == (4, ["images/5.png", "images/6.png"])


def test_competitions_name_pictures_for_training_and_give_a_sample_of_the_answer(make_folder: Make):
    root = make_folder({"train_images": 7, "test_images": 3})
    write(root, train_csv="image_id,label\n" + rows(7), sample_submission_csv="image_id,label\n" + rows(3))
    write(root, test_csv="image_id\n1.png\n2.png\n3.png\n")
    found = ImageFolder(root)
    assert {name.split("/")[0] for name in found.names} == {"train_images"}
    assert any("3 pictures have no row in a table" in note for note in found.notes)


PETS = "Abyssinian_{i} 1 1 1\namerican_bulldog_{i} 2 2 1\nBengal_{i} 3 1 2\n"  # picture, class, species, breed


def pets(root: Path, line: str = PETS) -> Path:
    """As Oxford-IIIT Pet is laid out: pictures in one folder, lists and trimaps of the same names in another."""
    for folder, suffix in (("images", ".jpg"), ("annotations/trimaps", ".png")):
        (root / folder).mkdir(parents=True)
        for i in range(1, 8):
            for name in ("Abyssinian", "american_bulldog", "Bengal"):
                noise(i, 5).save(root / folder / f"{name}_{i}{suffix}")
    for name, numbers in (("trainval", range(1, 6)), ("test", range(6, 8)), ("list", range(1, 8))):
        comment = "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\n" * (name == "list")
        text = comment + "".join(line.format(i=i, k=1 + i % 2) for i in numbers)
        (root / "annotations" / f"{name}.txt").write_text(text)
    return root


def test_lists_of_oxford_pets(tmp_path: Path):
    root = pets(tmp_path)
    train, val = splits(root, val_fraction=0.2)
    assert train.classes == ["Abyssinian", "american_bulldog", "Bengal"]
    assert (len(train), len(val), len(ImageFolder(root, split="test"))) == (12, 3, 6)
    expected = {f"images/{name}_{i}.jpg": name for i in range(1, 6) for name in train.classes}
    assert label_of(train) | label_of(val) == expected
    assert any("one for each class id" in note for note in train.notes)


@pytest.mark.parametrize(
    "line",
    [
        PETS.replace("1 1 1", "{k} 1 1"),  # several numbers of a class
        PETS.replace("3 1 2", "1 1 1"),  # one number of two classes
        PETS.replace("2 2 1", "2 1 1"),  # a dog that is a cat
        PETS.replace("3 1 2", "3 1 1"),  # a breed of two classes
        PETS.replace("3 1 2", "3 1 0"),
        PETS.replace("\n", " 5\n"),
    ],
)
def test_lists_that_are_not_those_of_oxford_pets(tmp_path: Path, line: str):
    with pytest.raises(DataError, match="none is known to hold the class"):
        splits(pets(tmp_path, line))


UNCERTAIN = {
    "several columns may hold the class": "image,label,species\n1.png,a,x\n2.png,a,y\n3.png,b,y\n",
    "none is known to hold the class": "image,depth,time\n1.png,1,2\n2.png,1,1\n",
    "it holds captions in a table (labels.csv), which": "image,caption\n1.png,a cat\n2.png,a dog\n",
    "it holds CSV of boxes (Kaggle) (labels.csv), which": "image,class,xmin,ymin\n1.png,a,1,2\n2.png,b,1,2\n",
    "line 2 has the number 0.25": "image,label\n1.png,0.25\n2.png,0.5\n",
    "line 2 has the classes 'a b'": "image,tags\n1.png,a b\n2.png,a b\n",
    "line 2 has 2 classes": "image,a,b\n1.png,1,1\n2.png,1,1\n",
    "has the class 'a'": "image,label\n1.png,a\n2.png,b\n1.png,b\n",
    "line 2": 'image,label\n1.png,"a\n',
    "line 3 names 9.png, which is not there": "image,label\n1.png,a\n9.png,b\n",
    "line 2 names 1, which may mean": "image,label\n1,a\n2,b\n",
    "line 3 has 3 fields; 2 expected": "image,label\n1.png,a\n2.png,b,c\n",
    "names no split": "image,label,split\n1.png,a,train\n2.png,b,\n3.png,a,test\n",
    "is in the splits train": "image,label,split\n1.png,a,train\n2.png,b,train\n1.png,a,test\n",
    "names pictures in several columns (column 1, column 2)": "1,1\n2,1\n3,2\n",
    "line 2 has the class 'a\\x1b', with control characters": "image,label\n1.png,a\x1b\n2.png,b\n",
    "line 2 has no class": "image,label\n1.png,\n2.png,a\n",
}


@pytest.mark.parametrize(("text", "table"), UNCERTAIN.items(), ids=UNCERTAIN)
def test_uncertain_tables_are_refused_by_name(make_folder: Make, text: str, table: str):
    root = write(make_folder({"images": 3}), labels_csv=table)
    if "may mean" in text:
        (root / "images" / "1.jpg").write_bytes((root / "images" / "1.png").read_bytes())
    with pytest.raises(DataError, match=r"labels\.csv") as error:
        splits(root)
    assert text in str(error.value)


def test_rows_that_cannot_be_used_are_left_out_and_named(make_folder: Make):
    table = "image,label\n" + rows(7) + "99.png,red\n2.png\n3.png,\n1.png,blue\n"
    found = ImageFolder(write(make_folder({"images": 7}), labels_csv=table), on_error="skip")
    assert (len(found), list(found.skipped)) == (7, [f"labels.csv, line {i}" for i in (9, 10, 11)])
    assert "1 rows name a picture again, with the same class" in found.notes


def test_folders_and_a_table(make_folder: Make):
    root = make_folder({"cat": 3, "dog": 3})
    agrees = "path,label,split\n" + "".join(
        f"{c}/{i}.png,{k},{'test' if i == 3 else 'train'}\n" for k, c in enumerate(("cat", "dog")) for i in (1, 2, 3)
    )
    found = ImageFolder(write(root, labels_csv=agrees), split="train")
    assert label_of(found) == {f"{c}/{i}.png": c for c in ("cat", "dog") for i in (1, 2)}
    write(root, labels_csv="path,label\n" + rows(3, "cat/{i}.png,{c}"))
    with pytest.raises(DataError, match=r"\(cat, dog\) are not the classes of labels.csv \(blue, red\): give"):
        ImageFolder(root)
    assert ImageFolder(root / "labels.csv").classes == ["blue", "red"]


def test_lists_of_splits_beside_class_folders(make_folder: Make):
    root = make_folder({"images/cat": 4, "images/dog": 4})
    (root / "meta").mkdir()
    write(
        root, meta__train_txt="cat/1\ncat/2\ndog/1\ndog/2\n", meta__test_txt="cat/3\ndog/3\n", meta__classes_txt="cat\n"
    )
    train, val = splits(root)
    assert sorted(train.names + val.names) == [f"{c}/{i}.png" for c in ("cat", "dog") for i in (1, 2)]
    assert "2 pictures are in no list of a split and are not used" in train.notes
    assert ImageFolder(root, split="test").names == ["cat/3.png", "dog/3.png"]


def test_a_hundred_text_files_of_pictures_do_not_hide_the_table(make_folder: Make):
    root = write(make_folder({"images": 7}), labels_csv=TABLES["comma"])
    for i in range(99):
        (root / "images" / f"note{i}.txt").write_text("some words\n")
    assert len(ImageFolder(root)) == 7


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("file,cat,dog\n1.png,1,1\n2.png,1,0\n3.png,0,1\n4.png,0,0\n", r"line 2 has 2 classes \(cat, dog\)"),
        ("file,cat,dog\n1.png,1,1\n2.png,1,-1\n3.png,-1,1\n4.png,-1,-1\n", r"line 2 has 2 classes \(cat, dog\)"),
        ("file,label\n1.png,cat|dog\n2.png,cat\n3.png,dog\n4.png,cat\n", r"line 2 has the classes 'cat\|dog'"),
    ],
    ids=["0 and 1", "-1 and 1", "in a column"],
)
def test_multi_label_tables_are_named(make_folder: Make, text: str, first: str):
    root = write(make_folder({"images": 4}), labels_csv=text)
    expected = rf"^\S+labels\.csv is multi-label: 1 of its 4 rows have several classes \({first}\), and one class"
    with pytest.raises(DataError, match=expected):
        ImageFolder(root, on_error="skip")
    assert re.search(expected, examine(root).report.findings[0].places[0])


def test_a_row_of_two_classes_is_left_out(make_folder: Make):
    """A slip among other rows is no multi-label table, and no missing picture."""
    lines = "".join(f"{i}.png,{i % 2},{1 - i % 2}\n" for i in range(1, 12))
    root = write(make_folder({"images": 12}), labels_csv=f"file,cat,dog\n{lines}12.png,1,1\n")
    assert list(ImageFolder(root, on_error="skip").skipped) == ["labels.csv, line 13"]
    kinds = {each.kind: each.places for each in examine(root).report.findings}
    assert kinds["annotation broken"] == ["labels.csv, line 13 has 2 classes (cat, dog); one class a picture expected"]
    assert "picture missing" not in kinds
