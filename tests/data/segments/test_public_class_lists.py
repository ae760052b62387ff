"""Lists of classes that public sets and tools have in a form of their own."""

import json
from pathlib import Path

import numpy as np
import pytest

from saccade.data.doctor import examine
from saccade.data.segments.sets import open_segments
from saccade.errors import DataError

from .masked_sets import indices, palette, write

NAMES = ["background", "liver, left", "tumour"]
ADE = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.15\t11664\t1172\t1\twall\n2\t0.1\t60\t6\t1\tbuilding, edifice\n"


def test_ade20k(tmp_path: Path):
    """0 is what belongs to no class, and is not scored."""
    write(tmp_path, mask_at="annotations/{name}.png", classes=None, masks=lambda i: indices(i, 3, ignored=False))
    (tmp_path / "objectInfo150.txt").write_text(ADE)
    dataset = open_segments(tmp_path)
    assert dataset.classes == ["wall", "building, edifice"]
    assert "objectInfo150.txt: unlabelled is taken for no class; its pixels are ignored" in dataset.notes
    truth = indices(0, 3, ignored=False)
    assert np.array_equal(dataset.mask(0).numpy(), np.where(truth == 0, 255, truth - 1))


@pytest.mark.parametrize(
    "labels",
    [{name: i for i, name in enumerate(NAMES)}, {str(i): name for i, name in enumerate(NAMES)}],
    ids=["version 2", "version 1"],
)
def test_nnunet(tmp_path: Path, labels: dict):
    write(tmp_path, "imagesTr/{name}_0000.png", "labelsTr/{name}.png", classes=None)
    (tmp_path / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}, "labels": labels}))
    assert open_segments(tmp_path, "train").classes == NAMES
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")  # the user's own wins
    assert open_segments(tmp_path, "train").classes == ["a", "b", "c"]


@pytest.mark.parametrize(
    "labels", [{"background": 0, "all": [1, 2], "core": 2}, {"a": -1}, [], {"0": 1.5}, {"0": None}]
)
def test_regions_of_nnunet_name_no_classes(tmp_path: Path, labels: object):
    write(tmp_path, "imagesTr/{name}_0000.png", "labelsTr/{name}.png", classes=None)
    (tmp_path / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}, "labels": labels}))
    assert open_segments(tmp_path, "train").classes == ["class 0", "class 1", "class 2"]


def mapillary(root: Path, *versions: str) -> Path:
    for version in versions:
        places = "{split}/images/{name}.png", f"{{split}}/{version}/labels/{{name}}.png"
        write(root, *places, {"training": "abc", "validation": "de"}, palette, None)
    for i, version in enumerate(("v1.2", "v2.0")):
        labels = [{"name": f"{name}{i}", "readable": name, "color": [0, 0, 9]} for name in ("sky", "road", "car")]
        labels.append({"name": "void--unlabeled", "readable": "Unlabeled", "color": [0, 0, 0]})
        (root / f"config_{version}.json").write_text(json.dumps({"version": version[1:], "labels": labels}))
    return root


@pytest.mark.parametrize(("version", "number"), [("v1.2", 0), ("v2.0", 1)])
def test_mapillary_has_the_classes_of_its_version(tmp_path: Path, version: str, number: int):
    dataset = open_segments(mapillary(tmp_path, version), "training")
    assert dataset.classes == [f"{name}{number}" for name in ("sky", "road", "car")]


def test_two_versions_of_mapillary_are_named(tmp_path: Path):
    mapillary(tmp_path, "v1.2", "v2.0")
    expected = (
        r"versions of Mapillary Vistas \(v1\.2, v2\.0\).*To train on v1\.2, move training/v2\.0, validation/v2\.0 out"
    )
    for opened in (open_segments, examine):
        with pytest.raises(DataError, match=expected):
            opened(tmp_path)
