"""A generator of a few thousand random weights whose patches attend to some words far more than to others."""

import torch

from saccade.data.preprocess import Preprocess
from saccade.models.generator import Generator, GeneratorConfig
from saccade.tasks.generate.task import GenerateTask

CONFIG = {
    "block": {"width": 36, "heads": 3, "hidden": 22, "activation": "swiglu"},
    "depth": 2,
    "patch": 8,
    "bottleneck": 11,
    "text": {"block": {"width": 28, "heads": 2, "hidden": 14}, "depth": 1, "max_words": 31},
    "late": 1,
    "contained_guidance": (1.0, 8.0),
}
GRID = (5, 7)


@torch.no_grad()
def task() -> GenerateTask:
    torch.manual_seed(2)
    model = Generator(GeneratorConfig.model_validate(CONFIG)).eval()
    for weight in model.parameters():
        weight.add_(torch.randn_like(weight) * 0.1)
    for block in model.blocks:
        block.cross_attention.query_norm.weight.mul_(6)
    return GenerateTask(model, Preprocess((40, 56), "letterbox"), "tiny")
