"""The view of other libraries' detectors: the attention of each object's query to patches and to other queries."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from PIL import Image
from torch import Tensor

from saccade.checkpoints.detectors import KINDS
from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.lens import Trace, watch
from saccade.studio.views.base import LookOptions, reject_size_option
from saccade.studio.views.detect_base import ObjectsView
from saccade.studio.views.objects import DetectedObjects, DetectorTrace, detections_with_attention
from saccade.tasks.detect.public import PublicDetectTask
from saccade.tasks.detect.result import Detection, Detections
from saccade.tasks.detect.task import filter_by_score

STRIDES = (8, 14, 16, 32, 64)  # pixels a patch, of the backbones there are
_SHOWN = 1024  # longest side in pixels of the picture on the page


@dataclass(kw_only=True)
class PublicDetectView(ObjectsView):
    """One image seen by another library's detector, without a heat map of the image as a whole."""

    decoder: DetectorTrace

    @classmethod
    def look(cls, task: PublicDetectTask, picture: Picture, options: LookOptions) -> "PublicDetectView":
        """Raises SaccadeError where its queries do not attend to patches in a way that can be recorded (deformable
        attention samples a few points between them), or its patches cannot be derived from the sizes of its calls."""
        reject_size_option(task, options)
        detector, image = task.detector, picture.image
        device = next(detector.model.parameters()).device
        inputs = {name: tensor.to(device) for name, tensor in detector.preprocess([image]).items()}
        started = time.perf_counter()
        with watch(detector.model, values=True) as trace:
            out = detector.model(**inputs)
        seconds = time.perf_counter() - started
        height, width = inputs["pixel_values"].shape[-2:]
        decoder = _decoder(trace, out.logits.shape[1], (height, width), task.name)
        prediction, targets = _objects(task, picture, out, decoder, options.threshold_of(task))
        return cls(
            task=task,
            name=picture.name,
            picture=resized(image, (height, width)),
            pixels=(height, width),
            grid=decoder.grid,
            prediction=prediction,
            trace=trace,
            targets=targets,
            summary=None,
            notes=[*picture.notes, *task.notes, *targets.notes],
            seconds=seconds,
            decoder=decoder,
        )


def _objects(
    task: PublicDetectTask, picture: Picture, out: Any, decoder: DetectorTrace, threshold: float
) -> tuple[Detection, DetectedObjects]:
    logits, boxes = out.logits.float().cpu(), out.pred_boxes.float().cpu()
    if not (logits.isfinite().all() and boxes.isfinite().all()):
        raise SaccadeError(f"the output of {task.name} is not a number: its weights are damaged, fetch it again")
    width, height = picture.image.size
    found = task.detector.decode_outputs(logits, boxes, [(height, width)])[0]
    proposed = Detections(*found, queries=_queries(task.detector.family, logits))
    prediction = task.to_detection(filter_by_score(proposed, threshold), picture)
    relative = prediction.found.boxes / torch.tensor([width, height, width, height])
    targets = detections_with_attention(task.labels, prediction, relative, proposed, decoder, threshold)
    if not targets.layers:
        raise SaccadeError(f"{task.name} cannot be looked into. {' '.join(targets.notes[:3])}")
    return prediction, targets


def _queries(family: str, logits: Tensor) -> Int64[Tensor, "n"]:
    """The query of each object, in the order of the detector's output: query indices are read in place of boxes."""
    numbers = torch.arange(logits.shape[1], dtype=torch.double)[None, :, None].expand(len(logits), -1, 4)
    numbers, scores, _ = KINDS[family].read(logits, numbers)
    return numbers[0, scores[0].argsort(descending=True, stable=True), 0].long()


def _decoder(trace: Trace, queries: int, pixels: tuple[int, int], name: str) -> DetectorTrace:
    """The grid of patches, from the sizes of the calls: those of cross-attention by the queries, else those of a
    self-attention that holds patches, at most one token before them, and the queries."""
    crossed = {call.shape[3] for call in trace if call.kind == "cross" and call.shape[2] == queries}
    joint = {call.shape[3] - queries for call in trace if call.kind == "self" and call.shape[3] > queries}
    places = [(sources, 0) for sources in crossed] or [(rest - prefix, prefix) for rest in joint for prefix in (0, 1)]
    fitting = {(grid, prefix) for sources, prefix in places for grid in _grids(sources, pixels)}
    if len(fitting) != 1:
        missed = "; ".join(f"{module}: {why}" for module, why in list(trace.missed.items())[:2])
        raise SaccadeError(
            f"{name} cannot be looked into: no attention of its {queries} queries to the patches of an image of "
            f"{pixels[1]} x {pixels[0]} pixels was recorded{f' ({missed})' if missed else ''}; predict and val work"
        )
    ((grid, prefix),) = fitting
    return DetectorTrace(trace, grid, prefix, queries)


def _grids(sources: int, pixels: tuple[int, int]) -> set[tuple[int, int]]:
    """Grids of this many patches that a backbone can make of an image, with or without a partial last patch."""
    height, width = pixels
    whole = {(height // stride, width // stride) for stride in STRIDES}
    partial = {(-(-height // stride), -(-width // stride)) for stride in STRIDES}
    return {grid for grid in whole | partial if grid[0] * grid[1] == sources}


def resized(image: Image.Image, pixels: tuple[int, int]) -> Image.Image:
    """The image in the aspect ratio of the model's input, all of which the patches cover."""
    factor = min(1.0, _SHOWN / max(pixels))
    return image.convert("RGB").resize((max(1, round(pixels[1] * factor)), max(1, round(pixels[0] * factor))))
