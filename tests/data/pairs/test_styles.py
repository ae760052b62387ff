"""The same content in several styles: what is read, what is held out, and bad input."""

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from saccade.data.captions import caption_splits
from saccade.data.pairs import StyleSet, TwoFolders, pair_splits, style_splits
from saccade.data.pairs.splits import HoldOut
from saccade.errors import DataError

from ..conftest import noise
from .test_pairs import anything

DRAWN = {"ink": range(11), "oil": range(2, 13), "wax": (0, 5, 17)}


@pytest.fixture
def styles(tmp_path) -> Path:
    """Contents 0 to 10 in ink, 2 to 12 in oil; 0, 5 and 17 in wax."""
    for i, (style, numbers) in enumerate(DRAWN.items()):
        (tmp_path / "set" / style).mkdir(parents=True)
        for number in numbers:
            noise(7, 5, seed=100 * i + number).save(tmp_path / "set" / style / f"{number}.png")
    return tmp_path / "set"


def test_each_folder_is_a_style(styles):
    dataset = StyleSet(styles, anything)
    assert Counter(dataset.styles) == {"ink": 11, "oil": 11, "wax": 3}
    assert dataset.drawn_by_several() == ["0", *map(str, range(2, 11))]
    place = dataset.names.index("oil/7.png")
    assert (dataset.stems[place], dataset.styles[place]) == ("7", "oil")
    assert np.array_equal(dataset.picture(place).image, noise(7, 5, seed=107))
    assert "3 styles (ink, oil, wax), 14 names, 10 of them in several styles; 25 pictures" in dataset.notes[0]


@pytest.mark.parametrize("seed", range(5))
def test_held_out_contents_are_in_no_training_picture(styles, seed):
    train, val = style_splits(styles, HoldOut(0.3, seed), anything)
    assert not set(train.stems) & set(val.stems)
    assert sorted(train.names + val.names) == sorted(StyleSet(styles, anything).names)
    several = set(StyleSet(styles, anything).drawn_by_several())
    assert min(len(several & set(part.stems)) for part in (train, val)) >= 2
    assert style_splits(styles, HoldOut(0.3, seed), anything)[1].names == val.names


@pytest.mark.parametrize("seed", range(3))
def test_pairs_styles_and_captions_hold_out_the_same_names(tmp_path, seed):
    for style in ("ink", "oil"):
        (tmp_path / style).mkdir()
        for number in range(0 if style == "ink" else 20, 60):
            noise(3, 3, seed=number).save(tmp_path / style / f"{number}.png")
    (tmp_path / "captions.tsv").write_text("".join(["code\tname\n", *(f"{n}\tthe number {n}\n" for n in range(60))]))
    styles = set(style_splits(tmp_path, HoldOut(0.2, seed), anything)[1].stems)
    pairs = set(pair_splits(TwoFolders(tmp_path / "ink", tmp_path / "oil", anything), HoldOut(0.2, seed))[1].stems)
    captions = {PurePosixPath(name).stem for name in caption_splits(tmp_path, None, 0.2, seed)[1].names}
    assert styles == captions
    assert pairs == styles & set(map(str, range(20, 60)))
    assert 3 <= len(pairs) < len(styles) <= 24
    assert styles != set(style_splits(tmp_path, HoldOut(0.2, seed + 1), anything)[1].stems)


def test_a_file_names_the_contents_to_hold_out(styles, tmp_path):
    (tmp_path / "names.txt").write_text("5\n0\n17\n")
    train, val = style_splits(styles, HoldOut(file=tmp_path / "names.txt"), anything)
    assert sorted(val.names) == ["ink/0.png", "ink/5.png", "oil/5.png", "wax/0.png", "wax/17.png", "wax/5.png"]
    assert not set(train.stems) & {"0", "5", "17"}


def test_captions_of_the_set_and_of_its_folders(styles):
    (styles / "captions.tsv").write_text("code\tname\n3\tthree\n4\tfour\n")
    dataset = StyleSet(styles, anything)
    assert f"captions were read from {styles / 'captions.tsv'}" in dataset.notes
    texts = {name: dataset.captions(i) for i, name in enumerate(dataset.names) if dataset.captions(i)}
    assert texts == {f"{s}/{n}.png": (t,) for s in ("ink", "oil") for n, t in ((3, "three"), (4, "four"))}
    (styles / "oil" / "metadata.csv").write_text("file_name,text\n3.png,three in oil\n")
    (styles / "ink" / "captions.csv").write_text("file_name,text\n3.png,three in ink\n")
    dataset = StyleSet(styles, anything)
    texts = {name: dataset.captions(i) for i, name in enumerate(dataset.names) if dataset.captions(i)}
    assert texts == {"ink/3.png": ("three in ink",), "oil/3.png": ("three in oil",)}


def expect(text: str, source: Path) -> None:
    with pytest.raises(DataError) as error:
        style_splits(source, HoldOut(), anything)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_sets_that_teach_no_style(styles, tmp_path):
    (tmp_path / "empty").mkdir()
    expect("holds no folders with pictures (found: nothing)", tmp_path / "empty")
    expect("holds no folders with pictures (found: 11 .png)", styles / "ink")
    (styles / "wax").rename(tmp_path / "wax")
    (styles / "oil").rename(tmp_path / "oil")
    expect("holds one style, ink; the same content in at least two is needed", styles)
    (styles / "pen").mkdir()
    noise(5, 5).save(styles / "pen" / "x.png")
    expect("no picture of ink or pen has a name in common", styles)
    for i in range(3):
        noise(5, 5).save(styles / "pen" / f"{i}.png")
    expect("has 3 names in several styles; at least 4 are needed", styles)
    (styles / "ink").rename(styles / "train")
    (styles / "pen").rename(styles / "val")
    expect("holds splits (train, val), not styles", styles)
