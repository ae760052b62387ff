"""A detector of a few thousand random weights that finds something, and pages of what it found."""

import torch
from PIL import Image
from torch import nn

from saccade.data import Picture
from saccade.data.preprocess import Preprocess
from saccade.models.detector import Detector, DetectorConfig
from saccade.tasks.detect.task import DetectTask

CLASSES = ["disc", "star", "고리"]
RELATIONS = ["left of", "inside"]


def task(queries: int = 7, depth: int = 2, relations: int = 2, grid: tuple[int, int] = (5, 6)) -> DetectTask:
    """Every score lies around one half, every box is moved at random."""
    torch.manual_seed(3)
    config = {
        "vit": {
            "block": {"width": 24, "heads": 3, "hidden": 32},
            "depth": 2,
            "patch": 4,
            "grid": grid,
            "positions": ("rotary",),
        },
        "classes": len(CLASSES),
        "queries": queries,
        "depth": depth,
        "relations": relations,
    }
    model = Detector(DetectorConfig.model_validate(config)).eval()
    for name, weight in model.named_parameters():
        if "classify" in name or "shift" in name or name.startswith(("relate.mix", "bias")):
            nn.init.normal_(weight, std=(0.3 if "classify" in name else 0.6) if weight.ndim > 1 else 0.3)
    if model.relation_head is not None:
        nn.init.constant_(model.relation_head.mix[-1].bias, 3.0)  # told of most pairs
    size = (4 * grid[0], 4 * grid[1])
    return DetectTask(
        model, Preprocess(size, "letterbox"), "tiny detector", labels=CLASSES, relations=RELATIONS[:relations]
    )


def noise(width: int = 31, height: int = 23) -> Picture:
    pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Picture(Image.fromarray(pixels.numpy()), "noise.png")
