"""Look at a picture: what a model sees in it, where it looks, and the page on which to go and see."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from torch import Tensor

from saccade.data import Picture
from saccade.data.files import shown as named
from saccade.data.preprocess import Preprocess
from saccade.errors import SaccadeError
from saccade.lens import Trace, watch
from saccade.lens.rollout import Summary
from saccade.studio.canvas import Canvas, laid_out
from saccade.studio.page import PageInput, PageReport, facts_of, title_of, write_page
from saccade.studio.terminal import areas_table, bars, draw_areas, draw_look, tell_objects
from saccade.studio.views.areas import ClassAreas, find_areas
from saccade.studio.views.objects import FoundObjects, find_objects
from saccade.tasks import Classification, ClassifyTask, Task
from saccade.tasks.classify.task import shares
from saccade.tasks.detect.task import Detection, DetectTask
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.task import SegmentTask

_MOST = 256 * 256  # patches: their queries, keys and values of 12 layers of a ViT-B take 7 GB
_LOGITS = 400_000_000  # of a segmenter's answer: a number a class and pixel
_SHOWN = 1024  # longest side in pixels of the picture on the page

Prediction = Classification | Detection | Segmentation


@dataclass
class Look:
    """One picture looked at.

    name: of the picture's file, or what stands for it. picture: what of it the model saw. prediction: None for a
    model without a head. summary: what all layers of the encoder do; its rollout says how much each token flows into
    the one that speaks for the picture, summing to 1. seconds: of the model's forward pass, in fp32. objects, areas:
    where a detector's queries or a segmenter's class tokens looked.
    """

    task: Task
    name: str
    picture: Image.Image
    prediction: Prediction | None
    trace: Trace
    grid: tuple[int, int]
    summary: Summary
    notes: list[str]
    seconds: float
    objects: FoundObjects | None = None
    areas: ClassAreas | None = None

    @property
    def targets(self) -> FoundObjects | ClassAreas | None:
        """What has queries."""
        return self.areas if self.objects is None else self.objects

    @property
    def heat(self) -> Float[Tensor, "y x"]:
        """The rollout over the patches alone: its sum is 1 less what the prefix tokens keep."""
        return self.summary.rollout[0, len(self.task.prefix) :].view(self.grid).cpu()

    @property
    def click(self) -> str:
        """What to click on the page."""
        return "a class" if self.areas else "an object" if self.objects else "a patch"

    def tell(self, console: Console) -> None:
        """What it sees, and where it looks."""
        if self.objects is not None and isinstance(self.prediction, Detection):
            tell_objects(console, self.picture, self.prediction, self.objects)
        elif self.areas is not None:
            console.print(areas_table(self.areas))
            draw_areas(console, self.picture, self.areas)
        else:
            if isinstance(self.prediction, Classification):
                console.print(bars(self.prediction.labels, self.prediction.probabilities))
            draw_look(console, self.picture, self.heat)

    @property
    def facts(self) -> dict[str, Any]:
        """For the page."""
        patch = self.task.vit.config.patch
        facts = facts_of(self.task, self.grid[1] * patch, self.grid[0] * patch) | {
            "patch": f"{patch} x {patch} pixels",
            "tokens": len(self.task.prefix) + self.grid[0] * self.grid[1],
            "precision": "fp32",
        }
        if self.task.preprocess.detail is not None:
            facts["detail"] = f"reduced to {self.task.preprocess.detail} pixels first, as in training"
        if self.objects is not None:
            facts["queries"] = str(self.objects.queries)
        if self.areas is not None:
            facts["classes"] = str(len(self.areas.classes))
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
                trace=self.trace if self.targets is None else self.targets.others,
                title=title_of(self.name),
                prefix=self.task.prefix,
                predictions=named,
                target=self.task.target,
                summary=self.summary,
                model=self.facts,
                notes=self.notes,
                targets=self.targets,
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON: prediction, grid, and the heat map row by row; found objects with where their queries looked, and
        so the classes that are there."""
        said = None if self.prediction is None else self.prediction.to_dict()
        if said is not None and self.objects is not None:
            for one, share in zip(said["objects"], self.objects.shares(), strict=False):  # the surest MOST have them
                one.update(share)
        if said is not None and self.areas is not None:
            told = zip(self.areas.names, self.areas.shares(), strict=False)
            said["attention"] = {name: share for name, share in told if name in said["classes"]}
        return {
            "model": self.task.name,
            "prediction": said,
            "grid": list(self.grid),
            "heat": short(self.heat),
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


def short(heat: Float[Tensor, "y x"]) -> list[list[float]]:
    """A map row by row, for JSON."""
    return [[round(value, 6) for value in row] for row in heat.tolist()]


@torch.no_grad()
def look(task: Task, picture: Picture, size: int | None = None, top: int = 5, threshold: float = 0.5) -> Look:
    """Run the model on one picture and keep what it attended to.

    size: side in pixels at which the model sees the picture, instead of its own; more makes a finer grid.
    threshold: the least score of an object that a detector finds, and of a relation, 0 to 1.
    Raises SaccadeError if less than one patch fits, or more than 65,536 do, or the model's attention cannot be seen.
    """
    patch, notes = task.vit.config.patch, [*picture.notes, *task.notes]
    side = None if size is None else _whole_patches(size, patch)
    if size != side:
        notes.append(f"size {size} is not a multiple of the patch: {side} is used")
    if isinstance(task, SegmentTask):
        return _look_at_areas(task, picture, side, notes)
    preprocess = task.preprocess if side is None else task.preprocess.at(side)
    watched = _watched(task, preprocess(picture.image)[None])
    objects: FoundObjects | None = None
    prediction: Prediction | None = None
    if isinstance(task, DetectTask):
        prediction, objects = find_objects(
            task, preprocess, watched.out, picture, watched.trace, watched.grid, threshold
        )
        notes += objects.notes
    elif isinstance(task, ClassifyTask):
        prediction = task.named(shares(watched.out)[0].cpu(), picture.name, picture.notes, top)
    else:
        notes.append("this model has no classifier: it shows where it looks, and names nothing")
    covered = shown(preprocess, picture.image, watched.grid, patch)
    summary = _summary(watched.trace if objects is None else objects.others, task, watched.grid)
    return Look(
        task, picture.name, covered, prediction, watched.trace, watched.grid, summary, notes, watched.seconds, objects
    )


def _look_at_areas(task: SegmentTask, picture: Picture, side: int | None, notes: list[str]) -> Look:
    """A segmenter sees the whole picture in one piece, even one that `predict` would show it in tiles."""
    patch, sized = task.vit.config.patch, task if side is None else task.at(side)
    rows, columns = (edge // patch * patch for edge in task.preprocess.size)
    canvas = laid_out(sized.preprocess, patch, picture.image, (rows, columns) if side is None else (0, 0))
    (height, width), patches = canvas.padded, canvas.grid[0] * canvas.grid[1]
    if patches > _MOST or height * width * len(task.labels) > _LOGITS:
        raise SaccadeError(
            f"{named(picture.name)} makes {canvas.grid[0]} x {canvas.grid[1]} patches at this size, more than can "
            "be looked at in one piece: use a smaller size or a part of it"
        )
    watched = _watched(task, canvas.inputs)
    prediction, areas = find_areas(task, watched.out, canvas, picture, watched.trace)
    notes += areas.notes
    if canvas.padded != task.preprocess.size:
        notes.append(_differs(sized, picture, prediction, canvas))
    if max(height - canvas.size[0], width - canvas.size[1]) >= patch:
        notes.append(
            f"the model sees {width} x {height} pixels at once: what the picture leaves of them is grey, empty"
        )
    summary, seconds = _summary(areas.others, task, watched.grid), watched.seconds
    return Look(
        task, picture.name, canvas.shown, prediction, watched.trace, watched.grid, summary, notes, seconds, areas=areas
    )


def _differs(task: SegmentTask, picture: Picture, here: Segmentation, canvas: Canvas) -> str:
    """How much of the picture `predict`, which shows a model tiles of the size it was trained on, names otherwise."""
    other = (task.segment(picture) != here.mask).float().mean().item()
    (rows, columns), (height, width) = task.preprocess.size, canvas.padded
    return (
        f"here the model sees the picture in one piece of {width} x {height} pixels, and `predict` in pieces of "
        f"{columns} x {rows}, which gives {other:.1%} of the pixels another class"
    )


@dataclass
class _Watched:
    """One forward pass over one picture."""

    trace: Trace
    out: Any
    grid: tuple[int, int]
    seconds: float


def _watched(task: Task, inputs: Tensor) -> _Watched:
    model = task.model.eval()
    inputs = inputs.to(next(model.parameters()).device)
    started = time.perf_counter()
    with watch(model, values=True) as trace:
        out = model(inputs)
    if inputs.device.type != "cpu":
        torch.accelerator.synchronize(inputs.device)  # it returns before it has computed
    return _Watched(trace, out, task.vit.grid(inputs), time.perf_counter() - started)


def _whole_patches(size: int, patch: int) -> int:
    """What is left of a side in pixels in whole patches."""
    if size < patch:
        raise SaccadeError(f"a size of {size} pixels is less than one patch of {patch}: use a larger size")
    if (size // patch) ** 2 > _MOST:
        raise SaccadeError(
            f"a size of {size} pixels makes {size // patch} x {size // patch} patches: at most {_MOST} can be "
            "looked at, use a smaller size"
        )
    return size - size % patch


def _summary(trace: Trace, task: Task, grid: tuple[int, int]) -> Summary:
    prefix, patches = len(task.prefix), grid[0] * grid[1]
    token: int | Tensor = 0
    if task.target == "mean":
        token = torch.cat([torch.zeros(prefix), torch.ones(patches)])
    summary = trace.summary(grid, token)
    if not summary.rollout.isfinite().all():
        raise SaccadeError(f"the attention of {task.name} is not a number: its weights are damaged, fetch it again")
    return summary


def shown(preprocess: Preprocess, picture: Image.Image, grid: tuple[int, int], patch: int) -> Image.Image:
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
