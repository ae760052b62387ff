"""Readers of common dataset formats, and augmentation. Imports no model.

Names are imported on first use: `saccade.data.files` and `saccade.data.output` do not need PyTorch.
"""

from typing import TYPE_CHECKING

from saccade.lazy import lazy_exports

if TYPE_CHECKING:
    from saccade.data.augment import IMAGENET_MEAN, IMAGENET_STD, Augment, smooth_labels
    from saccade.data.cache import InMemoryDataset, StreamedDataset, drop_unreadable, prepare_pictures, to_arrays
    from saccade.data.captions import CaptionSet, caption_splits, open_captions
    from saccade.data.files import find_images
    from saccade.data.folders import ImageFolder, image_folder_splits
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
    "Augment",
    "CaptionSet",
    "ImageFolder",
    "InMemoryDataset",
    "ObjectAnnotations",
    "ObjectAugment",
    "ObjectSet",
    "Picture",
    "Placement",
    "Preprocess",
    "SegmentAugment",
    "SegmentSet",
    "StreamedDataset",
    "caption_splits",
    "drop_unreadable",
    "find_images",
    "image_folder_splits",
    "object_splits",
    "open_captions",
    "open_objects",
    "open_segments",
    "prepare_pictures",
    "read_image",
    "segment_splits",
    "smooth_labels",
    "to_arrays",
    "to_object_arrays",
    "to_segment_arrays",
]  # fmt: skip

_MODULES = {
    ".augment": ("IMAGENET_MEAN", "IMAGENET_STD", "Augment", "smooth_labels"),
    ".cache": ("InMemoryDataset", "StreamedDataset", "drop_unreadable", "prepare_pictures", "to_arrays"),
    ".captions": ("CaptionSet", "caption_splits", "open_captions"),
    ".files": ("find_images",),
    ".folders": ("ImageFolder", "image_folder_splits"),
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
