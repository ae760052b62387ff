"""The view of any model that takes a picture, layer by layer: windows, pyramids, queries, each on a grid of its own."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput, call_model, move_inputs, pixels_of, precision_of
from saccade.checkpoints.vision_models import probabilities
from saccade.data import Picture
from saccade.data.files import escape
from saccade.errors import SaccadeError, in_one_line, shorten_list
from saccade.lens import Trace, watch
from saccade.studio.inputs.summary import public_input_summary
from saccade.studio.page.page import call_notes
from saccade.studio.patches.features import record_features
from saccade.studio.places.calls import PlacedAttentionCall, placed_calls
from saccade.studio.places.features import PlacedFeatures, placed_features
from saccade.studio.places.input_layouts import possible_input_layouts
from saccade.studio.places.packing import PlacedLayer
from saccade.studio.places.targets import PlacesPageData, finest_grid
from saccade.studio.places.tensor_places import PADDING
from saccade.studio.progress import report_step
from saccade.studio.terminal import bars, draw_heat
from saccade.studio.views.base import LookOptions, View, reject_size_option
from saccade.tasks.classify.result import Classification, build_classification
from saccade.tasks.detect.public import PublicDetectTask
from saccade.tasks.detect.result import Detection
from saccade.tasks.segment.public import PublicSegmentTask
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.vision import PublicVisionTask

MOST_NOTED = 12
MOST_NUMBERS = 4_000_000  # weights of a layer that a heat map is made of


@dataclass(kw_only=True)
class PlacesView(View):
    """One image seen by a model in its library's own class, whose layers attend on several grids."""

    task: PublicVisionTask | PublicSegmentTask | PublicDetectTask
    prediction: Classification | Segmentation | Detection | None
    targets: PlacesPageData

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> "PlacesView":
        """Raises SaccadeError for a model of which no layer attends to known places of the picture."""
        reject_size_option(task, options)
        prepare = preprocess_function(task)
        inputs = move_inputs(task.model, prepare(picture.image))
        pixels = pixels_of(inputs)
        report_step("running the model, following its operations")
        for given in possible_input_layouts(prepare, picture.image, pixels, task.name):
            started = time.perf_counter()
            with record_features(task.model) as recorder, given.follower, watch(task.model, values=True) as trace:
                out = run_model(task, inputs)
            seconds = time.perf_counter() - started
            placed, left = placed_calls(trace, given.follower.table)
            if placed:
                break
        placed = select_by_name(placed, options.module, task.name)
        if not placed:
            raise SaccadeError(f"{task.name}: no page shows it: {_reasons(trace, left)} (docs/lens.md)")
        features = placed_features(recorder, placed, given.follower.table)
        targets = places_page_data(placed, Trace([], trace.missed), task, features)
        prediction = _prediction(task, picture, out, options)
        known = prediction if isinstance(prediction, Classification) else None
        return cls(
            task=task,
            name=picture.name,
            picture=given.shown(),
            pixels=given.size,
            grid=finest_grid(targets.layers),
            prediction=prediction,
            trace=trace,
            targets=targets,
            summary=None,
            notes=[*picture.notes, *task.notes, *skipped_layer_notes(left)],
            seconds=seconds,
            seen=public_input_summary(task, picture.image, given.shown(), given.size, known, given.how),
        )

    def facts(self) -> dict[str, str]:
        return super().facts() | {"precision": precision_of(self.task.model)}

    @property
    def click_hint(self) -> str:
        return "a place"

    @property
    def heat(self) -> Float[Tensor, "y x"] | None:
        """What the places of the last layer receive: the mean over its heads and targets."""
        layer = self.targets.layers[-1]
        while layer.weight_count > MOST_NUMBERS and (coarser := layer.coarser()) is not None:
            layer = coarser
        grid = layer.sources.grid
        assert grid is not None
        received = layer.weights.mean(dim=(1, 2))  # (w m)
        heat, real = torch.zeros(grid[0] * grid[1]), layer.sources.cells >= 0
        return heat.index_add_(0, layer.sources.cells[real], received[real]).view(grid)

    @property
    def predictions(self) -> Sequence[tuple[str, float]]:
        known = self.prediction
        return list(zip(known.labels, known.probabilities, strict=True)) if isinstance(known, Classification) else []

    @property
    def prediction_text(self) -> str:
        if self.prediction is None and isinstance(self.task, PublicVisionTask) and self.task.vision.takes_pairs:
            return "the page shows what it attends to, not the matches that it finds"
        known = "" if self.prediction is None or self.predictions else str(self.prediction)
        return known.removeprefix(f"{escape(self.name)}: ")

    def print_summary(self, console: Console) -> None:
        if self.seen is not None:
            self.seen.print_before(console)
        if isinstance(self.prediction, Classification):
            console.print(bars(self.prediction.labels, self.prediction.probabilities))
        elif self.prediction is not None:
            console.print(str(self.prediction), markup=False, highlight=False)
        if self.seen is not None:
            self.seen.print_after(console)
        if self.heat is not None:
            draw_heat(
                console, self.picture, self.heat, f"attention in the last layer, mean of all places{self._part()}"
            )

    def _part(self) -> str:
        """Of a last layer whose sources are a part of the picture: which."""
        sources = self.targets.layers[-1].sources
        assert sources.grid is not None
        seen, count = len(sources.cells[sources.cells >= 0].unique()), sources.grid[0] * sources.grid[1]
        return "" if seen == count else f", to {seen} of {count} places"


