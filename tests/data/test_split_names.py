"""Names of splits and of folders, as tools and people write them."""

import pytest

from saccade.data.split_names import (
    find_split,
    folder_kind,
    is_trainval,
    sibling_roles,
    split_role,
    splits_by_role,
)
from saccade.errors import DataError

NAMES = {
    "train": "train train2017 TRAIN Training training_set TrainSet trn a/trainImages instances_train2017.json "
    "trainannot train_annotations.coco.json cars_train Trainingsdaten entra\u00eenement \ud6c8\ub828 trainval "
    "train_val2014",
    "val": "val valid validation Valid dev val_instances_default minival2014 devset "
    "Validierung \uac80\uc99d\uc14b b/VAL.txt",
    "test": "test a/testing Test_Set test-dev2017 testset TestImages eval",
    None: "values latest contest trainer default _annotations.coco.json trainA all images",
}


@pytest.mark.parametrize(("role", "names"), [(role, names.split()) for role, names in NAMES.items()])
def test_roles(role, names):
    assert {name: split_role(name) for name in names} == dict.fromkeys(names, role)


def test_a_split_for_training_and_validation_together():
    names = ("trainval", "TrainVal", "train_val2014", "trainval2007", "trainvalidation")
    assert all(map(is_trainval, names))
    assert not any(map(is_trainval, ("train", "val", "test", "default")))


def test_folders_that_are_splits_side_by_side():
    assert sibling_roles(["training_set", "Test_Set"]) == {"training_set": "train", "Test_Set": "test"}
    assert sibling_roles(["cars_train", "cars_test"]) == {"cars_train": "train", "cars_test": "test"}
    assert sibling_roles(["test tubes", "train station", "airport"]) == {}


def test_kinds_of_folders():
    kinds = {"Images": "pictures", "img_dir": "pictures", "JPEGImages": "pictures", "ann_dir": "annotations"}
    kinds |= {"labelTxt": "annotations", "train_masks": "masks", "trainLabels": "annotations", "cat": None}
    kinds |= {"yellow_labels": None, "test": None}
    assert {name: folder_kind(name) for name in kinds} == kinds


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "trainval", "val", "test"], {"train": "train", "val": "val", "test": "test"}),
        (["trainval", "test"], {"train": "trainval", "test": "test"}),
        (["default"], {"train": "default"}),
        (["default", "val_instances_default"], {"train": "default", "val": "val_instances_default"}),
        (["train_extra", "train"], {"train": "train"}),
        (["a", "b"], {}),
        (["val", "test"], {"val": "val", "test": "test"}),
    ],
)
def test_roles_of_the_splits_of_a_set(names, expected):
    assert splits_by_role(names) == expected


def test_a_split_is_found_by_its_name_or_role():
    assert find_split(["train2017", "val2017"], "validation", "it") == "val2017"
    assert find_split(["Train", "Valid"], "train", "it") == "Train"
    assert find_split(["train", "trainval"], "training", "it") == "train"
    assert find_split(["default", "val"], "train", "it") == "default"
    with pytest.raises(DataError, match=r"it has no split 'x\\n' \(found: a\)"):
        find_split(["a"], "x\n", "it")
    with pytest.raises(DataError, match=r"no split 'train' \(found: train_a, train_b\)"):
        find_split(["train_a", "train_b"], "train", "it")
