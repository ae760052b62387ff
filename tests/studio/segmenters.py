"""A segmenter of a few thousand random weights that gives a picture several classes."""

import torch
from torch import nn

from saccade.data.preprocess import Preprocess
from saccade.models.segmenter import Segmenter, SegmenterConfig
from saccade.tasks.segment.task import SegmentTask

CLASSES = ["background", "tree", "하늘", "road", "<b>sea</b>"]


def task(classes: int = 5, depth: int = 2, grid: tuple[int, int] = (5, 6), shortest: int = 20) -> SegmentTask:
    """It sees tiles of 20 x 24 pixels. Most of its classes are given to some pixels of `noise`, not all."""
    torch.manual_seed(5)
    block = {"width": 24, "heads": 3, "hidden": 32}
    vit = {"block": block, "depth": 2, "patch": 4, "grid": grid, "positions": ("rotary",)}
    config = {"vit": vit, "classes": classes, "depth": depth, "pixel_channels": 8}
    model = Segmenter(SegmenterConfig.model_validate(config)).eval()
    for products in (model.patch_head, model.pixel_head):
        nn.init.normal_(products.query.weight, std=1.0)
        nn.init.normal_(products.key.weight, std=1.0)
    nn.init.normal_(model.class_tokens)
    labels = (CLASSES * (classes // 5 + 1))[:classes]
    labels = [f"{name} {i}" if i >= 5 else name for i, name in enumerate(labels)]
    size = (4 * grid[0], 4 * grid[1])
    return SegmentTask(model, Preprocess(size, "crop", shortest=shortest), "tiny segmenter", labels=labels)
