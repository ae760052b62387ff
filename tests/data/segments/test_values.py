"""What the values of masks stand for: classes, greys, edges, numbers of objects; with and without a list of classes."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from saccade.data.doctor import examine
from saccade.data.segments.sets import open_segments
from saccade.errors import DataError

SIZE = (61, 83)


def areas(i: int, first: int, second: int = 0) -> np.ndarray:
    """Two rectangles of picture i, of the values `first` and `second`, on 0."""
    mask = np.zeros(SIZE, np.uint8)
    mask[7:29, 11 + i : 41 + i] = first
    mask[37:53, 5:31] = second
    return mask


def smooth(mask: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).rotate(3, Image.Resampling.BICUBIC))


def bordered(mask: np.ndarray, value: int = 255) -> np.ndarray:
    edge = np.logical_or.reduce([binary_dilation(mask == k, iterations=2) & (mask != k) for k in np.unique(mask)])
    return np.where(edge, value, mask).astype(np.uint8)


def objects(i: int, step: int = 1, start: int = 1) -> np.ndarray:
    """Squares numbered in their order, another count in each picture."""
    mask, number = np.zeros(SIZE, np.uint16), start
    for k in range(11 + 3 * (i % 5)):
        mask[2 + 9 * (k // 8) :, :][:5, 3 + 10 * (k % 8) :][:, :6] = number
        number += step
    return mask


def write(root: Path, make, suffix: str = "png", classes: str | None = None, n: int = 7, file="classes.txt", **save):
    for i in range(n):
        made = make(i)
        image = made if isinstance(made, Image.Image) else Image.fromarray(made)
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "masks").mkdir(exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / "images" / f"{i}.png")
        image.save(root / "masks" / f"{i}.{suffix}", **save)
    if classes is not None:
        (root / file).write_text(classes)
    return root


@pytest.mark.parametrize("values", [(127, 255), (128, 255), (85, 170, 255), (51, 102, 153, 204, 255)])
def test_evenly_stepped_greys_are_classes(tmp_path, values):
    def make(i: int) -> np.ndarray:
        mask = areas(i, values[-1], values[0])
        for k, value in enumerate(values):
            mask[55:, 5 * k : 5 * k + 5] = value
        return mask

    dataset = open_segments(write(tmp_path / "set", make))
    assert dataset.classes == [f"class {value}" for value in (0, *values)]
    assert np.array_equal(dataset.mask(2), np.searchsorted((0, *values), make(2)))
    assert "255 is one, as the greys are evenly stepped" in dataset.notes[1]
    names = [f"n{k}" for k in range(len(values) + 1)]
    listed = open_segments(write(tmp_path / "listed", make, classes="\n".join(names)))
    assert listed.classes == names
    assert np.array_equal(listed.mask(2), np.searchsorted((0, *values), make(2)))


@pytest.mark.parametrize("numbers", [(1, 0), (1, 2), (100, 50)])
def test_255_is_ignored_where_it_is_a_border(tmp_path, numbers):
    make = lambda i: bordered(areas(i, *numbers))  # noqa: E731
    dataset = open_segments(write(tmp_path / "set", make))
    there = sorted({0, *numbers})
    assert dataset.classes == [f"class {value}" for value in there]
    expected = np.where(make(1) == 255, 255, np.searchsorted(there, make(1)))
    assert np.array_equal(dataset.mask(1), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda i: areas(i, 255, 100), r"the values 0, 100, 255, and no file names the classes: 255 may be one, or"),
        (lambda i: areas(i, 1, 255), r"the values 0, 1, 255, and no file"),
        (lambda i: np.where(areas(i, 1) > 0, 255, 1).astype(np.uint8), r"the values 1, 255, and no file"),
        (lambda i: areas(i, 255 if i % 2 else 1), r"masks with 0 and 1, and others with 0 and 255; one number"),
        (lambda i: areas(i, 0) + np.uint8(255), r"masks of the value 255 only; no pixel has a class"),
        (
            lambda i: smooth(areas(i, 255, 120)),
            r"of them on edges only: they were resized with smoothing",
        ),
        (
            lambda i: np.random.default_rng(i).integers(0, 256, SIZE, dtype=np.uint8),
            r"these are pictures",
        ),
        (lambda i: areas(i, 1, 2).astype(np.uint16) * 300, r"3 different values up to 600; at most 255 classes below"),
        (
            lambda i: objects(i, step=5),
            r"values that look like numbers of objects: each is one region",
        ),
    ],
)
def test_what_is_uncertain_is_refused(tmp_path, make, message):
    with pytest.raises(DataError, match=message):
        open_segments(write(tmp_path / "set", make))


@pytest.mark.parametrize("value", [120, 200])
def test_smooth_edges_of_a_grey(tmp_path, value):
    dataset = open_segments(write(tmp_path / "set", lambda i: smooth(areas(i, value))))
    assert dataset.classes == ["class 0", f"class {value}"]
    assert np.array_equal(dataset.mask(3), smooth(areas(3, value)) > value // 2)


def test_smooth_edges_take_the_nearer_class(tmp_path):
    for name, make in (("L", smooth), ("RGB", lambda mask: np.stack([smooth(mask)] * 3, -1))):
        for classes, names in ((None, ["class 0", "class 255"]), ("ground\nthing\n", ["ground", "thing"])):
            root = write(
                tmp_path / f"{name}{classes is None}", lambda i, make=make: make(areas(i, 255)), classes=classes
            )
            dataset = open_segments(root)
            assert dataset.classes == names
            assert np.array_equal(dataset.mask(3), smooth(areas(3, 255)) > 127)
            assert any("edges" in note for note in dataset.notes)


@pytest.mark.parametrize(("suffix", "save"), [("jpg", {"quality": 30}), ("webp", {"quality": 40}), ("tif", {})])
def test_black_and_white_in_lossy_formats(tmp_path, suffix, save):
    save = {"compression": "jpeg"} if suffix == "tif" else save
    dataset = open_segments(write(tmp_path / "set", lambda i: areas(i, 255), suffix, **save))
    assert dataset.classes == ["class 0", "class 255"]
    wrong = np.asarray(dataset.mask(4)) != (areas(4, 255) > 0)
    assert wrong.mean() < 0.01
    assert "from compression: 0 and 255 are the classes" in dataset.notes[1]


def test_other_lossy_masks_are_refused(tmp_path):
    with pytest.raises(DataError, match="that changes values as it compresses, and more than black and white in them"):
        open_segments(write(tmp_path / "greys", lambda i: areas(i, 255, 127), "jpg"))
    colours = lambda i: np.array([[0, 0, 0], [200, 0, 0], [0, 0, 200]], np.uint8)[areas(i, 1, 2)]  # noqa: E731
    with pytest.raises(DataError, match=r"0.jpg is a mask in JPEG, which changes values as it compresses"):
        open_segments(write(tmp_path / "colours", colours, "jpg"))


@pytest.mark.parametrize("smoothly", [False, True])
def test_a_table_of_black_and_white(tmp_path, smoothly):
    table = "name,r,g,b\nthing,255,255,255\nground,0,0,0\n"
    make = lambda i: smooth(areas(i, 255)) if smoothly else areas(i, 255)  # noqa: E731
    for kind in ("L", "RGB"):
        root = write(
            tmp_path / kind,
            lambda i, kind=kind: Image.fromarray(make(i)).convert(kind),
            classes=table,
            file="colors.csv",
        )
        dataset = open_segments(root)
        assert dataset.classes == ["thing", "ground"]
        assert np.array_equal(dataset.mask(1), make(1) <= 127)


@pytest.mark.parametrize("value", [1, 255])
def test_the_only_class_of_a_list_is_the_object(tmp_path, value):
    dataset = open_segments(write(tmp_path / "set", lambda i: areas(i, value), classes="polyp\n"))
    assert dataset.classes == ["background", "polyp"]
    assert np.array_equal(dataset.mask(0), areas(0, 1))


@pytest.mark.parametrize("make", [objects, lambda i: objects(i, start=1 + 100 * i)], ids=["1 to n", "unique"])
def test_numbers_of_objects_are_no_classes(tmp_path, make):
    dataset = open_segments(write(tmp_path / "set", make, "tif"))
    assert dataset.classes == ["background", "object"]
    assert np.array_equal(dataset.mask(2), make(2) > 0)
    assert any("masks number the objects of each picture" in note for note in dataset.notes)


def test_few_numbered_objects_are_classes_with_a_word(tmp_path):
    def make(i: int) -> np.ndarray:
        mask = objects(i)
        return np.where(mask <= 1 + i % 3, mask, 0)

    dataset = open_segments(write(tmp_path / "set", make))
    assert dataset.classes == ["class 0", "class 1", "class 2", "class 3"]
    assert "up to 1 in some and up to 3 in others, look like numbers of objects" in dataset.notes[2]
    listed = open_segments(write(tmp_path / "listed", make, classes="ground\ncell\n"))
    assert np.array_equal(listed.mask(2), make(2) > 0)


def test_objects_of_several_regions_are_doubted(tmp_path):
    """CVPPP: leaves that others cover in part."""

    def make(i: int) -> np.ndarray:
        mask = objects(i)
        mask[4::9] = 0
        return mask

    root = write(tmp_path / "set", make, n=5)
    with pytest.raises(DataError, match=r"24 different values that look like numbers of objects"):
        open_segments(root)

    def few(i: int) -> np.ndarray:
        return np.where((mask := make(i)) <= 3 + i, mask, 0)

    root = write(tmp_path / "few", few, n=5)
    doubt = "up to 3 in some and up to 7 in others, look like numbers of objects, and each was taken for a class"
    assert any(doubt in note and "background and object" in note for note in open_segments(root).notes)
    found = {each.kind: each.severity for each in examine(root).report.findings}
    assert found["mask of objects"] == "warning"
    (root / "classes.txt").write_text("background\nobject\n")
    dataset = open_segments(root)
    assert np.array_equal(dataset.mask(2), few(2) > 0)
    assert not any("look like" in note for note in dataset.notes)


def test_nested_classes_are_not_doubted(tmp_path):
    def make(i: int) -> np.ndarray:
        mask = np.where(areas(i, 1, 1) > 0, 1, 0)
        mask[9:27, 15 + i : 31 + i] = min(2, 1 + i % 3)
        mask[11:15, 17 + i : 21 + i] = 1 + i % 3
        return mask.astype(np.uint8)

    assert not any("look like" in note for note in open_segments(write(tmp_path / "set", make)).notes)


def paletted(mask: np.ndarray, colours: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(mask)
    image.putpalette([part for colour in colours for part in colour])
    return image


def test_palettes_that_number_colours_differently(tmp_path):
    black, white = (0, 0, 0), (255, 255, 255)

    def make(i: int) -> Image.Image:
        mask = areas(i, 1)
        return paletted(1 - mask, [white, black]) if i % 2 else paletted(mask, [black, white])

    for classes in (None, "ground\nthing\n"):
        dataset = open_segments(write(tmp_path / f"{classes is None}", make, classes=classes))
        assert all(np.array_equal(dataset.mask(i), areas(i, 1)) for i in range(7))
    with pytest.raises(DataError, match=r"the palettes of the masks of .* number colours differently"):
        open_segments(write(tmp_path / "colours", lambda i: paletted(areas(i, 1), [black, (9 * i, 7, 5)])))


def test_greys_of_four_bits_are_numbers(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    root = write(tmp_path / "set", lambda i: areas(i, 1, 2), classes="sky\nroad\ncar\n")
    for i in range(7):
        padded = np.pad(areas(i, 1, 2), ((0, 0), (0, SIZE[1] % 2)))
        rows = np.pad((padded[:, ::2] << 4) | padded[:, 1::2], ((0, 0), (1, 0)))
        header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 4, 0, 0, 0, 0)
        data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")
        (root / "masks" / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert np.array_equal(open_segments(root).mask(5), areas(5, 1, 2))


@pytest.mark.parametrize("scale", [255, 65535])
def test_masks_of_16_bits(tmp_path, scale):
    dataset = open_segments(write(tmp_path / "set", lambda i: areas(i, 1).astype(np.uint16) * scale))
    assert np.array_equal(dataset.mask(6), areas(6, 1))


def test_whole_numbers_in_floats(tmp_path):
    dataset = open_segments(write(tmp_path / "set", lambda i: areas(i, 1, 2).astype(np.float32), "tif"))
    assert np.array_equal(dataset.mask(6), areas(6, 1, 2))
    with pytest.raises(DataError, match="has fractions as values; whole numbers expected in a mask"):
        open_segments(write(tmp_path / "shares", lambda i: areas(i, 1).astype(np.float32) / 2, "tif"))


def test_values_are_taken_in_order_for_the_classes_of_a_model(tmp_path):
    root = write(tmp_path / "set", lambda i: areas(i, 255))
    assert np.array_equal(open_segments(root, classes=["ground", "thing"]).mask(0), areas(0, 1))
    with pytest.raises(DataError, match="2 values up to the highest possible one; 3 classes expected: list them"):
        open_segments(root, classes=["a", "b", "c"])
