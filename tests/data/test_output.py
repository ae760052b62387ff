"""Files that are written whole or not at all, and never over what was read."""

import csv
import io
import os
import stat
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import SafetensorError

from saccade.data import output, tensor_files
from saccade.data.tensor_files import write_tensors
from saccade.errors import DataError


def test_check_refuses_before_any_work(tmp_path):
    photo = tmp_path / "own.png"
    photo.write_bytes(b"precious")
    link = tmp_path / "link.png"
    link.symlink_to(photo)
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "x", "is not a folder"), (link, "destroy")):
        with pytest.raises(DataError, match=message):
            output.check_writable(out, [photo, tmp_path / "missing.png"])
    output.check_writable(tmp_path / "new.html", [photo])
    assert photo.read_bytes() == b"precious"


def test_write_replaces_whole_files_and_keeps_their_mode(tmp_path):
    out = tmp_path / "page.html"
    output.write_file(out, b"one")
    out.chmod(0o640)
    output.write_file(out, b"two")
    assert out.read_bytes() == b"two"
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    out = tmp_path / "page.html"
    out.write_bytes(b"old")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="cannot be written there"):
        output.write_file(out, b"new")
    assert out.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["page.html"]


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_new_files_and_folders_have_the_permissions_of_the_umask(tmp_path, umask):
    output.write_file(tmp_path / "page.html", b"one")
    with output.atomic_folder(tmp_path / "set") as place:
        (place / "a").write_bytes(b"a")
        write_tensors({"a": torch.zeros(2)}, place / "b.safetensors")
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("page.html", "set")}
    assert modes == {"page.html": 0o640, "set": 0o750}
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "set").iterdir()} == {0o640}


def write_folder(out, names, replace=True):
    with output.atomic_folder(out, replace) as place:
        for name in names:
            (place / name).write_text(str(names))


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_as_a_whole(tmp_path, monkeypatch, exchange):
    out = tmp_path / "model"
    if not exchange:
        monkeypatch.setattr(output, "_exchange", lambda *_: False)
    for names in ("ab", "ab", "abc"):
        write_folder(out, names)
        assert {p.name: p.read_text() for p in out.iterdir()} == dict.fromkeys(names, names)
    write_folder(out, "a")  # what else it holds stays
    assert {p.name: p.read_text() for p in out.iterdir()} == {"a": "a", "b": "abc", "c": "abc"}
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_with_files_is_not_replaced_unless_that_is_meant(tmp_path):
    write_folder(tmp_path / "frames", "ab")
    with pytest.raises(DataError, match="frames cannot be written there"):
        write_folder(tmp_path / "frames", "c", replace=False)
    assert sorted(os.listdir(tmp_path / "frames")) == ["a", "b"]
    assert os.listdir(tmp_path) == ["frames"]


def test_everything_is_on_disk_before_the_folder_is_replaced(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda opened: done.append(Path(os.readlink(f"/proc/self/fd/{opened}")).name))
    monkeypatch.setattr(output, "_exchange", lambda *_: done.append("exchange") or True)
    for names in ("ab", "ab"):
        write_folder(tmp_path / "model", names)
    assert done[-2:] == ["exchange", tmp_path.name]
    assert {"a", "b"} <= set(done[4:-3])
    assert done[-3].startswith(".model-")


def test_leftovers_of_killed_writers_are_swept(tmp_path):
    for name in (".model-0123456789abcdef", ".model-mine", ".model2-0123456789abcdef"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("x")
    (tmp_path / ".model-0123456789abcde0").write_text("x")
    output.remove_leftovers(tmp_path / "model")
    assert sorted(os.listdir(tmp_path)) == [".model-mine", ".model2-0123456789abcdef"]


def full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_is_named_with_what_is_kept(tmp_path, monkeypatch, before):
    out = tmp_path / "page.html"
    if before:
        out.write_bytes(before)
    monkeypatch.setattr(os, "fsync", full)
    kept = "what was there before is kept" if before else "nothing of it is left"
    with pytest.raises(DataError, match=rf"page\.html cannot be written there \(No space left on device\), {kept}"):
        output.write_file(out, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize("message", ["Error while serializing: I/O error: No space left on device (os error 28)"])
def test_a_full_disk_for_tensors_is_an_error_of_the_system(tmp_path, monkeypatch, message):
    def failing(*_):
        raise SafetensorError(message)

    monkeypatch.setattr(tensor_files, "save_file", failing)
    with pytest.raises(OSError, match="No space left on device") as error:
        write_tensors({}, tmp_path / "a.safetensors")
    assert error.value.errno == 28


def test_errors_of_other_files_pass(tmp_path):
    with pytest.raises(FileNotFoundError), output.atomic_write(tmp_path / "out.json"):
        (tmp_path / "in" / "picture.png").read_bytes()
    assert os.listdir(tmp_path) == []


def test_devices_are_written_to(tmp_path):
    output.write_file(type(tmp_path)("/dev/null"), b"gone")
    assert not os.path.isfile("/dev/null")


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x.png", "@sum", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_cell_is_no_formula(text):
    assert output.csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a.png", "a=b", "1-2", "'=1", " =1", "고양이"])
def test_other_cells_stay(text):
    assert output.csv_cell(text) == text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_separator_of_a_spreadsheet_makes_a_formula_of_a_name(separator):
    """Programs of several countries open a .csv with ; and split pasted text at tabs."""
    names = ["a;=1+1.png", "a\t=1+1", "a|=1", 'a";=1', "b, c", "plain.png"]
    text = output.csv_table([["name", "score"], *([name, 0.5] for name in names)])
    cells = [cell for row in csv.reader(io.StringIO(text), delimiter=separator) for cell in row]
    assert not any(cell.startswith("=") for cell in cells)
    assert list(csv.reader(io.StringIO(text)))[1:] == [[name, "0.5"] for name in names]
    assert "\nplain.png,0.5\n" in text


def fill_in_part(out):
    with output.new_folder(out):
        (out / "images").mkdir()
        (out / "images" / "0.png").write_bytes(b"half")
        (out / "list.txt").write_bytes(b"0")
        full()


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_that_could_not_be_filled_is_as_it_was(tmp_path, made):
    out = tmp_path / "below" / "set"
    if not made:
        out.mkdir(parents=True)
    kept = "nothing of it is left" if made else "what was there before is kept"
    with pytest.raises(DataError, match=f"set cannot be written .*{kept}"):
        fill_in_part(out)
    assert out.exists() is not made
    assert list((tmp_path / "below").rglob("*")) == ([] if made else [out])
    with output.new_folder(out):
        (out / "list.txt").write_bytes(b"0")
    assert os.listdir(out) == ["list.txt"]


def test_pictures_are_written_whole_in_folders_that_are_made(tmp_path, monkeypatch):
    out = tmp_path / "a" / "b.png"
    output.write_png(out, Image.new("RGB", (3, 2), (1, 2, 3)))
    assert Image.open(out).getpixel((0, 0)) == (1, 2, 3)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match=r"b\.png cannot be written there .*what was there before is kept"):
        output.write_png(out, Image.new("RGB", (3, 2)))
    assert Image.open(out).getpixel((0, 0)) == (1, 2, 3)
    assert os.listdir(tmp_path / "a") == ["b.png"]
