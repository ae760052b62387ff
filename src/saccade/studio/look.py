"""Look at a picture: what a model sees in it, where it looks, and the page on which to go and see."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.lens import Trace, watch
from saccade.lens.trace import Summary
from saccade.studio.objects import FoundObjects, find_objects
from saccade.studio.page import PageInput, PageReport, write_page
from saccade.tasks import Classification, ClassifyTask, Task
from saccade.tasks.classify import shares
from saccade.tasks.detect import Detection, DetectTask

_MOST = 256 * 256  # patches: their queries, keys and values of 12 layers of a ViT-B take 7 GB
_SHOWN = 1024  # longest side in pixels of the picture on the page


@dataclass
class Look:
    """One picture looked at.

    name: of the picture's file, or what stands for it. picture: what of it the model saw. prediction: None for a
    model without a head. summary: what all layers of the encoder do; its rollout says how much each token flows into
    the one that speaks for the picture, summing to 1. seconds: of the model's forward pass, in fp32. objects: where
    a detector's queries looked.
    """

    task: Task
    name: str
    picture: Image.Image
    prediction: Classification | Detection | None
    trace: Trace
    grid: tuple[int, int]
    summary: Summary
    notes: list[str]
    seconds: float
    objects: FoundObjects | None = None

    @property
    def heat(self) -> Float[Tensor, "y x"]:
        """The rollout over the patches alone: its sum is 1 less what the prefix tokens keep."""
        return self.summary.rollout[0, len(self.task.prefix) :].view(self.grid).cpu()

    @property
    def facts(self) -> dict[str, Any]:
        """For the page."""
        pixels = self.grid[1] * self.task.vit.config.patch, self.grid[0] * self.task.vit.config.patch
        facts = {
            "name": self.task.name,
            "parameters": f"{self.task.parameters / 1e6:.1f} million",
            "picture": f"{pixels[0]} x {pixels[1]} pixels",
            "patch": f"{self.task.vit.config.patch} x {self.task.vit.config.patch} pixels",
            "tokens": len(self.task.prefix) + self.grid[0] * self.grid[1],
            "precision": "fp32",
        }
        if self.task.preprocess.detail is not None:
            facts["detail"] = f"reduced to {self.task.preprocess.detail} pixels first, as in training"
        if self.objects is not None:
            facts["queries"] = str(self.objects.queries)
        return facts

    def page(self, path: Path) -> PageReport:
        """Write the page."""
        said = self.prediction
        named = []
        if isinstance(said, Classification):
            named = list(zip(said.labels, said.probabilities, strict=True))
        return write_page(
            path,
            PageInput(
                picture=self.picture,
                grid=self.grid,
                trace=self.trace if self.objects is None else self.objects.others,
                title=self.name.replace("\\", "/").rsplit("/", 1)[-1],
                prefix=self.task.prefix,
                predictions=named,
                target=self.task.target,
                summary=self.summary,
                model=self.facts,
                notes=self.notes,
                objects=self.objects,
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON: prediction, grid, and the heat map row by row; found objects with where their queries looked."""
        said = None if self.prediction is None else self.prediction.to_dict()
        if said is not None and self.objects is not None:
            for one, share in zip(said["objects"], self.objects.shares(), strict=False):  # the surest MOST have them
                one.update(share)
        return {
            "model": self.task.name,
            "prediction": said,
            "grid": list(self.grid),
            "heat": [[round(value, 6) for value in row] for row in self.heat.tolist()],
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


@torch.no_grad()
def look(task: Task, picture: Picture, size: int | None = None, top: int = 5, threshold: float = 0.5) -> Look:
    """Run the model on one picture and keep what it attended to.

    size: side in pixels at which the model sees the picture, instead of its own; more makes a finer grid.
    threshold: the least score of an object that a detector finds, and of a relation, 0 to 1.
    Raises SaccadeError if less than one patch fits, or more than 65,536 do, or the model's attention cannot be seen.
    """
    preprocess, notes = task.preprocess, [*picture.notes, *task.notes]
    patch = task.vit.config.patch
    if size is not None:
        if size < patch:
            raise SaccadeError(f"a size of {size} pixels is less than one patch of {patch}: use a larger size")
        if (size // patch) ** 2 > _MOST:
            raise SaccadeError(
                f"a size of {size} pixels makes {size // patch} x {size // patch} patches: at most {_MOST} can be "
                "looked at, use a smaller size"
            )
        preprocess = preprocess.at(size - size % patch)
        if size % patch:
            notes.append(f"size {size} is not a multiple of the patch: {size - size % patch} is used")
    model = task.model.eval()
    inputs = preprocess(picture.image)[None].to(next(model.parameters()).device)
    started = time.perf_counter()
    with watch(model, values=True) as trace:
        out = model(inputs)
    if inputs.device.type != "cpu":
        torch.accelerator.synchronize(inputs.device)  # it returns before it has computed
    seconds = time.perf_counter() - started
    grid = task.vit.grid(inputs)
    objects: FoundObjects | None = None
    prediction: Classification | Detection | None = None
    if isinstance(task, DetectTask):
        prediction, objects = find_objects(task, preprocess, out, picture, trace, grid, threshold)
        notes += objects.notes
    elif isinstance(task, ClassifyTask):
        prediction = task.named(shares(out)[0].cpu(), picture.name, picture.notes, top)
    else:
        notes.append("this model has no classifier: it shows where it looks, and names nothing")
    summary = _summary(trace if objects is None else objects.others, task, grid)
    shown = _shown(preprocess, picture.image, grid, patch)
    return Look(task, picture.name, shown, prediction, trace, grid, summary, notes, seconds, objects)


def _summary(trace: Trace, task: Task, grid: tuple[int, int]) -> Summary:
    prefix, patches = len(task.prefix), grid[0] * grid[1]
    token: int | Tensor = 0
    if task.target == "mean":
        token = torch.cat([torch.zeros(prefix), torch.ones(patches)])
    summary = trace.summary(grid, token)
    if not summary.rollout.isfinite().all():
        raise SaccadeError(f"the attention of {task.name} is not a number: its weights are damaged, fetch it again")
    return summary


def _shown(preprocess: Any, picture: Image.Image, grid: tuple[int, int], patch: int) -> Image.Image:
    """What the grid covers, as sharp as the picture has it."""
    height, width = preprocess.size
    finer = max(1.0, min(_SHOWN, min(picture.size)) / max(height, width))
    sharp = replace(
        preprocess,
        size=(round(height * finer), round(width * finer)),
        shortest=None if preprocess.shortest is None else round(preprocess.shortest * finer),
        detail=None,
    ).seen(picture)
    return sharp.crop((0, 0, round(grid[1] * patch * finer), round(grid[0] * patch * finer)))
