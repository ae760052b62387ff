"""The view of any model around a ViT: its prediction as text, and its self-attention. Base of the tasks' own views."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from saccade.data import Picture
from saccade.data.files import escape
from saccade.data.preprocess import Preprocess
from saccade.errors import SaccadeError
from saccade.lens import AttentionSummary, Call, Trace, watch
from saccade.models import ViT
from saccade.studio.effort import check_time_and_memory
from saccade.studio.inputs.summary import InputSummary
from saccade.studio.page.targets import Targets
from saccade.studio.patches.class_maps import ClassMaps
from saccade.studio.patches.extras import Extras, OtherImage
from saccade.studio.patches.features import record_features
from saccade.studio.progress import report_step, track_layers
from saccade.studio.terminal import ROLLOUT, draw_heat
from saccade.studio.views.base import LookOptions, View, page_title
from saccade.tasks import Task

MAX_PATCHES = 256 * 256  # queries, keys and values of 12 layers of a ViT-B take 7 GB
_SHOWN = 1024  # longest side in pixels of the image on the page


@dataclass(frozen=True)
class ForwardPass:
    """One watched forward pass over one image."""

    trace: Trace
    out: Any
    grid: tuple[int, int]
    seconds: float


@dataclass(kw_only=True)
class EncoderView(View):
    """One image seen by a model with a ViT at `task.vit`.

    summary: what all layers of the encoder do; its rollout is how much each token flows into the one that represents
    the image, summing to 1.
    """

    task: Task
    summary: AttentionSummary

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> View:
        patch = encoder_of(task).config.patch
        side, size_notes = whole_patches(options.size, patch)
        preprocess = task.preprocess if side is None else task.preprocess.with_size(side)
        check_time_and_memory(task, (preprocess.size[0] // patch, preprocess.size[1] // patch))
        with record_features(cls.encoder(task)) as recorder, track_layers(list(task.vit.blocks), "running the model"):
            run = cls.forward(task, preprocess(picture.image)[None])
        used = replace(task, preprocess=preprocess)
        prediction, targets, notes = cls.read_prediction(used, picture, run, options)
        classes, class_notes = cls.class_maps(task, preprocess(picture.image)[None], run, options)
        return cls(
            task=task,
            name=picture.name,
            picture=visible_part(preprocess, picture.image, run.grid, patch),
            pixels=(run.grid[0] * patch, run.grid[1] * patch),
            grid=run.grid,
            prediction=prediction,
            trace=run.trace,
            targets=targets,
            notes=[*picture.notes, *task.notes, *size_notes, *notes, *class_notes],
            seconds=run.seconds,
            summary=summarize(run.trace if targets is None else targets.others, task, run.grid),
            extras=Extras(recorder.features(encoder_calls(run)), cls._other(task, preprocess, options.other), classes),
            seen=cls.input_summary(used, picture, prediction),
        )

    @classmethod
    def _other(cls, task: Any, preprocess: Preprocess, picture: Picture | None) -> OtherImage | None:
        """A second image as the first is seen."""
        if picture is None:
            return None
        with record_features(cls.encoder(task)) as recorder:
            run = cls.forward(task, preprocess(picture.image)[None])
        features = recorder.features(encoder_calls(run))
        seen = visible_part(preprocess, picture.image, run.grid, task.vit.config.patch)
        return None if features is None else OtherImage(page_title(picture.name), seen, run.grid, features)

    @classmethod
    def input_summary(cls, task: Any, picture: Picture, prediction: Any) -> InputSummary | None:
        """What a model can name and what it saw. task: with the preprocessing that was used."""
        return None

    @classmethod
    def class_maps(
        cls, task: Any, inputs: Float[Tensor, "1 c y x"], run: ForwardPass, options: LookOptions
    ) -> tuple[ClassMaps | None, list[str]]:
        """Where the evidence for classes lies, and notes; None for a model that does not classify images."""
        return None, []

    @classmethod
    def encoder(cls, task: Any) -> nn.Module:
        """The module whose calls `forward` records."""
        return task.model

    @classmethod
    def forward(cls, task: Any, inputs: Float[Tensor, "1 c y x"]) -> ForwardPass:
        """The watched forward pass."""
        return forward(task, inputs)

    @classmethod
    def read_prediction(
        cls, task: Any, picture: Picture, run: ForwardPass, options: LookOptions
    ) -> tuple[Any, Targets | None, list[str]]:
        """The prediction, what can be selected by name, and notes on both. task: with the preprocessing that was used.
        A subclass reads them from `run`; here the task predicts by itself, if it can."""
        if not hasattr(task, "predict"):
            return None, None, ["this model has no classification head: the page shows attention and no prediction"]
        return task.predict(picture), None, []

    @property
    def heat(self) -> Float[Tensor, "y x"]:
        """The rollout over the patches alone: its sum is 1 less what the prefix tokens keep."""
        return self.summary.rollout[0, len(self.prefix) :].view(self.grid).cpu()

    @property
    def prefix(self) -> Sequence[str]:
        return self.task.prefix

    @property
    def target(self) -> int | Literal["mean"]:
        return self.task.target

    def print_summary(self, console: Console) -> None:
        if self.prediction is not None:
            console.print(escape(str(self.prediction)), markup=False, highlight=False)
        draw_heat(console, self.picture, self.heat, ROLLOUT)

    def facts(self) -> dict[str, str]:
        patch = self.task.vit.config.patch
        facts = super().facts() | {
            "patch": f"{patch} x {patch} pixels",
            "tokens": str(len(self.prefix) + self.grid[0] * self.grid[1]),
        }
        if self.task.preprocess.detail is not None:
            facts["detail"] = f"reduced to {self.task.preprocess.detail} pixels first, as in training"
        return facts

    @property
    def prediction_text(self) -> str:
        known = self.prediction is None or self.predictions or self.targets is not None
        return "" if known else str(self.prediction)

    def prediction_dict(self) -> Any:
        if self.prediction is None or hasattr(self.prediction, "to_dict"):
            return super().prediction_dict()
        return str(self.prediction)


def encoder_of(task: Any) -> ViT:
    """The ViT of a task. Raises SaccadeError for a task without one."""
    if not isinstance(task, Task) or not isinstance(getattr(task.model, "vit", task.model), ViT):
        raise SaccadeError(
            f"{task.name}: its model is not built around a ViT at `.vit`, so no page shows it; saccade.watch does"
        )
    return task.vit


def forward(task: Task, inputs: Float[Tensor, "1 c y x"]) -> ForwardPass:
    """Run the model on the device that it is on, and record its attention calls."""
    model = task.model.eval()
    inputs = inputs.to(next(model.parameters()).device)
    started = time.perf_counter()
    with watch(model, values=True) as trace:
        out = model(inputs)
    if inputs.device.type != "cpu":
        torch.accelerator.synchronize(inputs.device)  # calls return before they have computed
    return ForwardPass(trace, out, task.vit.grid(inputs), time.perf_counter() - started)


def encoder_calls(run: ForwardPass) -> list[Call]:
    """The self-attention of the encoder: that of the first call."""
    tokens = run.trace[0].shape[2] if run.trace else 0
    return [call for call in run.trace if call.kind == "self" and call.shape[::2] == (1, tokens)]


def whole_patches(size: int | None, patch: int) -> tuple[int | None, list[str]]:
    """The largest side of whole patches in `size` pixels, and a note if it is smaller.

    Raises SaccadeError if it is less than a patch, or makes more than MAX_PATCHES."""
    if size is None:
        return None, []
    if size < patch:
        raise SaccadeError(f"a size of {size} pixels is less than one patch of {patch}: use a larger size")
    if (size // patch) ** 2 > MAX_PATCHES:
        raise SaccadeError(
            f"a size of {size} pixels makes {size // patch} x {size // patch} patches, more than the maximum of "
            f"{MAX_PATCHES}: use a smaller size"
        )
    side = size - size % patch
    return side, [] if side == size else [f"size {size} is not a multiple of the patch: {side} is used"]


def summarize(trace: Trace, task: Task, grid: tuple[int, int]) -> AttentionSummary:
    """Of all layers, with the rollout of the token that represents the image."""
    report_step("summing up what all layers attend to")
    token: int | Tensor = 0
    if task.target == "mean":
        token = torch.cat([torch.zeros(len(task.prefix)), torch.ones(grid[0] * grid[1])])
    summary = trace.summary(grid, token)
    if not summary.rollout.isfinite().all():
        raise SaccadeError(f"the attention of {task.name} is not a number: its weights are damaged, fetch it again")
    return summary


def visible_part(preprocess: Preprocess, picture: Image.Image, grid: tuple[int, int], patch: int) -> Image.Image:
    """The part of the image that the grid covers, at the resolution of the file."""
    height, width = preprocess.size
    factor = max(1.0, min(_SHOWN, min(picture.size)) / max(height, width))
    sharp = replace(
        preprocess,
        size=(round(height * factor), round(width * factor)),
        shortest=None if preprocess.shortest is None else round(preprocess.shortest * factor),
        detail=None,
    ).resize_and_crop(picture)
    return sharp.crop((0, 0, round(grid[1] * patch * factor), round(grid[0] * patch * factor)))
