"""A detector of a few thousand weights, and one whose answer is made up."""

import torch
from torch import nn

from saccade.data.preprocess import Preprocess
from saccade.models import ViTConfig
from saccade.models.detector import Detector, DetectorConfig, DetectorOutput, Proposals
from saccade.tasks.detect.task import DetectTask

LABELS, RELATIONS = ["cat", "dog", "한글 이름"], ["left of", "above"]
TOY = {"depth": 2, "patch": 8, "positions": ("rotary",), "block": {"width": 16, "heads": 2, "hidden": 24}}


def task(seed: int = 0, size: tuple[int, int] = (32, 40), queries: int = 6, **changes: object) -> DetectTask:
    """Random weights, the heads' too: what it says depends on the picture."""
    torch.manual_seed(seed)
    vit = ViTConfig.model_validate({**TOY, "grid": (4, 5)})
    shape = {"classes": len(LABELS), "queries": queries, "depth": 2, "relations": len(RELATIONS), **changes}
    model = Detector(DetectorConfig(vit=vit, **shape)).eval()
    for p in model.heads.parameters():
        nn.init.normal_(p, std=0.2)
    return DetectTask(model, Preprocess(size, "letterbox"), "finder", labels=LABELS, relations=RELATIONS)


def answer(logits: torch.Tensor, boxes: torch.Tensor, relations: torch.Tensor | None = None) -> DetectorOutput:
    """Outputs of a detector: logits (b q classes), centred boxes in shares (b q 4)."""
    nothing = Proposals(logits, logits, boxes, torch.zeros(boxes.shape[1], 2))
    return DetectorOutput([logits], [boxes], nothing, relations)
