"""Files that Pillow does not read: formats of extras, and what stands in place of files that were never fetched."""

import os
import struct
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from saccade.data.decoders import MAX_TIFF_BYTES
from saccade.data.files import WalkReport, find_images, walk
from saccade.data.images import read_image, read_size
from saccade.data.segments.decode_mask import read_mask
from saccade.data.store import open_store, read_bytes
from saccade.errors import DataError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
FOREIGN = {
    "a pointer of Git LFS": POINTER,
    "a pointer of git-annex": b"../.git/annex/objects/Xf/k/SHA256E-s1--0.png/SHA256E-s1--0.png\n",
    "a web page": b"\n<!DOCTYPE html><html><body>Sign in</body></html>",
    "the error message of a server": b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>',
    "zeros only": bytes(4096),
}


@pytest.mark.parametrize(("what", "data"), FOREIGN.items(), ids=FOREIGN)
def test_files_that_were_never_fetched_are_named(tmp_path: Path, what: str, data: bytes):
    for name in ("a.tif", "b.jpg", "c.json"):
        (tmp_path / name).write_bytes(data)
    readers = (
        lambda: read_image(tmp_path / "a.tif"),
        lambda: read_image(data, name="b.jpg"),
        lambda: read_size(tmp_path / "b.jpg", "b.jpg"),
        lambda: read_mask(tmp_path / "a.tif", "a.tif"),
        lambda: read_bytes(open_store(tmp_path), "c.json"),
        lambda: open_store(tmp_path / "b.jpg"),
    )
    for read in readers[:-1] if "zeros" in what else readers:  # an empty tar is zeros, too
        with pytest.raises(DataError, match=what):
            read()


def tiff(bands: int, photometric: int) -> bytes:
    """A TIFF of 5 x 3 pixels with band i all i."""
    pixels = bytes(i for _ in range(15) for i in range(bands))
    tags = [(256, 3), (257, 5), (258, 8), (259, 1), (262, photometric), (273, 8), (277, bands), (278, 5),
            (279, len(pixels)), (284, 1)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory


@pytest.fixture
def stub_tifffile(monkeypatch: pytest.MonkeyPatch):
    """tifffile, for the one page of `pages`."""
    pages: list[SimpleNamespace] = []

    class TiffFile:
        def __init__(self, file: object):
            self.pages = pages

        def __enter__(self) -> "TiffFile":
            return self

        def __exit__(self, *_: object) -> None: ...

    module = ModuleType("tifffile")
    module.TiffFile = TiffFile  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tifffile", module)
    return pages


def page(pixels: np.ndarray, axes: str, photometric: int) -> SimpleNamespace:
    return SimpleNamespace(
        shape=pixels.shape, axes=axes, photometric=photometric, size=pixels.size, dtype=pixels.dtype,
        asarray=lambda: pixels,
    )  # fmt: skip


@pytest.mark.parametrize("axes", ["YXS", "SYX"])
def test_bands_that_are_marked_as_colours(stub_tifffile: list, axes: str):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 8), dtype=np.uint8)
    stub_tifffile.append(page(pixels if axes == "YXS" else np.moveaxis(pixels, -1, 0), axes, photometric=2))
    picture = read_image(tiff(8, 2))
    np.testing.assert_array_equal(np.asarray(picture.image), pixels[..., :3])
    assert picture.notes == ("TIFF of 8 bands: the first three are red, green and blue",)


def test_bands_without_colours_are_not_guessed(stub_tifffile: list):
    stub_tifffile.append(page(np.zeros((5, 3, 8), np.uint8), "YXS", photometric=1))
    with pytest.raises(DataError, match="has 8 bands, of which none is marked as red, green or blue; write the three"):
        read_image(tiff(8, 1))
    stub_tifffile[0].size = MAX_TIFF_BYTES + 1
    with pytest.raises(DataError, match="at most 2 GiB"):
        read_image(tiff(8, 1))


def test_formats_of_extras_that_are_not_installed(monkeypatch: pytest.MonkeyPatch):
    for module in ("tifffile", "pillow_heif"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=r"many bands; the extra 'tiff' reads more: pip install '\.\[tiff\]'"):
        read_image(tiff(8, 2))
    with pytest.raises(DataError, match=r"is HEIC, which the extra 'heic' reads: pip install '\.\[heic\]'"):
        read_image(struct.pack(">I", 24) + b"ftypheic" + bytes(64), name="IMG_1.HEIC")


def test_links_that_lead_out_and_closed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inside, outside = tmp_path / "set", tmp_path / "other"
    for folder in (inside / "a", inside / "closed", outside):
        folder.mkdir(parents=True)
        (folder / "1.png").touch()
    (inside / "b").symlink_to(outside)
    (inside / "near").symlink_to(inside / "a" / "1.png")
    (inside / "far.png").symlink_to(outside / "1.png")
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    store = open_store(inside)
    assert sorted(store.files) == ["a/1.png", "b/1.png", "far.png", "near"]
    lead, closed = store.notes
    assert lead.startswith("2 links lead out of the folder and were followed: ")
    assert f"b -> {outside}" in lead
    assert closed == "1 folders could not be entered and are left out: closed (Permission denied)"
    walked = WalkReport()
    assert len(list(walk(inside, walked))) == 3
    assert len(walked.outside) == 2
    skipped: dict[str, str] = {}
    assert len(find_images(inside, skipped=skipped)) == 3
    assert skipped == {str(inside / "closed"): f"{inside / 'closed'} could not be entered (Permission denied)"}
    with pytest.raises(DataError, match="closed could not be entered"):
        find_images(inside)
