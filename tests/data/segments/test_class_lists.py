"""Lists of classes in the forms people write them."""

import json

import numpy as np
import pytest
from PIL import Image

from saccade.data.segments.class_lists import VOID, is_void, read_list, voc_palette
from saccade.data.segments.sets import open_segments
from saccade.data.store import open_store
from saccade.errors import DataError


def read(tmp_path, text, name="classes.txt"):
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_list(open_store(tmp_path), name, "")


def entries(tmp_path, text, name="classes.txt"):
    found = read(tmp_path, text, name)
    return [(each.name, each.value, each.colour) for each in found.entries]


PLAIN = [("sky", 0, None), ("traffic light", 1, None), ("3D sign", 2, None)]
TABLE = [("sky", 0, (128, 128, 1)), ("traffic light", 1, (2, 64, 3)), ("3D sign", 2, (0, 0, 192))]


@pytest.mark.parametrize(
    "text",
    [
        "sky\ntraffic light\n3D sign\n",
        "\ufeffsky\r\n\r\ntraffic light \r\n  3D sign",
        "# classes\nsky,\ntraffic light,\n3D sign,",
        "0 sky\n1 traffic light\n2 3D sign",
        "2: 3D sign\n0: sky\n1: traffic light",
        "0,sky\n1,traffic light\n2,3D sign",
        "Pixel Value, Class\n0, sky\n1, traffic light\n2, 3D sign",
        "sky,0\ntraffic light,1\n3D sign,2",
        "name\tid\nsky\t0\ntraffic light\t1\n3D sign\t2",
        "__ignore__\nsky\ntraffic light\n3D sign",
    ],
)
def test_names_and_numbers(tmp_path, text):
    assert entries(tmp_path, text) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "name,r,g,b\nsky,128,128,1\ntraffic light,2,64,3\n3D sign,0,0,192\n",
        "128 128 1\tsky\n2 64 3\t\ttraffic light\n0 0 192\t3D sign",
        "128 128 1 sky\n2 64 3 traffic light\n0 0 192 3D sign",
        "sky 128 128 1\ntraffic light 2 64 3\n3D sign 0 0 192",
        "0 sky 128 128 1\n1 traffic light 2 64 3\n2 3D sign 0 0 192",
        "id,name,r,g,b\n0,sky,128,128,1\n1,traffic light,2,64,3\n2,3D sign,0,0,192",
        '"name", "r", "g", "b"\n"sky", 128, 128, 1\n"traffic light", 2, 64, 3\n"3D sign", 0, 0, 192',
        "# label:color_rgb:parts:actions\nsky:128,128,1::\ntraffic light:2,64,3::\n3D sign:0,0,192::",
        "name r g b\nsky 128 128 1\ntraffic light 2 64 3\n3D sign 0 0 192",
    ],
)
def test_colours(tmp_path, text):
    assert entries(tmp_path, text, "class_dict.csv") == TABLE


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (["sky", "traffic light", "3D sign"], PLAIN),
        ({"0": "sky", "2": "3D sign", "1": "traffic light"}, PLAIN),
        ({"sky": 0, "traffic light": 1, "3D sign": 2}, PLAIN),
        ({"classes": ["sky", "traffic light", "3D sign"]}, PLAIN),
        ({"id2label": {"0": "sky", "1": "traffic light", "2": "3D sign"}}, PLAIN),
        ({n: list(c) for n, _, c in TABLE}, TABLE),
        ([{"name": n, "id": i, "color": list(c)} for n, i, c in TABLE], TABLE),
        ([{"label": n, "value": i} for n, i, _ in reversed(PLAIN)], PLAIN),
    ],
)
def test_json(tmp_path, data, expected):
    assert entries(tmp_path, json.dumps(data), "classes.json") == expected


def test_json_that_is_something_else(tmp_path):
    assert read(tmp_path, json.dumps({"shape": [1, {"a": 2}], "x": 1.5}), "labels.json") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "classes.txt lists no classes; a name a line"),
        ("sky\nsky\n", "names 'sky' twice"),
        ("0 sky\n0 road\n", "gives 0 to 'sky' and 'road'; one class each"),
        ("sky 1 2 3\nroad 1 2 3", r"gives the colour \(1, 2, 3\) to 'sky' and 'road'"),
        ("sky 1 2 300", r"the colour \[1, 2, 300\]; red, green, blue 0..255"),
        ("70000 sky\n1 road", "gives 'sky' the number 70000"),
        ("\n".join(f"c{i}" for i in range(256)), "lists 256 classes; an index mask holds 255"),
        ("sky\x07\nroad", "characters that cannot be printed"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_broken_lists(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_lists_of_folders_side_by_side(tmp_path):
    for i in range(3):  # as labelme_json_to_dataset writes them
        folder = tmp_path / f"{i}_json"
        folder.mkdir()
        Image.new("RGB", (7, 5), (i, 0, 0)).save(folder / "img.png")
        Image.fromarray(np.eye(5, 7, dtype=np.uint8) * (1 + i // 2)).save(folder / "label.png")
        (folder / "label_names.txt").write_text("background\nant\n" + "bee\n" * (i // 2))
    assert open_segments(tmp_path).classes == ["background", "ant", "bee"]
    (tmp_path / "1_json" / "label_names.txt").write_text("background\nbee\n")
    message = "0_json/label_names.txt and 1_json/label_names.txt give the number 1 to different classes, ant and bee"
    with pytest.raises(DataError, match=message):
        open_segments(tmp_path)


def test_one_class_may_have_two_colours(tmp_path):
    assert len(read(tmp_path, "road 1 2 3\nroad 4 5 6\nsky 7 8 9").entries) == 3


@pytest.mark.parametrize("name", ["Void", "unlabelled", "Unlabeled", "void/unlabelled", "__ignore__", "don't care"])
def test_void(name):
    assert is_void(name)


@pytest.mark.parametrize("name", ["background", "null", "avoid", "other", "unknown", "void deck", "ignored/road"])
def test_no_void(name):
    assert not is_void(name)
    assert name not in VOID


def test_vocs_palette():
    # from the development kit's table
    assert voc_palette()[:4] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    assert (voc_palette()[20], voc_palette()[255]) == ((0, 64, 128), (224, 224, 192))


def test_coco_stuffs_list_is_one_off_from_its_pixel_maps(tmp_path):
    names = ["unlabeled", "person", "bicycle", *(f"thing {i}" for i in range(3, 183))]
    names[92], names[182] = "banner", "wood"
    (tmp_path / "labels.txt").write_text("".join(f"{i}: {name}\n" for i, name in enumerate(names)))
    for kind, mode in (("images", "RGB"), ("masks", "L")):
        (tmp_path / kind).mkdir()
        for i in range(3):
            Image.new(mode, (7, 5), i if mode == "L" else (i, 0, 0)).save(tmp_path / kind / f"{i}.png")
    with pytest.raises(DataError, match="one more than those of its pixel maps"):
        open_segments(tmp_path)
    (tmp_path / "classes.txt").write_text("0 person\n1 bicycle\n2 car\n")
    assert open_segments(tmp_path).classes == ["person", "bicycle", "car"]
