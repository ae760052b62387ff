"""Captioned pictures to train on: captions that are too long are left out with a note."""

import pytest
from PIL import Image

from saccade.errors import DataError
from saccade.options import DataOptions
from saccade.tasks.captions import captioned_splits


def photos(folder, captions):
    folder.mkdir()
    for i, texts in enumerate(captions):
        Image.new("RGB", (11, 7), (i * 20, 0, 90)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text("\n".join(texts))
    return folder


def test_long_captions_are_noted(tmp_path):
    texts = [[f"picture {i}"] for i in range(7)]
    texts[3] = ["one two three four five six"]
    texts[5].append("a b c d e f g")
    train, val = captioned_splits(
        DataOptions(data=photos(tmp_path / "a", texts), val=photos(tmp_path / "b", texts[:3])), 0, 5
    )
    assert (len(train), len(val)) == (6, 3)
    (note,) = [each for each in train.notes if "cannot read" in each]
    assert "2 captions of" in note
    assert "with 1 of 7 pictures, which have no other: 3.png, caption 1: " in note
    assert "has 6 words, more than 5" in note
    assert not any("cannot read" in each for each in val.notes)


def test_no_caption_left(tmp_path):
    with pytest.raises(DataError, match=r"no caption that can be used: .* has 2 words, more than 1"):
        captioned_splits(DataOptions(data=photos(tmp_path / "a", [[f"picture {i}"] for i in range(7)])), 0, 1)
