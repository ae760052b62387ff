"""Captions that cannot be used: each is left out with a line that names it, or raises; nothing is repaired."""

import json
import unicodedata

import pytest

from saccade.data.captions import caption_splits, open_captions
from saccade.data.captions.sidecar_files import find_texts
from saccade.data.films.store import FilmStore
from saccade.errors import DataError

from .captioned_sets import CAPTIONS, save_pictures, write_coco, write_json_lines, write_table, write_texts

GOOD = ("images/c.png", "a disc")


def refused(root, where: str, text: str) -> None:
    """Only GOOD can be used of the set, and `where` is why: in `skipped`, or raised."""
    dataset = open_captions(root)
    assert dataset.names == [GOOD[0]]
    assert dataset.captions(0) == (GOOD[1],)
    assert list(dataset.skipped) == [where]
    assert dataset.skipped[where].startswith(where)
    assert text in dataset.skipped[where]
    assert dataset.skipped[where].isprintable()
    with pytest.raises(DataError) as caught:
        open_captions(root, on_error="fail")
    assert text in str(caught.value)


BAD = {
    "": "has no caption for images/a.png; write one",
    " \t ": "has a blank caption for images/a.png",
    "\u3000\u200b": "has a blank caption for images/a.png",
    "a\x00star": r"that holds the control character '\x00': remove it",
    "a\x1b[31mstar": r"that holds the control character '\x1b': remove it",
    "\ufeffa star": r"that holds the control character '\ufeff': remove it",
}


@pytest.mark.parametrize("write", [write_table, write_json_lines])
@pytest.mark.parametrize("caption", BAD)
def test_captions(tmp_path, caption, write):
    root = write(tmp_path / "set", rows=[("images/a.png", caption), GOOD])
    line = 1 + (write is write_table)
    refused(root, f"{'metadata.csv' if line == 2 else 'metadata.jsonl'}, line {line}", BAD[caption])


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        (7, "has 7 (int) as a caption for images/a.png; text expected"),
        (None, "has no caption for images/a.png"),
        (True, "has True (bool) as a caption"),
        ({"en": "a star"}, "has {'en': 'a star'} (dict) as a caption"),
        ("a \ud800 star", r"holds '\ud800', half of a surrogate pair"),
    ],
)
def test_captions_in_json(tmp_path, caption, text):
    root = write_json_lines(tmp_path / "set", rows=[GOOD, ("images/a.png", caption)])
    refused(root, "metadata.jsonl, line 2", text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", "is not valid JSON"),
        ('["images/a.png", "a star"]', "is not a JSON object; one with file_name and text expected"),
        ('"a star"', "is text in quotes; a JSON object in braces expected"),
        ('{"file_name": "images/a.png", "text": "a star", "text": "a ring"}', "the key text occurs twice"),
        ('{"text": "a star"}', "names nothing as its picture; a file name expected"),
        ('{"file_name": 7, "text": "a star"}', "names '7' as its picture"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_lines_of_json(tmp_path, line, text):
    root = write_json_lines(tmp_path / "set", rows=[GOOD])
    with (root / "metadata.jsonl").open("a") as file:
        file.write(f"\n{line}\n")
    refused(root, "metadata.jsonl, line 3", text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("images/a.png,a star, left of a ring", "has 3 fields and the header 2; put quotes around"),
        ("images/a.png", "has 1 fields and the header 2"),
        (",a star", "names nothing as its picture"),
        ("images/x.png,a star", "names images/x.png, which is not there; add or remove it"),
        ("IMAGES/A.PNG,a star", "names IMAGES/A.PNG, which is not there"),
    ],
)
def test_lines_of_csv(tmp_path, line, text):
    root = write_table(tmp_path / "set", rows=[GOOD])
    with (root / "metadata.csv").open("a") as file:
        file.write(f"\n{line}\n")
    refused(root, "metadata.csv, line 4", text)


@pytest.mark.parametrize("name", ["../out.png", "/etc/passwd", "images/../../out.png", "C:/a.png", "..\\out.png"])
@pytest.mark.parametrize("on_error", ["skip", "fail"])
def test_names_outside_the_folder(tmp_path, name, on_error):
    save_pictures(tmp_path, ["out.png"])
    root = write_table(tmp_path / "set", rows=[GOOD, (name, "a star")])
    with pytest.raises(DataError, match=r"line 3 has the file name .* which points outside the set; refused"):
        open_captions(root, on_error=on_error)


def test_a_repeated_caption(tmp_path):
    root = write_table(tmp_path / "set", rows=[GOOD, GOOD])
    refused(root, "metadata.csv, line 3", "repeats a caption of images/c.png; left out")


def test_pictures_without_captions_are_named(tmp_path):
    root = write_table(tmp_path / "set", rows=[GOOD])
    dataset = open_captions(root, on_error="fail")
    assert dataset.names == [GOOD[0]]
    assert dataset.notes[-1] == "2 pictures have no caption and are left out: images/a.png, images/b.png"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("file_name,label", "has the columns file_name, label; file_name (or image, filename, path) and caption"),
        ("name,text", "has the columns name, text; file_name"),
        ("images/a.png,a star", "has the columns images/a.png, a star; file_name"),
        ("file_name:text", "has the columns file_name:text; file_name"),
        ("file_name,text,caption", "has the columns text, caption, any of which could be meant; keep one"),
        ("file_name,text,text", "has the columns text, text, any of which could be meant; keep one"),
        ("file_name,image,text", "has the columns file_name, image, any of which could be meant; keep one"),
        ("", "is empty; a header with file_name"),
    ],
)
def test_headers(tmp_path, header, text):
    root = write_table(tmp_path / "set")
    (root / "metadata.csv").write_text(f"{header}\nimages/a.png,a star\n" if header else "")
    for source in (root, root / "metadata.csv"):
        with pytest.raises(DataError) as caught:
            open_captions(source)
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('images/a.png,"a star', "line 2 cannot be read .*; a field that begins with a quote ends with one"),
        ('images/a.png,"a red" star\n', "line 2 cannot be read .*; a field that begins with a quote"),
        ('images/a.png,"a star\nimages/b.png,"a ring\n', "line 3 cannot be read"),
        (f"images/a.png,{'a' * 200_000}\n", "line 2 cannot be read .*field larger"),
    ],
)
def test_quotes(tmp_path, text, message):
    root = write_table(tmp_path / "set")
    (root / "metadata.csv").write_text(f"file_name,text\n{text}")
    with pytest.raises(DataError, match=message):
        open_captions(root)


