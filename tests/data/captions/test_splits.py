"""Splits of captioned pictures: by a column, and by captions that pictures share."""

import json

import pytest

from saccade.data.captions import caption_splits, open_captions
from saccade.data.captions.sets import SHARED, caption_groups, caption_key, held_out_groups
from saccade.errors import DataError

from .captioned_sets import save_pictures, write_json_lines, write_table

COLUMNS = ("file_name", "text", "split")
ROWS = [
    ("images/a.png", "a star", "train"),
    ("images/a.png", "a red star", "train"),
    ("images/b.png", "a ring", " test "),
    ("images/c.png", "a disc", "validation"),
]


@pytest.mark.parametrize("write", [write_table, write_json_lines])
def test_a_column(tmp_path, write):
    root = write(tmp_path / "set", columns=COLUMNS, rows=ROWS)
    train, val = caption_splits(root, on_error="fail")
    assert (train.names, val.names) == (["images/a.png"], ["images/c.png"])
    assert train.captions(0) == ("a star", "a red star")
    assert open_captions(root, "test").names == ["images/b.png"]
    assert not any("not read" in note or "no caption" in note for note in train.notes + val.notes)
    with pytest.raises(DataError, match="holds the splits train, test, validation; name one"):
        open_captions(root)


@pytest.mark.parametrize("blank", ["", " ", None])
def test_a_row_without_a_split(tmp_path, blank):
    root = write_json_lines(tmp_path / "set", columns=COLUMNS, rows=[*ROWS, ("images/b.png", "a ball", blank)])
    assert open_captions(root, "train").skipped == {
        "metadata.jsonl, line 5": "metadata.jsonl, line 5 names no split; train, val or test expected in its column"
    }


def test_a_picture_in_two_splits(tmp_path):
    root = write_table(tmp_path / "set", columns=COLUMNS, rows=[*ROWS, ("images/b.png", "a ball", "train")])
    with pytest.raises(
        DataError, match=r"images/b.png is in the splits test \(metadata.csv, line 4\) and train \(metadata.csv, line 6"
    ):
        open_captions(root, "train")


def test_splits_without_a_role(tmp_path):
    rows = [*ROWS[:2], ("images/b.png", "a ring", "restval"), ROWS[3]]
    root = write_table(tmp_path / "set", columns=COLUMNS, rows=rows)
    train, val = caption_splits(root)
    assert len(train) == len(val) == 1
    assert val.notes[-1].endswith("; the split restval is not used")
    rows = [(*row[:2], f"fold {i}") for i, row in enumerate((ROWS[0], ROWS[3]), start=1)]
    root = write_table(tmp_path / "other", columns=COLUMNS, rows=rows)
    with pytest.raises(DataError, match=r"no split for training \(found: fold 1, fold 2\)"):
        caption_splits(root)


def test_a_column_in_tables_that_are_splits(tmp_path):
    root = write_table(tmp_path / "set", "train.csv", COLUMNS, ROWS[:2])
    write_table(root, "val.csv", COLUMNS, ROWS[2:])
    train, val = caption_splits(root)
    assert (len(train), len(val)) == (1, 2)
    assert any("column split of the tables was not read" in note for note in train.notes)


