"""The view of any model of transformers that takes a picture: its self-attention over the patches, as watched."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor, nn

from saccade.checkpoints.inputs import ModelInput, move_inputs, picture_only_model, pixels_of, precision_of
from saccade.data import Picture
from saccade.errors import SaccadeError, shorten_list
from saccade.lens import AttentionSummary, TokenMap, Trace, token_map, watch
from saccade.studio.inputs.seen_picture import seen_picture
from saccade.studio.inputs.summary import public_input_summary
from saccade.studio.page.page import missed_notes
from saccade.studio.patches.features import record_features
from saccade.studio.places.calls import PlacedAttentionCall, is_raster_order, placed_calls
from saccade.studio.places.features import placed_features
from saccade.studio.places.follow import PlaceFollower
from saccade.studio.places.table import PlaceTable
from saccade.studio.terminal import ROLLOUT, bars, draw_heat
from saccade.studio.views.base import LookOptions, View, reject_size_option
from saccade.studio.views.places import (
    PlacesView,
    other_layers,
    run_model,
    skipped_layer_notes,
    top_classes,
    unmasked_calls,
)
from saccade.studio.views.vision_extras import vision_extras
from saccade.tasks.classify.result import Classification
from saccade.tasks.vision import PublicVisionTask

CLASS = re.compile(r"cls|class")  # in the name of a parameter that is a class token
LEARNED = re.compile(r"cls|class|register|reg_tok|dist.*tok")  # names of parameters that are tokens before the patches


@dataclass(kw_only=True)
class VisionView(View):
    """One image seen by a model in its library's own class.

    tokens: where its tokens lie. summary: of the layers that attend over the whole image.
    """

    task: PublicVisionTask
    prediction: Classification | None
    summary: AttentionSummary
    tokens: TokenMap

    @classmethod
    def look(cls, task: PublicVisionTask, picture: Picture, options: LookOptions) -> View:
        """A `PlacesView` of a model of which no layers attend over the patches of the whole image. Raises SaccadeError
        for one of which no layer attends to known places."""
        reject_size_option(task, options)
        inputs = move_inputs(task.model, task.vision.prepare(picture.image))
        pixels = pixels_of(inputs)
        if pixels.ndim != 4 or len(pixels) != 1:
            return PlacesView.look(task, picture, options)  # a list of patches, or parts
        started = time.perf_counter()
        follower = PlaceFollower(pixels)
        with record_features(task.model) as recorder, follower, watch(task.model, values=True) as trace:
            out = run_model(task, inputs)
        seconds = time.perf_counter() - started
        placed, why = placed_calls(trace, follower.table)
        try:
            layers, tokens = _located(task, trace, inputs, follower.table)
        except SaccadeError:
            return PlacesView.look(task, picture, options)
        layers = unmasked_calls(layers, options.module)
        if not layers:
            return PlacesView.look(task, picture, options)
        rest = other_layers(
            task, placed, layers, options, lambda calls: placed_features(recorder, calls, follower.table)
        )
        outputs = recorder.outputs.items()
        recorder.outputs = {name: out for name, out in outputs if is_raster_order(out, tokens.grid, follower.table)}
        found = (layers, tokens)
        extras, class_notes = vision_extras(task, recorder, found, inputs, out, options, partial(_located, task))
        height, width = pixels.shape[-2:]
        shown = seen_picture(task.vision.prepare, picture.image, pixels)
        prediction = top_classes(task, picture, out, options.top)
        missed = missed_notes(trace)[:3]
        weights: int | Tensor = 0
        if _speaker(task, tokens) == "mean":
            weights = torch.cat([torch.zeros(tokens.prefix), torch.ones(len(tokens) - tokens.prefix)])
        return cls(
            task=task,
            name=picture.name,
            picture=follower.table.covered_part(shown),
            pixels=(height, width),
            grid=tokens.grid,
            prediction=prediction,
            trace=layers,
            targets=rest,
            summary=layers.summary(tokens.grid, weights, tokens.prefix),
            notes=[*picture.notes, *task.notes, *skipped_layer_notes(why), *missed, *class_notes],
            seconds=seconds,
            tokens=tokens,
            extras=extras,
            seen=public_input_summary(task, picture.image, shown, (height, width), prediction),
        )

    def facts(self) -> dict[str, str]:
        return super().facts() | {"precision": precision_of(self.task.model)}

    @property
    def heat(self) -> Float[Tensor, "y x"]:
        """The rollout over the patches."""
        return self.tokens.picture(self.summary.rollout)[0].cpu()

    @property
    def prefix(self) -> Sequence[str]:
        registers = any("register" in name for name, _ in self.task.model.named_parameters())
        other = "register" if registers else "token"
        cls = int(self.target == 0)
        return [*["cls"] * cls, *(f"{other} {i + 1}" for i in range(self.tokens.prefix - cls))]

    @property
    def target(self) -> Any:
        return _speaker(self.task, self.tokens)

    @property
    def predictions(self) -> Sequence[tuple[str, float]]:
        known = self.prediction
        return [] if known is None else list(zip(known.labels, known.probabilities, strict=True))

    def print_summary(self, console: Console) -> None:
        if self.seen is not None:
            self.seen.print_before(console)
        if self.prediction is not None:
            console.print(bars(self.prediction.labels, self.prediction.probabilities))
        if self.seen is not None:
            self.seen.print_after(console)
        draw_heat(console, self.picture, self.heat, ROLLOUT)


def _speaker(task: PublicVisionTask, tokens: TokenMap) -> Literal[0, "mean"]:
    """The token that stands for the image: a class token is the first; without one the mean of the patches."""
    named = any(CLASS.search(name.rpartition(".")[2]) for name, _ in task.model.named_parameters())
    return 0 if tokens.prefix and named else "mean"


def _located(task: PublicVisionTask, trace: Trace, inputs: ModelInput, table: PlaceTable) -> tuple[Trace, TokenMap]:
    """The self-attention calls over all tokens of the image, and where these lie: where following the picture through
    the model (table) finds them. Raises SaccadeError where `token_map` finds them elsewhere, and where it finds none
    and the tokens before the patches are not known either."""
    every = placed_calls(trace, table)[0]
    placed = {id(each.call): each for each in every if each.in_raster_order}
    try:
        layers, tokens = whole_picture_calls(task, trace, pixels_of(inputs), picture_only_model(task.model, inputs))
    except SaccadeError:
        layers, tokens = _followed(task, every)
    if not all(id(call) in placed and placed[id(call)].targets.grid == tokens.grid for call in layers):
        raise SaccadeError(f"{task.name}: where its tokens lie cannot be said: two ways to find it disagree")
    return layers, tokens


def _followed(task: PublicVisionTask, placed: Sequence[PlacedAttentionCall]) -> tuple[Trace, TokenMap]:
    """The calls of places to places, and where their tokens lie. Raises SaccadeError unless all of them are over the
    same tokens, and those before the patches are parameters that are named so."""
    calls = [each for each in placed if each.targets.grid is not None]
    sizes = {(each.targets.grid, each.call.shape[2]) for each in calls}
    if len(sizes) == 1 and all(each.in_raster_order for each in calls):
        grid, tokens = sizes.pop()
        assert grid is not None
        prefix = tokens - grid[0] * grid[1]
        if prefix in (0, _learned_tokens(task.model)):
            return Trace([each.call for each in calls]), TokenMap(grid, prefix)
    raise SaccadeError(f"{task.name}: its layers attend on several grids, or which tokens are no patches is not known")


def _learned_tokens(model: nn.Module) -> int:
    """How many tokens the parameters named as class tokens and registers are: all but the last axis of each."""
    named = [(name.rpartition(".")[2], parameter) for name, parameter in model.named_parameters()]
    return sum(parameter.shape[:-1].numel() for name, parameter in named if LEARNED.search(name))


def whole_picture_calls(
    task: PublicVisionTask, trace: Trace, pixels: Tensor, model: nn.Module
) -> tuple[Trace, TokenMap]:
    """The self-attention calls over all tokens of the image, and where these lie. model: that of the task, taking a
    picture alone. Raises SaccadeError where there are none."""
    sizes = Counter(call.shape[2] for call in trace if call.kind == "self" and call.shape[0] == 1)
    reasons = []
    for tokens, _ in sizes.most_common():
        try:
            where = token_map(model, pixels, tokens)
        except SaccadeError as error:
            reasons.append(str(error))
            continue
        if where.order is None and not where.suffix and where.frames == 1:
            return Trace([c for c in trace if c.kind == "self" and c.shape[:3:2] == (1, tokens)], trace.missed), where
        reasons.append(f"its tokens are {where}")
    kinds = shorten_list(f"{c.kind} over {c.shape[3]} of {c.shape[0]} (windows or pictures)" for c in trace) or "none"
    raise SaccadeError(
        f"{task.name}: no page shows it, as none of its layers attends over the patches of the whole image where these "
        f"can be told ({reasons[0] if reasons else kinds}); saccade.watch sees its {len(trace)} calls (docs/lens.md)"
    )
