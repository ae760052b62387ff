"""Look into other people's detectors: which patches each found object's query attended to, and which other queries."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from PIL import Image
from rich.console import Console
from torch import Tensor

from saccade.checkpoints.detectors import KINDS
from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.lens import Trace, watch
from saccade.studio.page import PageInput, PageReport, facts_of, title_of, write_page
from saccade.studio.terminal import tell_objects
from saccade.studio.views.objects import FoundObjects, Surveyed, surveyed
from saccade.tasks.detect.public import PublicDetectTask
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.task import Detection, kept

STRIDES = (8, 14, 16, 32, 64)  # pixels a patch, of the backbones there are
_SHOWN = 1024  # longest side in pixels of the picture on the page


@dataclass
class PublicLook:
    """One picture looked at by somebody else's detector; as `Look`, without a heat map of the picture as a whole.

    scene: grid, prefix and calls of its forward pass. pixels: (height, width) of what the model saw.
    """

    task: PublicDetectTask
    name: str
    picture: Image.Image
    prediction: Detection
    scene: Surveyed
    pixels: tuple[int, int]
    notes: list[str]
    seconds: float
    objects: FoundObjects

    click = "an object"

    def tell(self, console: Console) -> None:
        """What it finds."""
        tell_objects(console, self.picture, self.prediction, self.objects)

    @property
    def grid(self) -> tuple[int, int]:
        return self.scene.grid

    def page(self, path: Path) -> PageReport:
        """Write the page."""
        height, width = self.pixels
        facts = facts_of(self.task, width, height) | {"precision": "fp32", "queries": str(self.objects.queries)}
        return write_page(
            path,
            PageInput(
                picture=self.picture,
                grid=self.grid,
                trace=self.objects.others,
                title=title_of(self.name),
                target="mean",
                model=facts,
                notes=self.notes,
                targets=self.objects,
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        said = self.prediction.to_dict()
        for one, share in zip(said["objects"], self.objects.shares(), strict=False):  # the surest have them
            one.update(share)
        return {
            "model": self.task.name,
            "prediction": said,
            "grid": list(self.grid),
            "heat": None,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


@torch.no_grad()
def look_public(task: PublicDetectTask, picture: Picture, threshold: float = 0.5) -> PublicLook:
    """Run the detector on one picture and keep what its queries attended to. threshold: the least score, 0 to 1.

    Raises SaccadeError where its queries do not attend to patches in a way that can be seen (deformable attention
    looks at a few points between them), or its patches cannot be told from the sizes of its calls.
    """
    detector, image = task.detector, picture.image
    device = next(detector.model.parameters()).device
    inputs = {name: tensor.to(device) for name, tensor in detector.preprocess([image]).items()}
    started = time.perf_counter()
    with watch(detector.model, values=True) as trace:
        out = detector.model(**inputs)
    seconds = time.perf_counter() - started
    logits, shares = out.logits.float().cpu(), out.pred_boxes.float().cpu()
    if not (logits.isfinite().all() and shares.isfinite().all()):
        raise SaccadeError(f"the answer of {task.name} is not a number: its weights are damaged, fetch it again")
    pixels: tuple[int, int] = tuple(inputs["pixel_values"].shape[-2:])  # type: ignore[assignment]
    scene = _scene(trace, logits.shape[1], pixels, task.name)
    found = detector.read(logits, shares, [(image.height, image.width)])[0]
    raw = Detections(*found, queries=_queries(detector.family, logits))
    said = task.named(kept(raw, threshold), picture)
    boxes = said.found.boxes / torch.tensor([image.width, image.height, image.width, image.height])
    objects = surveyed(task, said, boxes, raw, scene, threshold)
    if not objects.layers:
        raise SaccadeError(f"{task.name} cannot be looked into. {' '.join(objects.notes[:3])}")
    notes = [*picture.notes, *task.notes, *objects.notes]
    return PublicLook(task, picture.name, _shown(image, pixels), said, scene, pixels, notes, seconds, objects)


def _queries(family: str, logits: Tensor) -> Int64[Tensor, "n"]:
    """The query that each found object came from, in the order in which the detector tells them: numbers are read as
    boxes are."""
    numbers = torch.arange(logits.shape[1], dtype=torch.double)[None, :, None].expand(len(logits), -1, 4)
    numbers, scores, _ = KINDS[family].read(logits, numbers)
    return numbers[0, scores[0].argsort(descending=True, stable=True), 0].long()


def _scene(trace: Trace, queries: int, pixels: tuple[int, int], name: str) -> Surveyed:
    """The grid of patches, from the sizes of the calls: those of cross-attention by the queries, else those of a
    self-attention that holds patches, at most one token before them, and the queries."""
    crossed = {call.shape[3] for call in trace if call.kind == "cross" and call.shape[2] == queries}
    joint = {call.shape[3] - queries for call in trace if call.kind == "self" and call.shape[3] > queries}
    places = [(sources, 0) for sources in crossed] or [(rest - prefix, prefix) for rest in joint for prefix in (0, 1)]
    fitting = {(grid, prefix) for sources, prefix in places for grid in _grids(sources, pixels)}
    if len(fitting) != 1:
        missed = "; ".join(f"{module}: {why}" for module, why in list(trace.missed.items())[:2])
        raise SaccadeError(
            f"{name} cannot be looked into: no attention of its {queries} queries to the patches of a picture of "
            f"{pixels[1]} x {pixels[0]} pixels was seen{f' ({missed})' if missed else ''}; predict and val work with it"
        )
    ((grid, prefix),) = fitting
    return Surveyed(trace, grid, prefix, queries)


def _grids(sources: int, pixels: tuple[int, int]) -> set[tuple[int, int]]:
    """Grids of so many patches that a backbone makes of a picture, whole patches or the last one begun."""
    height, width = pixels
    whole = {(height // stride, width // stride) for stride in STRIDES}
    begun = {(-(-height // stride), -(-width // stride)) for stride in STRIDES}
    return {grid for grid in whole | begun if grid[0] * grid[1] == sources}


def _shown(image: Image.Image, pixels: tuple[int, int]) -> Image.Image:
    """The picture in the shape in which the model saw it; the patches are laid evenly over all of it."""
    factor = min(1.0, _SHOWN / max(pixels))
    return image.convert("RGB").resize((max(1, round(pixels[1] * factor)), max(1, round(pixels[0] * factor))))
