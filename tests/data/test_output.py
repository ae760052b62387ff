"""Files that are written whole or not at all, and never over what was read."""

import os
import stat

import pytest

from saccade.data import output
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

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="cannot be written there"):
        output.write_file(out, b"new")
    assert out.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["page.html"]


def test_devices_are_written_to(tmp_path):
    output.write_file(type(tmp_path)("/dev/null"), b"gone")
    assert not os.path.isfile("/dev/null")


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x.png", "@sum", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_cell_is_no_formula(text):
    assert output.csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a.png", "a=b", "1-2", "'=1", " =1", "고양이"])
def test_other_cells_stay(text):
    assert output.csv_cell(text) == text
