"""Classes, colours and values of well-known segmentation sets, for copies without a list."""

import re

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

# Numbers of COCO-Stuff's labels.txt (Caesar et al. 2018). Its pixel maps hold one less, and 255 where unlabeled.
COCO_STUFF = {0: "unlabeled", 1: "person", 2: "bicycle", 92: "banner", 182: "wood"}
