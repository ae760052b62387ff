"""Readers of common dataset formats, and augmentation. Imports no model.

Names are imported on first use: `saccade.data.files` and `saccade.data.output` do not need PyTorch.
"""

from typing import TYPE_CHECKING

from saccade.lazy import lazy_exports

if TYPE_CHECKING:
    from saccade.data.augment import IMAGENET_MEAN, IMAGENET_STD, Augment, smooth_labels
    from saccade.data.cache import Arrays, Streamed, drop_unreadable, prepare, to_arrays
    from saccade.data.captions import CaptionSet, caption_splits, open_captions
    from saccade.data.files import find_images
    from saccade.data.folders import ImageFolder, splits
    from saccade.data.images import Picture, read_image
    from saccade.data.objects import ObjectAnnotations, ObjectSet
    from saccade.data.objects.arrays import to_object_arrays
    from saccade.data.objects.augment import ObjectAugment
    from saccade.data.objects.sets import object_splits, open_objects
    from saccade.data.preprocess import Placement, Preprocess
    from saccade.data.segments import IGNORE_INDEX, SegmentSet
    from saccade.data.segments.arrays import to_segment_arrays
    from saccade.data.segments.augment import SegmentAugment
    from saccade.data.segments.sets import open_segments, segment_splits

__all__ = [
    "IGNORE_INDEX",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Arrays",
    "Augment",
    "CaptionSet",
    "ImageFolder",
    "ObjectAnnotations",
    "ObjectAugment",
    "ObjectSet",
    "Picture",
    "Placement",
    "Preprocess",
    "SegmentAugment",
    "SegmentSet",
    "Streamed",
    "caption_splits",
    "drop_unreadable",
    "find_images",
    "object_splits",
    "open_captions",
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
]  # fmt: skip

_MODULES = {
    ".augment": ("IMAGENET_MEAN", "IMAGENET_STD", "Augment", "smooth_labels"),
    ".cache": ("Arrays", "Streamed", "drop_unreadable", "prepare", "to_arrays"),
    ".captions": ("CaptionSet", "caption_splits", "open_captions"),
    ".files": ("find_images",),
    ".folders": ("ImageFolder", "splits"),
    ".images": ("Picture", "read_image"),
    ".objects": ("ObjectAnnotations", "ObjectSet"),
    ".objects.arrays": ("to_object_arrays",),
    ".objects.augment": ("ObjectAugment",),
    ".objects.sets": ("object_splits", "open_objects"),
    ".preprocess": ("Placement", "Preprocess"),
    ".segments": ("IGNORE_INDEX", "SegmentSet"),
    ".segments.arrays": ("to_segment_arrays",),
    ".segments.augment": ("SegmentAugment",),
    ".segments.sets": ("open_segments", "segment_splits"),
}

__getattr__, __dir__ = lazy_exports(__name__, {name: module for module, names in _MODULES.items() for name in names})
