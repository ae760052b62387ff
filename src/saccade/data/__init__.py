"""Readers of the picture formats people have, and augmentation. Imports no model."""

from saccade.data.augment import IMAGENET_MEAN, IMAGENET_STD, Augment, normalise, smooth_labels
from saccade.data.cache import Arrays, Streamed, prepare, readable, resize_image, to_arrays, to_tensor
from saccade.data.files import find_images
from saccade.data.folders import ImageFolder, splits
from saccade.data.images import Picture, read_image

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Arrays",
    "Augment",
    "ImageFolder",
    "Picture",
    "Streamed",
    "find_images",
    "normalise",
    "prepare",
    "read_image",
    "readable",
    "resize_image",
    "smooth_labels",
    "splits",
    "to_arrays",
    "to_tensor",
]
