"""Classes, colours and values of well-known data sets, for copies without a list of classes."""

import re
from functools import cache

import numpy as np

from saccade.data.scenes.colours import index_picture

Colour = tuple[int, int, int]

# PASCAL VOC 2012 development kit, section 3.2; the border between objects is 255, or this colour where masks are RGB.
VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOC_BORDER: Colour = (224, 224, 192)

# CamVid with 11 classes, in the order of SegNet (Badrinarayanan et al., arXiv 1511.00561); in its copy of 480 x 360
# pixels the value 11 is unlabelled and ignored (ignore_label: 11 in its models).
CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
CAMVID_SIZE = (360, 480)  # rows, columns
CAMVID_NAME = re.compile(r"(0001TP_\d+|0006R0_f\d+|0016E5_\d+|Seq05VD_f\d+)(_[LP])?$", re.IGNORECASE)

# Cityscapes' *_labelIds.png: values used for training and scores (cityscapesScripts, helpers/labels.py); others are
# ignored. *_labelTrainIds.png have the same classes with values from 0.
CITYSCAPES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
CITYSCAPES_NUMBERS = 34

# Names of pixels without a class.
VOID = {
    "void", "unlabelled", "unlabeled", "unannotated", "nolabel", "ignore", "ignored", "ignorelabel", "dontcare",
    "outofroi",
}  # fmt: skip


def is_void(name: str) -> bool:
    """Whether a name stands for pixels without a class: "Void", "unlabelled", "void/unlabelled", "__ignore__"."""
    parts = [re.sub(r"[\W_]", "", part.lower()) for part in re.split(r"[/|,;]| or ", name)]
    return all(part in VOID for part in parts)


def is_background(name: str) -> bool:
    """Whether a name stands for what is no object: "background", "_background_", "bg", "class 0"."""
    return re.sub(r"[\W_]", "", name.lower()) in ("background", "bg", "ground", "back", "class0", "none", "other")


@cache
def voc_palette() -> tuple[Colour, ...]:
    """VOC's colour for each index 0..255."""
    flat = index_picture(np.zeros((1, 1), np.uint8)).getpalette()
    assert flat is not None
    return tuple((flat[i], flat[i + 1], flat[i + 2]) for i in range(0, 768, 3))
