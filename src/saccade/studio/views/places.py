"""The view of any model that takes a picture, layer by layer: windows, pyramids, queries, each on a grid of its own."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput, call_model, pixels_of, precision_of, to_model
from saccade.checkpoints.vision_models import probabilities
from saccade.data import Picture
from saccade.errors import SaccadeError, some_of
from saccade.lens import Trace, watch
from saccade.studio.places.calls import PlacedCall, placed_calls
from saccade.studio.places.follow import PlaceFollower
from saccade.studio.places.packing import PlacedLayer
from saccade.studio.places.targets import Places, finest
from saccade.studio.seen import seen_picture
from saccade.studio.terminal import bars, draw_heat
from saccade.studio.views.base import LookOptions, View, require_own_size
from saccade.tasks.classify.result import Classification
from saccade.tasks.vision import PublicVisionTask

MOST_NOTED = 12


@dataclass(kw_only=True)
class PlacesView(View):
    """One image seen by a model in its library's own class, whose layers attend on several grids."""

    task: PublicVisionTask
    prediction: Classification | None
    targets: Places

    @classmethod
    def look(cls, task: PublicVisionTask, picture: Picture, options: LookOptions) -> "PlacesView":
        """Raises SaccadeError for a model of which no layer attends to known places of the picture."""
        require_own_size(task, options)
        inputs = to_model(task.model, task.vision.prepare(picture.image))
        pixels = pixels_of(inputs)
        started = time.perf_counter()
        follower = PlaceFollower(pixels)
        with follower, watch(task.model) as trace:
            out = call_model(task.model, inputs)
        seconds = time.perf_counter() - started
        placed, left = placed_calls(trace, follower)
        placed = selected(placed, options.module, task.name)
        if not placed:
            raise SaccadeError(f"{task.name}: no page shows it: {_reasons(trace, left)} (docs/lens.md)")
        targets = places(placed, Trace([], trace.missed), task)
        return cls(
            task=task,
            name=picture.name,
            picture=seen_picture(task.vision.prepare, picture.image, pixels),
            pixels=(pixels.shape[-2], pixels.shape[-1]),
            grid=finest(targets.layers),
            prediction=classified(task, picture, out, options.top),
            trace=trace,
            targets=targets,
            summary=None,
            notes=[*picture.notes, *task.notes, *left_notes(left)],
            seconds=seconds,
        )

    def facts(self) -> dict[str, str]:
        return super().facts() | {"precision": precision_of(self.task.model)}

    @property
    def click(self) -> str:
        return "a place"

    @property
    def heat(self) -> Float[Tensor, "y x"] | None:
        """What the places of the last layer receive: the mean over its heads and targets."""
        layer = self.targets.layers[-1]
        grid = layer.sources.grid
        assert grid is not None
        received = layer.weights.mean(dim=(1, 2))  # (w m)
        heat, real = torch.zeros(grid[0] * grid[1]), layer.sources.cells >= 0
        return heat.index_add_(0, layer.sources.cells[real], received[real]).view(grid)

    @property
    def predictions(self) -> Sequence[tuple[str, float]]:
        known = self.prediction
        return [] if known is None else list(zip(known.labels, known.probabilities, strict=True))

    def print_summary(self, console: Console) -> None:
        if self.prediction is not None:
            console.print(bars(self.prediction.labels, self.prediction.probabilities))
        if self.heat is not None:
            draw_heat(console, self.picture, self.heat)


def other_layers(
    task: PublicVisionTask, inputs: ModelInput, shown: Trace, options: LookOptions
) -> tuple[Places | None, dict[str, str]]:
    """The layers that are not in `shown`, as targets of its page, and why others are not on it. The model is run once
    more."""
    follower = PlaceFollower(pixels_of(inputs))
    with follower, watch(task.model) as trace:
        call_model(task.model, inputs)
    placed, left = placed_calls(trace, follower)
    names = Counter(call.name for call in shown if call.mask is None and not call.causal)
    rest = [each for each in placed if not names[each.call.name]]
    rest = [each for each in rest if not options.module or fnmatchcase(each.name, options.module)]
    return (places(rest, shown, task) if rest else None), left


def places(placed: Sequence[PlacedCall], others: Trace, task: PublicVisionTask) -> Places:
    """Calls as targets of a page."""
    most = max((each.targets.others for each in placed), default=0)
    cls = any(name.rpartition(".")[2] in ("cls_token", "class_token") for name, _ in task.model.named_parameters())
    same = all(each.targets.others == most for each in placed if each.targets.others)
    names = ["cls" if cls and same and not i else f"token {i + 1}" for i in range(most)]
    return Places(
        layers=[PlacedLayer(each) for each in placed],
        others=others,
        grid=finest([PlacedLayer(each) for each in placed]),
        notes=[],
        tokens=names,
    )


def selected(placed: Sequence[PlacedCall], pattern: str, where: str) -> list[PlacedCall]:
    """The calls whose names fit a pattern ("" for all). Raises SaccadeError if none does."""
    found = [each for each in placed if not pattern or fnmatchcase(each.name, pattern)]
    if placed and not found:
        raise SaccadeError(
            f"--module {pattern}: no layer of {where} has such a name; found {some_of(p.name for p in placed)}"
        )
    return found


def left_notes(left: Mapping[str, str]) -> list[str]:
    """For the page: each layer that is not on it, by name, with the reason."""
    notes = [f"Not shown: {name}: {why}." for name, why in left.items()]
    return [*notes[:MOST_NOTED], *([f"And {len(notes) - MOST_NOTED} more."] if len(notes) > MOST_NOTED else [])]


def _reasons(trace: Trace, left: Mapping[str, str]) -> str:
    if left:
        return "none of its layers attends to known places of the picture: " + some_of(
            f"{name}: {why}" for name, why in left.items()
        )
    missed = some_of(f"{name}: {why}" for name, why in trace.missed.items())
    return f"none of its attention is seen: {missed}" if missed else "it has no attention"


def classified(task: PublicVisionTask, picture: Picture, out: Any, top: int) -> Classification | None:
    """The most likely classes, of a model with a head."""
    found = probabilities(out)
    if found is None or len(found) != len(task.labels):
        return None
    if not bool(found.isfinite().all()):
        raise SaccadeError(f"the output of {task.name} is not a number: its weights are damaged, fetch it again")
    best = found.topk(min(top, len(found)))
    labels = tuple(task.labels[i] for i in best.indices.tolist())
    return Classification(picture.name, labels, tuple(best.values.tolist()), tuple(picture.notes))
