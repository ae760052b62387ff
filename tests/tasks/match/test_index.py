"""The index of a folder's pictures."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from saccade.errors import DataError
from saccade.tasks.match.index import FileEntry, PictureIndex, default_index_file, entries_of, fingerprint

from .. import tiny

A, B, C = FileEntry("a.png", 5, 11), FileEntry("sub/b.png", 7, 13), FileEntry("별\udcff.png", 2, 3)


def index(*entries):
    return PictureIndex("m", entries, torch.arange(3.0 * len(entries)).view(-1, 3))


def test_an_index_is_read_as_it_was_saved(tmp_path):
    saved = index(A, B, C)
    saved.save(tmp_path / "index")
    read = PictureIndex.open(tmp_path / "index")
    assert (read.model, read.entries) == ("m", (A, B, C))
    assert torch.equal(read.vectors, saved.vectors)
    assert [path.name for path in tmp_path.iterdir()] == ["index"], "no temporary file is left"


def test_entries_are_selected_in_the_order_given():
    selected = index(A, B, C).select_indexed([C, FileEntry("new.png", 1, 1), A])
    assert selected.entries == (C, A)
    assert selected.vectors.tolist() == [[6, 7, 8], [0, 1, 2]]
    assert len(PictureIndex.empty("m").select_indexed([A])) == 0


def test_a_changed_file_is_missing():
    larger, touched = A._replace(size=6), B._replace(modified=14)
    assert index(A, B).missing([larger, touched, C, A]) == [larger, touched, C]
    assert index(A, B).select_indexed([larger, touched]).entries == ()


def test_entries_are_added():
    vectors = torch.tensor([[9.0, 9, 9]])
    more = index(A).extend([B], vectors)
    assert more.entries == (A, B)
    assert more.vectors.tolist() == [[0, 1, 2], [9, 9, 9]]
    assert PictureIndex.empty("m").extend([B], vectors).vectors.tolist() == [[9, 9, 9]]
    assert index(A).extend([], torch.zeros(0, 3)).entries == (A,)


def test_files_become_entries(tmp_path):
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "a.png"
    file.write_bytes(b"12345")
    os.utime(file, ns=(17, 19))
    assert entries_of(tmp_path, [file, tmp_path / "gone.png"]) == [FileEntry("sub/a.png", 5, 19)]


@pytest.mark.parametrize(
    "content",
    [
        {"vectors": torch.zeros(1, 2)},
        {"vectors": torch.zeros(1, 2), "entries": torch.zeros(3, dtype=torch.uint8)},
        {"vectors": torch.zeros(1, 2), "entries": torch.tensor(list(b"[]"), dtype=torch.uint8)},
        {"vectors": torch.zeros(1, 2), "entries": torch.tensor(list(b'[["a", 1]]'), dtype=torch.uint8)},
    ],
)
def test_files_that_are_no_index(content, tmp_path):
    file = tmp_path / "index"
    save_file(content, file, {"format": "saccade picture index 1", "model": "m"})
    with pytest.raises(DataError, match="is no index of pictures"):
        PictureIndex.open(file)


def test_weights_and_texts_are_no_index(tmp_path):
    save_file({"vectors": torch.zeros(1, 2)}, tmp_path / "weights", {"format": "pt"})
    (tmp_path / "text").write_text("no safetensors at all")
    for name in ("weights", "text"):
        with pytest.raises(DataError, match=r"is no index of pictures .*: delete it or choose another file"):
            PictureIndex.open(tmp_path / name)


def test_the_fingerprint_is_that_of_the_vectors():
    same, other, sized = tiny.task(), tiny.task(seed=1), tiny.task(size=20)
    assert fingerprint(tiny.task()) == fingerprint(same)
    with torch.no_grad():
        next(same.model.parameters()).flatten()[0].add_(1e-6)
    assert len({fingerprint(each) for each in (tiny.task(), same, other, sized)}) == 4


@pytest.mark.parametrize(
    ("model", "folder"),
    [("matcher", "search-matcher"), ("hf:openai/clip-b", "search-clip-b"), ("runs/cells/", "search-cells"),
     ("..", "search-model")],
)  # fmt: skip
def test_each_model_and_folder_has_its_file(model, folder, tmp_path):
    file = default_index_file(model, tmp_path / "photos")
    assert file.parent == Path("runs", folder)
    assert file.name.startswith("photos-")
    assert file == default_index_file(model, tmp_path / "other" / ".." / "photos")
    assert file != default_index_file(model, tmp_path / "other" / "photos")
