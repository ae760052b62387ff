"""Readers of the picture formats people have, and augmentation. Imports no model."""

from saccade.data.augment import IMAGENET_MEAN, IMAGENET_STD, Augment, smooth_labels
from saccade.data.cache import Arrays, Streamed, prepare, readable, to_arrays
from saccade.data.files import find_images
from saccade.data.folders import ImageFolder, splits
from saccade.data.images import Picture, read_image
from saccade.data.object_arrays import to_object_arrays
from saccade.data.object_augment import ObjectAugment
from saccade.data.object_sets import object_splits, open_objects
from saccade.data.objects import Objects, ObjectSet
from saccade.data.placement import Placement
from saccade.data.preprocess import Preprocess
from saccade.data.segment_arrays import SegmentArrays, to_segment_arrays
from saccade.data.segment_augment import SegmentAugment
from saccade.data.segment_sets import open_segments, segment_splits
from saccade.data.segments import IGNORED, SegmentSet

__all__ = [
    "IGNORED",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Arrays",
    "Augment",
    "ImageFolder",
    "ObjectAugment",
    "ObjectSet",
    "Objects",
    "Picture",
    "Placement",
    "Preprocess",
    "SegmentArrays",
    "SegmentAugment",
    "SegmentSet",
    "Streamed",
    "find_images",
    "object_splits",
    "open_objects",
    "open_segments",
    "prepare",
    "read_image",
    "readable",
    "segment_splits",
    "smooth_labels",
    "splits",
    "to_arrays",
    "to_object_arrays",
    "to_segment_arrays",
]
