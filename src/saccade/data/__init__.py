"""Readers of the picture formats people have, and augmentation. Imports no model."""

from saccade.data.augment import IMAGENET_MEAN, IMAGENET_STD, Augment, smooth_labels
from saccade.data.cache import Arrays, Streamed, drop_unreadable, prepare, to_arrays
from saccade.data.files import find_images
from saccade.data.folders import ImageFolder, splits
from saccade.data.images import Picture, read_image
from saccade.data.objects import Objects, ObjectSet
from saccade.data.objects.arrays import to_object_arrays
from saccade.data.objects.augment import ObjectAugment
from saccade.data.objects.sets import object_splits, open_objects
from saccade.data.placement import Placement
from saccade.data.preprocess import Preprocess
from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.data.segments.arrays import SegmentArrays, to_segment_arrays
from saccade.data.segments.augment import SegmentAugment
from saccade.data.segments.sets import open_segments, segment_splits

__all__ = [
    "IGNORE_INDEX",
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
    "drop_unreadable",
    "find_images",
    "object_splits",
    "open_objects",
    "open_segments",
    "prepare",
    "read_image",
    "segment_splits",
    "smooth_labels",
    "splits",
    "to_arrays",
    "to_object_arrays",
    "to_segment_arrays",
]
