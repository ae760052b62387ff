"""The view of a video classifier: probabilities, and where every place of the film looks in all of its frames."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from rich.console import Console
from torch import Tensor

from saccade.checkpoints.video_classifiers import PublicVideoClassifier
from saccade.data import Picture
from saccade.data.film_frames import Clip
from saccade.errors import SaccadeError
from saccade.lens import Trace, watch
from saccade.studio.film.attention import FilmAttentionCall, FilmLayout, at_least_one, film_calls, misfit_reason
from saccade.studio.film.film import FilmPageData
from saccade.studio.page.page import missed_notes
from saccade.studio.terminal import bars
from saccade.studio.views.base import LookOptions, View, reject_size_option
from saccade.tasks.classify.task import softmax
from saccade.tasks.classify.video_classifier import VideoClassification, VideoClassifyTask


@dataclass(kw_only=True)
class FilmView(View):
    """One video seen by a video classifier. picture: the frame that the page shows first."""

    task: VideoClassifyTask
    prediction: VideoClassification
    targets: FilmPageData
    of: int

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> View:
        raise SaccadeError(
            f"{task.name} classifies videos of {task.frames} frames, and {picture.name} is a picture: give a video"
        )

    @classmethod
    @torch.no_grad()
    def look_at_clip(cls, task: VideoClassifyTask, clip: Clip, options: LookOptions) -> "FilmView":
        """Run the model on the frames of a video. Raises SaccadeError if none of its attention can be shown, and for
        options that do not apply to it."""
        reject_size_option(task, options)
        classifier = task.classifier
        inputs = classifier.preprocess(clip.pictures)
        started = time.perf_counter()
        with watch(task.model) as trace:
            logits = classifier.logits(inputs)
        if logits.device.type != "cpu":
            torch.accelerator.synchronize(logits.device)  # calls return before they have computed
        seconds = time.perf_counter() - started
        layout = film_layout(classifier, inputs, [float(moment) for moment in clip.times])
        calls, notes = cls.calls(classifier, trace, layout)
        middle = layout.token(len(layout.groups) // 2, layout.grid[0] // 2, layout.grid[1] // 2)
        return cls(
            task=task,
            name=clip.name,
            picture=layout.frames[layout.groups[len(layout.groups) // 2][0]],
            pixels=classifier.size,
            grid=layout.grid,
            prediction=task.to_classification(softmax(logits)[0].cpu(), clip, options.top),
            trace=trace,
            targets=FilmPageData(
                layers=calls,
                others=Trace([]),
                grid=layout.grid,
                notes=notes,
                layout=layout,
                start=middle,
                speaker="mean" if classifier.mean_pooled else ("" if not layout.prefix else layout.prefix[0]),
            ),
            summary=None,
            notes=[*clip.notes, *task.notes],
            seconds=seconds,
            of=clip.of,
        )

    @staticmethod
    def calls(
        classifier: PublicVideoClassifier, trace: Trace, layout: FilmLayout
    ) -> tuple[list[FilmAttentionCall], list[str]]:
        """What the page shows of the attention of a video classifier, and notes on the rest."""
        if classifier.divided_attention:
            return divided_attention_calls(trace, layout)
        return film_calls(trace, layout, _frames_of_places(layout) if classifier.family == "timesformer" else None)

    def print_summary(self, console: Console) -> None:
        console.print(bars(self.prediction.labels, self.prediction.probabilities))

    @property
    def predictions(self) -> Sequence[tuple[str, float]]:
        return list(zip(self.prediction.labels, self.prediction.probabilities, strict=True))

    @property
    def click_hint(self) -> str:
        return "a place in any frame"

    def facts(self) -> dict[str, str]:
        rows, columns = self.task.classifier.patch
        tube = self.task.classifier.tubelet_size
        patch = f"{columns} x {rows} pixels" + (f", {tube} frames" if tube > 1 else "")
        return super().facts() | {"frames": f"{self.task.frames} of {self.of}", "patch": patch}


def film_layout(
    classifier: PublicVideoClassifier, inputs: Float[Tensor, "1 t 3 y x"], times: Sequence[float]
) -> FilmLayout:
    """Where the tokens of a `PublicVideoClassifier` lie for these inputs, and its frames as it sees them."""
    tube = classifier.tubelet_size
    (height, width), (rows, columns) = classifier.size, classifier.patch
    groups = [range(start, start + tube) for start in range(0, classifier.num_frames - tube + 1, tube)]
    pictures = classifier.pictures(inputs)
    return FilmLayout(pictures, times, groups, (height // rows, width // columns), classifier.prefix)


def divided_attention_calls(trace: Trace, layout: FilmLayout) -> tuple[list[FilmAttentionCall], list[str]]:
    """The calls of TimeSformer's divided attention (Bertasius et al. 2021): in each layer one over time, whose batch is
    the places of a frame, row by row, and one over space, whose batch is the frames and whose first token is cls.

    Raises SaccadeError if there are none.
    """
    calls, notes, count = list[FilmAttentionCall](), missed_notes(trace), len(layout.groups)
    for call in trace:
        over_time = call.name.endswith(".temporal_attention.attention")
        expected = (layout.patches, count) if over_time else (count, 1 + layout.patches)
        why = misfit_reason(call, expected)
        if not (why or over_time or (_same(call.q[:, :, 0]) and _same(call.k[:, :, 0]))):
            why = "its cls token differs between frames"
        if why:
            notes.append(f"Not shown: {call.name}: {why}.")
            continue
        lay = _from_time if over_time else _from_space
        layer = sum(one.reach == ("time" if over_time else "space") for one in calls) + 1
        q, k = (lay(x.cpu().float())[None] for x in (call.q, call.k))
        calls.append(FilmAttentionCall(call.name, layer, layout, q, k, call.scale, "time" if over_time else "space"))
    return at_least_one(calls, notes, layout), notes


def _from_time(x: Float[Tensor, "p h t k"]) -> Float[Tensor, "h n k"]:
    """In the order of a layout with cls, which takes no part: its numbers are 0."""
    tokens = x.permute(1, 2, 0, 3).flatten(1, 2)
    return torch.cat([torch.zeros_like(tokens[:, :1]), tokens], dim=1)


def _from_space(x: Float[Tensor, "t h n k"]) -> Float[Tensor, "h n k"]:
    """In the order of a layout with cls, which is the same for all frames."""
    return torch.cat([x[0, :, :1], x[:, :, 1:].transpose(0, 1).flatten(1, 2)], dim=1)


def _frames_of_places(layout: FilmLayout) -> Int[Tensor, "n"]:
    """The order of a model whose tokens are cls, then the frames of the first place, of the second place, and so on."""
    count = len(layout.groups)
    order = torch.arange(layout.patches * count).view(layout.patches, count).T.flatten()
    return torch.cat([torch.zeros(1, dtype=torch.long), order + 1])


def _same(x: Float[Tensor, "t h k"]) -> bool:
    return torch.allclose(x, x[:1].expand_as(x), atol=1e-5, rtol=1e-4)