@pytest.mark.parametrize("encoding", ["utf-16", "cp949"])
def test_other_encodings(tmp_path, encoding):
    root = write_table(tmp_path / "set")
    text = (root / "metadata.csv").read_text(encoding="utf-8")
    (root / "metadata.csv").write_text(text, encoding=encoding)
    with pytest.raises(DataError, match=r"is not UTF-8 text \(byte \d+\); convert it"):
        open_captions(root)


def test_several_tables(tmp_path):
    root = write_table(tmp_path / "set", "a.csv")
    write_table(root, "b.tsv")
    with pytest.raises(DataError, match=r"several files with captions \(a.csv, b.tsv\).*; give one of them"):
        open_captions(root)


def test_a_table_that_cannot_be_read_beside_one_that_can(tmp_path):
    root = write_table(tmp_path / "set", "train.csv")
    (root / "val.csv").write_bytes(b"\xff\xfe")
    (note,) = (note for note in open_captions(root).notes if "val.csv" in note)
    assert note.startswith("val.csv was not read: ")
    assert "is not UTF-8 text" in note


def test_nothing_to_read(tmp_path):
    with pytest.raises(DataError, match=r"no captions that can be read \(found: nothing\); a table with a header"):
        open_captions(tmp_path)
    root = write_table(tmp_path / "set", rows=[("images/x.png", "a star")])
    with pytest.raises(DataError, match=r"has no picture with a caption: metadata.csv, line 2 names images/x.png"):
        open_captions(root)
    with pytest.raises(DataError, match='"skip" or "fail" expected'):
        open_captions(write_texts(tmp_path / "texts"), on_error="warn")


def test_text_files(tmp_path):
    root = write_texts(tmp_path / "set")
    (root / "images/a.txt").write_text(" \n\n")
    (root / "images/b.txt").write_bytes("별".encode("cp949"))
    (root / "images/d.txt").write_text("a star")
    (root / "images/readme.txt").write_text("about this set")
    dataset = open_captions(root)
    assert dataset.names == ["c.png"]
    assert dataset.skipped["a.txt"] == "a.txt has no caption for a.png; write one or remove the entry"
    assert "is not UTF-8 text" in dataset.skipped["b.txt"]
    assert dataset.skipped["d.txt"] == "d.txt lies beside no picture of its name; add the picture or remove it"
    assert len(dataset.skipped) == 3


