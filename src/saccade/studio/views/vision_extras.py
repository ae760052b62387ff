"""Features of patches, a second image, and class maps, of a model in its library's own class."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saccade.checkpoints.inputs import ModelInput, call_model, move_inputs, picture_only_model, pixels_of
from saccade.checkpoints.vision_models import probabilities
from saccade.data import Picture
from saccade.errors import SaccadeError, in_one_line
from saccade.lens import TokenMap, Trace, watch
from saccade.studio.inputs.seen_picture import seen_picture
from saccade.studio.patches.class_maps import ClassMaps, chosen_classes, class_maps
from saccade.studio.patches.extras import Extras, OtherImage
from saccade.studio.patches.features import FeatureRecorder, record_features
from saccade.studio.places.follow import PlaceFollower
from saccade.studio.places.table import PlaceTable
from saccade.studio.views.base import LookOptions, page_title
from saccade.tasks.vision import PublicVisionTask

Locate = Callable[[Trace, ModelInput, PlaceTable], tuple[Trace, TokenMap]]


def vision_extras(
    task: PublicVisionTask,
    recorder: FeatureRecorder,
    found: tuple[Trace, TokenMap],
    inputs: ModelInput,
    out: Any,
    options: LookOptions,
    locate: Locate,
) -> tuple[Extras, list[str]]:
    """The extras of a page, and notes. recorder, out: of the forward pass over `inputs`. found: its calls over the
    patches, and where these lie, as `locate` finds them."""
    features = recorder.features(list(found[0]))
    other = None if features is None or options.other is None else _other_image(task, options.other, locate)
    classes, notes = _class_maps(task, found[1], inputs, out, options)
    return Extras(features, other, classes), notes


def _other_image(task: PublicVisionTask, picture: Picture, locate: Locate) -> OtherImage | None:
    inputs = move_inputs(task.model, task.vision.prepare(picture.image))
    follower = PlaceFollower(pixels_of(inputs))
    with record_features(task.model) as recorder, follower, watch(task.model) as trace:
        call_model(task.model, inputs)
    calls, tokens = locate(trace, inputs, follower.table)
    features = recorder.features(list(calls))
    seen = seen_picture(task.vision.prepare, picture.image, pixels_of(inputs))
    return None if features is None else OtherImage(page_title(picture.name), seen, tokens.grid, features)


def _class_maps(
    task: PublicVisionTask, tokens: TokenMap, inputs: ModelInput, out: Any, options: LookOptions
) -> tuple[ClassMaps | None, list[str]]:
    known = probabilities(out)
    if known is None or len(known) != len(task.labels):
        return None, []
    model = _Logits(picture_only_model(task.model, inputs))
    named = {i: task.labels[i] for i in chosen_classes(task.labels, known, options.classes)}
    try:
        return class_maps(task.model, model, pixels_of(inputs), tokens, named)
    except SaccadeError as error:
        return None, [f"no class maps: {error}"]
    except Exception as error:  # whatever a library raises: it may take one picture at a time, or have no gradients
        return None, [f"no class maps: {type(error).__name__}: {in_one_line(error)}"]


class _Logits(nn.Module):
    """The logits of a classifier as a function of pictures; of one that returns probabilities, their logarithms."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self._model = model

    def forward(self, pictures: Float[Tensor, "b c y x"]) -> Float[Tensor, "b k"]:
        out = self._model(pictures)
        logits = getattr(out, "logits", out)
        sums = logits.detach().float().sum(dim=1)
        if bool((logits >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
            return logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
        return logits