def preprocess_function(task: Any) -> Callable[[Image.Image], ModelInput]:
    """What makes the input of a task's model from a picture."""
    if isinstance(task, PublicSegmentTask):
        return task.segmenter.preprocess
    if isinstance(task, PublicDetectTask):
        return lambda picture: task.detector.preprocess([picture])
    return task.vision.prepare


def run_model(task: Any, inputs: ModelInput) -> Any:
    """The output of its model. Raises SaccadeError where this picture, or a picture alone, is not what it takes."""
    try:
        return call_model(task.model, inputs)
    except (SaccadeError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a library raises
        names = "a tensor" if isinstance(inputs, Tensor) else ", ".join(inputs)
        raise SaccadeError(
            f"{task.name} does not run with what its processor makes of the picture alone ({names}): "
            f"{type(error).__name__}: {in_one_line(error)}"
        ) from error


def unmasked_calls(trace: Trace, pattern: str) -> Trace:
    """The calls without a mask whose names fit a pattern ("" for all)."""
    found = [call for call in trace if not call.masked]
    return Trace([call for call in found if not pattern or fnmatchcase(call.name, pattern)], trace.missed)


def _prediction(
    task: Any, picture: Picture, out: Any, options: LookOptions
) -> Classification | Segmentation | Detection | None:
    if isinstance(task, PublicVisionTask):
        return top_classes(task, picture, out, options.top)
    return task.predict(picture)


def other_layers(
    task: PublicVisionTask,
    placed: Sequence[PlacedAttentionCall],
    shown: Trace,
    options: LookOptions,
    features: Callable[[Sequence[PlacedAttentionCall]], PlacedFeatures | None],
) -> PlacesPageData | None:
    """The placed calls that are not in `shown`, as targets of its page, with their features."""
    calls = {id(call) for call in shown}
    rest = [each for each in placed if id(each.call) not in calls]
    rest = [each for each in rest if not options.module or fnmatchcase(each.name, options.module)]
    return places_page_data(rest, shown, task, features(rest)) if rest else None


def places_page_data(
    placed: Sequence[PlacedAttentionCall], others: Trace, task: PublicVisionTask, features: PlacedFeatures | None
) -> PlacesPageData:
    """Calls as targets of a page, and the features of their places."""
    most = max((each.targets.unplaced_count for each in placed), default=0)
    cls = any(name.rpartition(".")[2] in ("cls_token", "class_token") for name, _ in task.model.named_parameters())
    same = all(each.targets.unplaced_count == most for each in placed if each.targets.unplaced_count)
    names = ["cls" if cls and same and not i else f"token {i + 1}" for i in range(most)]
    return PlacesPageData(
        layers=[PlacedLayer(each) for each in placed],
        others=others,
        grid=finest_grid([PlacedLayer(each) for each in placed]),
        notes=[*call_notes([each.call for each in placed]), *_border_notes(placed)],
        tokens=names,
        features=features,
    )


def _border_notes(placed: Sequence[PlacedAttentionCall]) -> list[str]:
    """Of layers over the whole picture with tokens around it."""
    whole = [each.targets.cells for each in placed if len(each.slices) == 1]
    counts = {(int((cells == PADDING).sum()), cells.numel()) for cells in whole}
    return [
        f"{n} of {count} tokens are padding around the picture: they are not on its map, only what goes to them is "
        "given."
        for n, count in sorted(counts)
        if n
    ]


def select_by_name(placed: Sequence[PlacedAttentionCall], pattern: str, where: str) -> list[PlacedAttentionCall]:
    """The calls whose names fit a pattern ("" for all). Raises SaccadeError if none does."""
    found = [each for each in placed if not pattern or fnmatchcase(each.name, pattern)]
    if placed and not found:
        raise SaccadeError(
            f"--module {pattern}: no layer of {where} has such a name; found {shorten_list(p.name for p in placed)}"
        )
    return found


def skipped_layer_notes(left: Mapping[str, str]) -> list[str]:
    """For the page: each layer that is not on it, by name, with the reason."""
    notes = [f"Not shown: {name}: {why}." for name, why in left.items()]
    return [*notes[:MOST_NOTED], *([f"And {len(notes) - MOST_NOTED} more."] if len(notes) > MOST_NOTED else [])]


def _reasons(trace: Trace, left: Mapping[str, str]) -> str:
    if left:
        return "none of its layers attends to known places of the picture: " + shorten_list(
            f"{name}: {why}" for name, why in left.items()
        )
    missed = shorten_list(f"{name}: {why}" for name, why in trace.missed.items())
    return f"none of its attention is seen: {missed}" if missed else "it has no attention"


def top_classes(task: PublicVisionTask, picture: Picture, out: Any, top: int) -> Classification | None:
    """The most likely classes, of a model with a head."""
    found = probabilities(out)
    if found is None or len(found) != len(task.labels):
        return None
    if not bool(found.isfinite().all()):
        raise SaccadeError(f"the output of {task.name} is not a number: its weights are damaged, fetch it again")
    return build_classification(picture.name, task.labels, found, top, picture.notes)
