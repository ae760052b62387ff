"""Readers of the picture formats people have, and augmentation. Imports no model."""

from saccade.data.augment import IMAGENET_MEAN, IMAGENET_STD, Augment, smooth_labels
from saccade.data.cache import Arrays, Streamed, prepare, readable, to_arrays
from saccade.data.files import find_images
from saccade.data.folders import ImageFolder, splits
from saccade.data.images import Picture, read_image
from saccade.data.preprocess import Preprocess

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Arrays",
    "Augment",
    "ImageFolder",
    "Picture",
    "Preprocess",
    "Streamed",
    "find_images",
    "prepare",
    "read_image",
    "readable",
    "smooth_labels",
    "splits",
    "to_arrays",
]
