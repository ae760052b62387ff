"""Every format gives the same captions; which files are read; splits."""

import json
import tarfile

import pytest

from saccade.data.captions import caption_splits, open_captions
from saccade.data.scenes.scenes import Scenes
from saccade.data.scenes.write import write_scenes
from saccade.errors import DataError

from .captioned_sets import (
    CAPTIONS,
    WRITE,
    pairs,
    save_pictures,
    write_coco,
    write_json_lines,
    write_table,
    write_texts,
)


def contents(dataset) -> dict[str, tuple[str, ...]]:
    assert len(dataset) == len(dataset.names)
    return {name: dataset.captions(i) for i, name in enumerate(dataset.names)}


@pytest.mark.parametrize("on_error", ["skip", "fail"])
@pytest.mark.parametrize("kind", WRITE)
def test_every_format_gives_the_same_captions(tmp_path, kind, on_error):
    dataset = open_captions(WRITE[kind](tmp_path / "set"), on_error=on_error)
    prefix = "images/" if dataset.names[0].startswith("images/") else ""
    assert contents(dataset) == {name.removeprefix("images/" if not prefix else ""): c for name, c in CAPTIONS.items()}
    assert f"read as {kind}: 3 pictures, 4 captions" in dataset.notes[0]
    assert [dataset.picture(i).image.size for i in range(3)] == [(7, 11), (9, 11), (11, 11)]
    assert dataset.skipped == {}


@pytest.mark.parametrize("kind", WRITE)
def test_from_a_tar(tmp_path, kind):
    root = WRITE[kind](tmp_path / "set")
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as file:
        file.add(root, arcname="around/it")
    assert list(contents(open_captions(tmp_path / "set.tar.gz")).values()) == list(CAPTIONS.values())


@pytest.mark.parametrize("name", ["metadata.csv", "captions.tsv", "words.jsonl", "captions.txt"])
def test_a_single_file(tmp_path, name):
    write = write_json_lines if name.endswith("jsonl") else write_table
    root = write(tmp_path / "set", name)
    (root / "others.csv").write_text("file_name,text\nimages/a.png,another\n")
    assert contents(open_captions(root / name)) == CAPTIONS


@pytest.mark.parametrize("file", ["file_name", "image", "filename", "path", "filepath", "Image"])
@pytest.mark.parametrize("text", ["caption", "text"])
def test_names_of_columns(tmp_path, file, text):
    rows = [(i, caption, name) for i, (name, caption) in enumerate(pairs())]
    dataset = open_captions(write_table(tmp_path / "set", columns=("id", text, file), rows=rows))
    assert contents(dataset) == CAPTIONS
    assert any("columns of metadata.csv that are not read: id" in note for note in dataset.notes)


@pytest.mark.parametrize("kind", ["\ufeff", "CRLF", "CR"])
def test_byte_order_marks_and_line_ends(tmp_path, kind):
    root = write_table(tmp_path / "set")
    text = (root / "metadata.csv").read_bytes().decode().replace("\r\n", "\n")
    text = f"\ufeff{text}" if kind == "\ufeff" else text.replace("\n", {"CRLF": "\r\n", "CR": "\r"}[kind])
    (root / "metadata.csv").write_bytes(text.encode())
    assert contents(open_captions(root)) == CAPTIONS
    for name in CAPTIONS:
        file = (root / name).with_suffix(".txt")
        file.write_bytes("\ufeffa star\r\na ring\r\n".encode())
    (root / "metadata.csv").unlink()
    assert set(contents(open_captions(root)).values()) == {("a star", "a ring")}


@pytest.mark.parametrize("value", ["NA", "None", "null", "nan", "007", "1e3", "true", "-", " padded "])
@pytest.mark.parametrize("write", [write_table, write_json_lines])
def test_text_stays_text(tmp_path, value, write):
    rows = [("images/a.png", value), ("images/b.png", "a ring"), ("images/c.png", "a disc")]
    assert open_captions(write(tmp_path / "set", rows=rows), on_error="fail").captions(0) == (value,)


def test_text_files_keep_numbers(tmp_path):
    root = write_texts(tmp_path / "set")
    (root / "images/a.txt").write_text("007\n")
    assert open_captions(root, on_error="fail").captions(0) == ("007",)