def test_text_files_of_another_suffix(tmp_path):
    root = write_texts(tmp_path / "set")
    expected = [open_captions(root).captions(i) for i in range(len(open_captions(root)))]
    for text in root.glob("images/*.txt"):
        text.rename(text.with_suffix(".caption"))
    dataset = open_captions(root)
    assert [dataset.captions(i) for i in range(len(dataset))] == expected


def test_what_holds_no_captions_is_named(tmp_path):
    save_pictures(tmp_path, ["a.png"])
    (tmp_path / "d.json").write_text('{"images": [{"filename": "a.png", "sentences": [{"raw": "an ant"}]}]}')
    with pytest.raises(DataError, match=r"it holds Karpathy JSON of captions \(d.json\), which is not read; write its"):
        caption_splits(tmp_path)


def test_a_text_file_beside_two_pictures(tmp_path):
    root = write_texts(tmp_path / "set")
    save_pictures(root, ["images/a.jpg"])
    dataset = open_captions(root)
    assert dataset.names == ["b.png", "c.png"]
    assert "a.txt lies beside a.png and a.jpg; which it describes is unknown" in dataset.skipped["a.txt"].replace(
        "a.jpg and a.png", "a.png and a.jpg"
    )


def test_coco(tmp_path):
    file = write_coco(tmp_path / "set") / "annotations/captions_all.json"
    good = json.loads(file.read_text())

    def changed(key: str, *rows: object) -> str:
        file.write_text(json.dumps(good | {key: [*good[key], *rows]}))
        return str(file)

    dataset = open_captions(changed("annotations", {"id": 9, "image_id": 99, "caption": "a star"}, 7))
    assert [dataset.captions(i) for i in range(3)] == list(CAPTIONS.values())
    assert dataset.skipped["annotations/captions_all.json, annotation 9"].endswith(
        "is of image 99, which is not listed; add the image or remove it"
    )
    dataset = open_captions(changed("annotations", {"id": 9, "image_id": 7}, {"id": 10, "image_id": 7, "caption": 3}))
    assert ["has no caption for" in text or "has 3 (int)" in text for text in dataset.skipped.values()] == [True, True]
    dataset = open_captions(changed("images", {"id": 99, "file_name": "x.png"}))
    assert next(iter(dataset.skipped.values())).endswith("names x.png, which is not there; add or remove it")
    for row in ({"id": 7, "file_name": "d.png"}, {"file_name": "d.png"}, "d.png"):
        with pytest.raises(DataError, match="has an id that is missing or another image's"):
            open_captions(changed("images", row))
    with pytest.raises(DataError, match="which points outside the set"):
        open_captions(changed("images", {"id": 99, "file_name": "../../x.png"}))
    for text, message in (("{", "is not valid JSON"), ("[]", "is not a COCO captions file")):
        file.write_text(text)
        with pytest.raises(DataError, match=message):
            open_captions(file)


def test_names_in_another_normal_form(tmp_path):
    composed, decomposed = "별.png", unicodedata.normalize("NFD", "별.png")
    root = write_table(tmp_path / "set", rows=[GOOD, (decomposed, "a star")])
    save_pictures(root, [composed])
    refused(root, "metadata.csv, line 3", "which is there in another Unicode normal form (NFC or NFD)")


def test_an_entry_without_a_name_in_a_set_with_splits(tmp_path):
    save_pictures(tmp_path, ["train/a.png", "test/b.png"])
    (tmp_path / "metadata.csv").write_text("file_name,text\ntrain/a.png,a star\n,a disc\ntest/b.png,a ring\n")
    for split in ("train", "test"):
        dataset = open_captions(tmp_path, split)
        assert len(dataset) == 1
        assert list(dataset.skipped) == ["metadata.csv, line 3"]


def test_lists_of_pictures_beside_films_are_no_captions(tmp_path):
    """SegNet's CamVid: train.txt lists the files in train/ and in trainannot/."""
    for folder in ("train", "trainannot"):
        save_pictures(tmp_path, [f"{folder}/{i}.png" for i in range(4)])
    (tmp_path / "train.txt").write_text("".join(f"/x/train/{i}.png /x/trainannot/{i}.png\n" for i in range(4)))
    assert not find_texts(FilmStore(tmp_path))
