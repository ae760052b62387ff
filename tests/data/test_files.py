"""Finding picture files."""

import os
from pathlib import Path

import pytest

from saccade.data import find_images
from saccade.data.files import escape, natural_key
from saccade.data.images import read_image
from saccade.data.store import open_store
from saccade.errors import DataError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("10.png", "2.PNG", "1.jpg", "notes.txt", "sub/3.webp", ".hidden.png", "__MACOSX/4.png", "sub/._3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_folder_in_natural_order(tree: Path):
    assert [p.relative_to(tree).as_posix() for p in find_images(tree)] == ["1.jpg", "2.PNG", "10.png", "sub/3.webp"]


def test_files_globs_and_repeats(tree: Path):
    found = find_images([tree / "notes.txt", f"{tree}/*.png", str(tree / "10.png"), f"{tree}/**/*.webp"])
    assert [p.name for p in found] == ["notes.txt", "10.png", "3.webp"]


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path):
    (tmp_path / "a[1].png").touch()
    assert find_images(tmp_path / "a[1].png") == [tmp_path / "a[1].png"]


def test_links_in_a_circle(tree: Path):
    os.symlink(tree, tree / "sub" / "loop")
    assert len(find_images(tree)) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_never_opened(tree: Path):
    found = find_images(tree)
    os.mkfifo(tree / "sub" / "pipe.png")
    os.symlink(os.devnull, tree / "device.png")
    assert find_images(tree) == found
    assert not {"sub/pipe.png", "device.png"} & set(open_store(tree).files)
    os.symlink(tree / "1.jpg", tree / "linked.jpg")
    os.symlink(tree / "gone.jpg", tree / "nowhere.jpg")
    assert {"linked.jpg", "nowhere.jpg"} <= set(open_store(tree).files)
    for path in (tree / "sub" / "pipe.png", tree / "device.png"):
        with pytest.raises(DataError, match="is not a regular file; a picture file was expected"):
            read_image(path)
        with pytest.raises(DataError, match="is neither a folder nor a regular file"):
            open_store(path)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("none", "does not exist"), ("*.gif", "no picture matches"), ("*.txt", "1 .txt"), ("empty", "found: nothing")],
)
def test_errors(tree: Path, pattern: str, words: str):
    (tree / "empty").mkdir()
    with pytest.raises(DataError, match=words.replace(".", r"\.")):
        find_images(tree / pattern)
    with pytest.raises(DataError, match="no pictures were named"):
        find_images([])


def test_the_error_names_the_contents_of_a_folder(tmp_path: Path):
    for name in ("a.txt", "b.txt", "c.csv"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"no pictures \(found: 2 \.txt, 1 \.csv\)"):
        find_images(tmp_path)


def test_names():
    assert sorted(["b10", "B2", "a", "b1"], key=natural_key) == ["a", "b1", "B2", "b10"]
    assert escape("a\x1b[1m\n강") == r"a\x1b[1m\n강"
    assert len(escape("x" * 5000)) < 300


def test_runs_inside_a_set_are_left_out(tmp_path: Path):
    for name in ("cat/1.png", "dog/1.png", "runs/a/data.png", "runs/a/model/x.png", "runs/val-a/confusion.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "runs/a/config.json").write_text('{"epochs": 1, "recipe": {}, "source": {"data": "."}}')
    (tmp_path / "runs/a/log.jsonl").touch()
    for name in ("scores.json", "pictures.csv"):
        (tmp_path / "runs/val-a" / name).touch()
    store = open_store(tmp_path)
    assert (sorted(store.files), store.folders) == (["cat/1.png", "dog/1.png"], {"cat", "dog"})
    assert len(store.notes) == 1
    assert store.notes[0].startswith("2 folders of runs of Saccade inside the set were left out: runs/")
    assert "data.png" in open_store(tmp_path / "runs" / "a").files  # a run that is given itself


@pytest.mark.parametrize("text", ["{}", "[", '{"recipe": 1, "source": {}}', "[" * 100_000])
def test_other_configs_are_no_runs(tmp_path: Path, text: str):
    (tmp_path / "a").mkdir()
    for name in ("1.png", "log.jsonl"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "a" / "config.json").write_text(text)
    assert "a/1.png" in open_store(tmp_path).files