def test_line_breaks_inside_quotes(tmp_path):
    root = write_table(tmp_path / "set", rows=[("images/a.png", "a star\nand a ring"), ("images/b.png", "a disc")])
    dataset = open_captions(root)
    assert contents(dataset) == {"images/a.png": ("a star\nand a ring",), "images/b.png": ("a disc",)}


def test_a_list_in_json_lines(tmp_path):
    rows = [("images/a.png", ["a star", "a red star"]), ("images/b.png", []), ("images/c.png", "a disc")]
    dataset = open_captions(write_json_lines(tmp_path / "set", rows=rows))
    assert contents(dataset) == {"images/a.png": ("a star", "a red star"), "images/c.png": ("a disc",)}
    assert dataset.notes[-1] == "1 pictures have no caption and are left out: images/b.png"


def test_separators_of_lines_in_json_are_kept(tmp_path):
    root = write_json_lines(tmp_path / "set")
    line = json.dumps({"file_name": "images/a.png", "text": "one\u2028two"}, ensure_ascii=False)
    (root / "metadata.jsonl").write_text(line, encoding="utf-8")
    assert open_captions(root).captions(0) == ("one\u2028two",)


def test_scenes_as_they_are_written(tmp_path):
    write_scenes(Scenes(3, seed=5, size=(32, 32)), tmp_path / "set", "captions")
    dataset = open_captions(tmp_path / "set", on_error="fail")
    drawn = [json.loads(line) for line in (tmp_path / "set/metadata.jsonl").read_text().splitlines()]
    assert contents(dataset) == {line["file_name"]: (line["text"],) for line in drawn}
    with pytest.raises(DataError, match="the columns file_name, en, ko"):
        open_captions(tmp_path / "set/captions.jsonl")


def test_metadata_takes_precedence(tmp_path):
    root = write_json_lines(tmp_path / "set")
    write_table(root, "captions.tsv", rows=[("images/a.png", "another")])
    dataset = open_captions(root)
    assert contents(dataset) == CAPTIONS
    assert "captions.tsv was not read: the metadata table beside it takes precedence" in dataset.notes