def test_groups_by_hand():
    texts = [("a",), ("b", "c"), ("d",), ("c", "a"), ("e",), ("d ",)]
    assert caption_groups(texts) == [[0, 1, 3], [2, 5], [4]]
    many = [("a photo", f"number {i}") for i in range(SHARED)]
    assert caption_groups(many) == [list(range(SHARED))]
    assert len(caption_groups([*many, ("a photo",)])) == SHARED + 1
    assert caption_key(" 별\n하나 ") == caption_key("\u1107\u1167\u11af 하나")


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_whole_groups_are_held_out(fraction):
    groups = [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(11)]
    found = held_out_groups(groups, fraction, 5, "set")
    assert all(set(group) <= set(found) or set(group).isdisjoint(found) for group in groups)
    assert len(found) == max(3, round(fraction * 33) // 3 * 3)
    assert found == held_out_groups(groups, fraction, 5, "set")
    with pytest.raises(DataError, match="all pictures of set share captions"):
        held_out_groups(groups[:1], fraction, 5, "set")


def test_pictures_of_one_caption_are_in_one_split(tmp_path):
    codes = ["1f600", "1f601", "1f602", "1f603"]
    save_pictures(tmp_path, [f"{designer}/{code}.png" for designer in ("x", "y", "z") for code in codes])
    lines = ["code\tname\tkeywords", *(f"{code}\tface {code}\tface, happy" for code in codes), "1f604\tgone\t"]
    (tmp_path / "captions.tsv").write_text("\n".join(lines))
    train, val = caption_splits(tmp_path, val_fraction=0.25)
    assert len(train) + len(val) == 12
    held_out = {name.split("/")[1] for name in val.names}
    assert len(val) == 3 * len(held_out) > 0
    assert all(name.split("/")[1] not in held_out for name in train.names)
    assert val.captions(0) == (f"face {val.names[0][2:].removesuffix('.png')}",)
    assert f"{len(held_out)} names were held out, with all pictures and captions of each" in val.notes
    assert "the column code of captions.tsv was taken for names of pictures without folder and suffix" in val.notes
    reason = "captions.tsv, line 6 names 1f604, and no picture has this name; add or remove it"
    assert val.skipped == {"captions.tsv, line 6": reason}


def test_captions_that_cannot_be_used(tmp_path):
    def read(caption):
        if len(caption) > 6:
            raise DataError("is too long")

    dataset = open_captions(write_table(tmp_path / "set", columns=COLUMNS, rows=[(*row[:2], "all") for row in ROWS]))
    part = dataset.readable_captions(read)
    assert [part.captions(i) for i in range(len(part))] == [("a star",), ("a ring",), ("a disc",)]
    assert part.skipped == {"images/a.png, caption 2": "images/a.png, caption 2: is too long"}
    assert part.subset([1]).skipped == {}
    assert dataset.captions(0) == ("a star", "a red star")
    fewer = dataset.readable_captions(lambda caption: read(caption + "." * caption.count("r")))
    assert fewer.names == ["images/c.png"]
    assert fewer.picture(0).image.size == dataset.picture(2).image.size
    with pytest.raises(DataError, match=r"no caption that can be used: images/a\.png, caption 1: is too"):
        dataset.readable_captions(lambda caption: read("far too long"))
    strict = open_captions(tmp_path / "set", on_error="fail")
    with pytest.raises(DataError, match=r"images/a.png: is too long"):
        strict.readable_captions(read)


QUOTES = {
    "as CSV": ('a.png\t"a ""blue"" ring"\nb.png\ta disc', ['a "blue" ring', "a disc"]),
    "enclosing": ('"a.png"\t"a star"\n"b.png"\t""', ["a star"]),
    "over lines": ('a.png\t"a star\nand a ring"\nb.png\ta disc', ["a star\nand a ring", "a disc"]),
    "as they are": ('a.png\t"A" is a letter\nb.png\ta "disc"', ['"A" is a letter', 'a "disc"']),
    "open": ('a.png\t"a star\nb.png\ta disc"', ['"a star', 'a disc"']),
    "inch": ('a.png\ta disc of 3"\nb.png\t"', ['a disc of 3"', '"']),
    "around lines": ('a.png\t"A" is a letter\nb.png\nb.png\ta "disc"', ['"A" is a letter', 'a "disc"']),
    "two that do not belong together": ('a.png\t"a star\nb.png\nb.png\ta disc"', ['"a star', 'a disc"']),
    "and a bad line": ('a.png\t"A" is a letter\nb.png\nb.png\ta disc', ['"A" is a letter', "a disc"]),
}


@pytest.mark.parametrize("kind", QUOTES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_in_tsv(tmp_path, kind, end):
    text, captions = QUOTES[kind]
    save_pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "captions.tsv").write_bytes(f"file_name\tcaption\n{text}\n".replace("\n", end).encode())
    dataset = open_captions(tmp_path)
    found = [caption.replace("\r\n", "\n") for i in range(len(dataset)) for caption in dataset.captions(i)]
    assert found == captions
    as_text = any("quotes in captions.tsv are not those of CSV: they were kept as text" in n for n in dataset.notes)
    assert as_text is (kind not in ("as CSV", "enclosing", "over lines"))


def test_a_stem_in_json_lines_and_a_missing_split(tmp_path):
    save_pictures(tmp_path, ["x/1.png", "y/1.png", "x/2.png"])
    lines = [{"key": "1", "caption": "a star", "split": "train"}, {"key": "2", "caption": "a ring"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    dataset = open_captions(tmp_path)
    assert dataset.names == ["x/1.png", "y/1.png"]
    assert list(dataset.skipped) == ["metadata.jsonl, line 2"]
