"""A matcher of a few thousand weights."""

import torch

from saccade.data.preprocess import Preprocess
from saccade.models import Matcher, MatcherConfig
from saccade.tasks.match.task import MatchTask

CONFIG = {
    "vit": {"block": {"width": 20, "heads": 5, "hidden": 7}, "depth": 2, "patch": 4, "positions": ("rotary",),
            "grid": (4, 4)},
    "text": {"block": {"width": 12, "heads": 3, "hidden": 7}, "depth": 2},
    "width": 6,
    "depth": 2,
}  # fmt: skip


def task(seed: int = 0) -> MatchTask:
    """Random weights, of a size at which scores differ."""
    torch.manual_seed(seed)
    model = Matcher(MatcherConfig.model_validate(CONFIG)).eval()
    for parameter in model.parameters():
        if parameter.ndim:
            torch.nn.init.normal_(parameter, std=0.5)
    return MatchTask(model, Preprocess((16, 16), "letterbox"), "tiny")
