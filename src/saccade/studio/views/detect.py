"""The view of a detector: objects, their relations, and the attention of each object's query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.data import Picture
from saccade.data.objects.run_lengths import RunLengths, decode_rle, mask_to_polygons
from saccade.data.preprocess import Placement
from saccade.errors import SaccadeError
from saccade.studio.inputs.summary import InputSummary, describe_crop, described_input
from saccade.studio.page.queries import rounded
from saccade.studio.views.base import LookOptions, View
from saccade.studio.views.detect_base import ObjectsView
from saccade.studio.views.detect_public import PublicDetectView
from saccade.studio.views.encoder import EncoderView, ForwardPass
from saccade.studio.views.objects import MOST, DetectedObjects, DetectorTrace, detections_with_attention
from saccade.studio.views.places import PlacesView
from saccade.tasks.detect.commands import COMMANDS
from saccade.tasks.detect.public import PublicDetectTask
from saccade.tasks.detect.result import Detection
from saccade.tasks.detect.task import filter_by_score, postprocess


@dataclass(kw_only=True)
class DetectView(ObjectsView, EncoderView):
    """One image seen by a detector of this library; `look` hands those of other libraries to their own view."""

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> View:
        if isinstance(task, PublicDetectTask):
            return _public(task, picture, options)
        return super().look(task, picture, options)

    @classmethod
    def read_prediction(
        cls, task: Any, picture: Picture, run: ForwardPass, options: LookOptions
    ) -> tuple[Detection, DetectedObjects, list[str]]:
        proposed = postprocess(run.out, task.preprocess.size)[0]
        threshold = options.threshold_of(task)
        place = task.preprocess.placement(picture.image.height, picture.image.width)
        if run.out.masks is None:
            boxes = filter_by_score(proposed, threshold).boxes
            found = task.to_picture_pixels(filter_by_score(proposed, threshold), picture)
        else:
            found = filter_by_score(task.to_picture_pixels(proposed, picture, run.out.masks), threshold)
            boxes = place.to_model(found.boxes)
        edges = torch.tensor([run.grid[1], run.grid[0], run.grid[1], run.grid[0]]) * task.vit.config.patch
        prediction = task.to_detection(found, picture)
        decoder = DetectorTrace(run.trace, run.grid, 0, run.out.logits[-1].shape[1])
        outlines = None if found.masks is None else _outlines(found.masks[:MOST], place, task.preprocess.size, edges)
        targets = detections_with_attention(
            task.labels, prediction, boxes / edges, proposed, decoder, threshold, outlines
        )
        height, width = picture.image.height, picture.image.width
        if task.tiled and max(height, width) > max(task.preprocess.size):
            targets.notes.append("objects are of one pass over the whole picture; predict finds them in tiles")
        return prediction, targets, targets.notes

    @classmethod
    def input_summary(cls, task: Any, picture: Picture, prediction: Detection) -> InputSummary:
        how, frame = describe_crop(task.preprocess, picture.image.size)
        seen = task.preprocess.resize_and_crop(picture.image)
        return described_input(COMMANDS.about(task), how, picture.image, frame, seen)


def _outlines(
    masks: Sequence[RunLengths], place: Placement, size: tuple[int, int], edges: Float[Tensor, "4"]
) -> list[list[list[list[float]]]]:
    """The rings around each mask, in pixels of the input and then relative to the image that the grid covers."""
    if not masks:
        return []
    pixels = place.masks_to_model(torch.stack([decode_rle(mask) for mask in masks]), size)
    return [[rounded(torch.tensor(ring) / edges[:2], 4) for ring in mask_to_polygons(mask)] for mask in pixels]


def _public(task: PublicDetectTask, picture: Picture, options: LookOptions) -> View:
    """The view of a detector of another library: of its objects' queries, or of its other layers where the queries have
    no maps over the patches."""
    if options.module:
        return PlacesView.look(task, picture, options)
    try:
        return PublicDetectView.look(task, picture, options)
    except SaccadeError as error:
        try:
            view = PlacesView.look(task, picture, options)
        except SaccadeError:
            raise error from None
        view.notes.append(f"the objects' queries have no maps: {error}")
        return view
