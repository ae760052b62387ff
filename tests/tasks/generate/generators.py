"""A generator of a few thousand random weights whose patches attend to some words far more than to others."""

import torch

from saccade.data.preprocess import Preprocess
from saccade.lens import Call
from saccade.models.generator import Generator, GeneratorConfig
from saccade.tasks.generate.public_look import PipelineTrace
from saccade.tasks.generate.sample import Sampling
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
def task(pictures: tuple[str, ...] = ()) -> GenerateTask:
    """pictures: sources beside the prompt."""
    torch.manual_seed(2)
    model = Generator(GeneratorConfig.model_validate({**CONFIG, "pictures": pictures})).eval()
    for weight in model.parameters():
        weight.add_(torch.randn_like(weight) * 0.1)
    for block in model.blocks:
        block.cross_attention.query_norm.weight.mul_(6)
    return GenerateTask(model, Preprocess((40, 56), "letterbox"), "tiny")


@torch.no_grad()
def film_task() -> GenerateTask:
    """Of films of nine frames at once."""
    torch.manual_seed(2)
    model = Generator(GeneratorConfig.model_validate({**CONFIG, "films": True, "refine": 7})).eval()
    for weight in model.parameters():
        weight.add_(torch.randn_like(weight) * 0.1)
    return GenerateTask(model, Preprocess((16, 24), "crop"), "films", card={"recipe": {"frames": 9}})


def pipeline_trace(task: GenerateTask, evaluations: int = 5) -> PipelineTrace:
    """Of no pipeline: a layer of cross-attention on the finest grid, and one of joint attention on a coarser one."""
    generator = torch.Generator().manual_seed(3)

    def call(name, kind, n, m, parts=None):
        q, k = (3 * torch.randn(2, 3, each, 11, generator=generator) for each in (n, m))
        return Call(name, kind, q, k, parts=parts)

    joint = {"text": slice(0, 7), "image": slice(7, 13)}
    calls = [[call("fine", "cross", 24, 7), call("coarse", "joint", 13, 13, joint)] for _ in range(evaluations)]
    picture = next(task.generate_all([task.settings("two red words", "", 5, Sampling(1))]))
    return PipelineTrace(picture, ["two", "red", "words"], [[1], [2, 3], [3, 5]], ["fine", "coarse"], calls, (4, 6))