def test_labels_of_yolo_are_no_captions(tmp_path):
    root = write_texts(tmp_path / "set")
    for name in "ab":
        (root / f"images/{name}.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    with pytest.raises(DataError, match="holds no captions"):
        open_captions(root)
    (root / "images/b.txt").write_text("a ring\n")
    dataset = open_captions(root)
    assert dataset.names == ["b.png", "c.png"]
    assert dataset.skipped["a.txt, line 1"].startswith("a.txt, line 1 reads like a label of YOLO ('0 0.5 0.5")


def test_splits_by_files(tmp_path):
    root = write_table(tmp_path / "set", "train.csv", rows=pairs()[:3])
    write_table(root, "valid.csv", rows=pairs()[3:])
    train, val = caption_splits(root)
    assert (train.names, val.names) == (["images/a.png", "images/b.png"], ["images/c.png"])
    assert not any("no caption" in note for note in train.notes + val.notes)
    assert open_captions(root, "val").names == val.names
    with pytest.raises(DataError, match=r"holds the splits train, valid; name one"):
        open_captions(root)
    with pytest.raises(DataError, match="no split 'test'"):
        open_captions(root, "test")


@pytest.mark.parametrize("kind", ["table", "texts"])
def test_splits_by_folders(tmp_path, kind):
    names = ["train/a.png", "train/b.png", "test/c.png"]
    save_pictures(tmp_path, names)
    if kind == "texts":
        for name in names:
            (tmp_path / name).with_suffix(".txt").write_text(f"a star of {name}")
    else:
        lines = [f"{name},a star of {name}" for name in names]
        (tmp_path / "metadata.csv").write_text("\n".join(["file_name,text", *lines]))
    train, val = caption_splits(tmp_path, val_fraction=0.5)
    assert sorted(train.names + val.names) == names[:2]
    assert open_captions(tmp_path, "test").names == names[2:]
    save_pictures(tmp_path, ["other/d.png"])
    (tmp_path / "other/d.txt").write_text("a ring")
    with (tmp_path / "metadata.csv").open("a") as file:
        file.write("\nother/d.png,a ring" if kind == "table" else "file_name,label")
    with pytest.raises(DataError, match=r"folders of the splits t.*, but other/d.png"):
        open_captions(tmp_path)


def test_splits_of_coco(tmp_path):
    root = write_coco(tmp_path / "set", "annotations/captions_train2017.json")
    write_coco(root, "annotations/captions_val2017.json")
    train, val = caption_splits(root)
    assert len(train) == len(val) == 3
    assert open_captions(root / "annotations" / "captions_val2017.json").names == val.names


def test_held_out(tmp_path):
    train, val = caption_splits(write_table(tmp_path / "set"), val_fraction=0.3, seed=3)
    assert (len(train), len(val)) == (2, 1)
    assert contents(train) | contents(val) == CAPTIONS
    other = write_table(tmp_path / "other")
    train, val = caption_splits(tmp_path / "set", other)
    assert contents(train) == contents(val) == CAPTIONS
    assert val.notes[-1] == f"validation: {other}"


def test_a_subset_keeps_what_concerns_it(tmp_path):
    rows = [("images/a.png", ""), ("images/a.png", "a star"), ("images/b.png", "a ring"), ("images/x.png", "none")]
    dataset = open_captions(write_table(tmp_path / "set", rows=rows))
    assert set(dataset.skipped) == {"metadata.csv, line 2", "metadata.csv, line 5"}
    assert contents(dataset.subset([1])) == {"images/b.png": ("a ring",)}
    assert set(dataset.subset([1]).skipped) == {"metadata.csv, line 5"}


def test_a_metadata_table_in_each_split(tmp_path):
    for split, name in (("train", "a.png"), ("train", "b.png"), ("test", "c.png")):
        save_pictures(tmp_path, [f"{split}/{name}"])
        with (tmp_path / split / "metadata.jsonl").open("a") as file:
            file.write(json.dumps({"file_name": name, "text": f"a star of {name}"}) + "\n")
    train, val = caption_splits(tmp_path, val_fraction=0.5)
    assert sorted(train.names + val.names) == ["train/a.png", "train/b.png"]
    assert contents(open_captions(tmp_path, "test")) == {"test/c.png": ("a star of c.png",)}


def test_names_relative_to_another_folder(tmp_path):
    root = write_table(
        tmp_path / "set", "captions.txt", ("image", "caption"), [("a.png", "a star"), ("b.png", "a ring")]
    )
    dataset = open_captions(root)
    assert contents(dataset) == {"images/a.png": ("a star",), "images/b.png": ("a ring",)}
    assert "file names of captions.txt are relative to images/" in dataset.notes


def test_flickr30k(tmp_path):
    save_pictures(tmp_path)
    lines = ["image_name| comment_number| comment"]
    lines += [f'{name}.png| {k}| A "{name}" , seen {k} times .' for name in "abc" for k in (0, 1)]
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n")
    dataset = open_captions(tmp_path)
    assert dataset.names == ["images/a.png", "images/b.png", "images/c.png"]
    assert dataset.captions(1) == ('A "b" , seen 0 times .', 'A "b" , seen 1 times .')


def test_semicolons(tmp_path):
    save_pictures(tmp_path)
    text = 'file_name;caption\nimages/a.png;"a; b"\nimages/b.png;c, d\n'
    (tmp_path / "metadata.csv").write_text(text)
    dataset = open_captions(tmp_path)
    assert [dataset.captions(i) for i in range(len(dataset))] == [("a; b",), ("c, d",)]


def test_json_beside_the_pictures(tmp_path):
    save_pictures(tmp_path)
    for name in "abc":
        (tmp_path / f"images/{name}.json").write_text(json.dumps({"url": "x", "caption": f"thing {name}"}))
    (tmp_path / "stats.json").write_text('{"count": 3}')
    dataset = open_captions(tmp_path)
    assert [dataset.captions(i) for i in range(3)] == [("thing a",), ("thing b",), ("thing c",)]
    (tmp_path / "images/b.json").write_text('{"url": "x"}')
    with pytest.raises(DataError, match=r"b\.json has no caption"):
        open_captions(tmp_path, on_error="fail")
