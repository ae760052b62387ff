"""The view of a segmenter: the class of every pixel, and the attention of each class token."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saccade.data import Picture
from saccade.data.files import escape
from saccade.errors import SaccadeError
from saccade.language import localize_text
from saccade.studio.inputs.padded_image import PaddedImage, resize_and_pad
from saccade.studio.inputs.summary import InputSummary, describe_resize, described_input
from saccade.studio.terminal import bar, fitted_size, has_colour, plain_table, side_by_side
from saccade.studio.views.base import LookOptions, View
from saccade.studio.views.encoder import MAX_PATCHES, EncoderView, forward, summarize, whole_patches
from saccade.studio.views.places import PlacesView
from saccade.studio.views.segmented_classes import SegmentedClasses, hex_colour, segmentation_with_attention
from saccade.tasks.segment.commands import COMMANDS
from saccade.tasks.segment.draw import percent
from saccade.tasks.segment.public import PublicSegmentTask
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.task import SegmentTask

MAX_LOGITS = 400_000_000  # classes times pixels
_MOST_CLASSES = 24  # rows of a table
_OPACITY = 0.7  # of the colours of classes


@dataclass(kw_only=True)
class SegmentView(EncoderView):
    """One image seen by a segmenter in one piece, even one that `predict` would split into tiles."""

    click_hint = "a class"

    prediction: Segmentation
    targets: SegmentedClasses

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> View:
        if isinstance(task, PublicSegmentTask):
            return PlacesView.look(task, picture, options)
        patch = task.vit.config.patch
        side, notes = whole_patches(options.size, patch)
        sized = task if side is None else task.with_shorter_side(side)
        rows, columns = (edge // patch * patch for edge in task.preprocess.size)
        canvas = resize_and_pad(sized.preprocess, patch, picture.image, (rows, columns) if side is None else (0, 0))
        _check_size(task, picture, canvas)
        run = forward(task, canvas.inputs)
        prediction, targets = segmentation_with_attention(task, run.out.logits, canvas, picture, run.trace)
        notes = [
            *picture.notes,
            *task.notes,
            *notes,
            *targets.notes,
            *_canvas_notes(task, sized, picture, prediction, canvas),
        ]
        return cls(
            task=task,
            name=picture.name,
            picture=canvas.shown,
            pixels=canvas.padded,
            grid=run.grid,
            prediction=prediction,
            trace=run.trace,
            targets=targets,
            notes=notes,
            seconds=run.seconds,
            summary=summarize(targets.others, task, run.grid),
            seen=_input_summary(task, picture, canvas),
        )

    def print_summary(self, console: Console) -> None:
        assert self.seen is not None
        self.seen.print_before(console)
        console.print(classes_table(self.targets))
        self.seen.print_after(console)
        draw_classes(console, self.picture, self.targets)

    def facts(self) -> dict[str, str]:
        return super().facts() | {"classes": str(len(self.targets.classes))}

    def prediction_dict(self) -> Any:
        prediction = self.prediction.to_dict()
        shares = zip(
            self.targets.names, self.targets.attention_shares(), strict=False
        )  # classes beyond those with maps have none
        prediction["attention"] = {name: share for name, share in shares if name in prediction["classes"]}
        return prediction


def _check_size(task: SegmentTask, picture: Picture, canvas: PaddedImage) -> None:
    (rows, columns), (height, width) = canvas.grid, canvas.padded
    if rows * columns > MAX_PATCHES or height * width * len(task.labels) > MAX_LOGITS:
        raise SaccadeError(
            f"{escape(picture.name)} makes {rows} x {columns} patches at this size, too many at once: use a smaller "
            "size or a part of it"
        )


def _input_summary(task: SegmentTask, picture: Picture, canvas: PaddedImage) -> InputSummary:
    rows, columns = canvas.size
    how = f"it saw the whole picture, {describe_resize((rows, columns), picture.image.height * picture.image.width)}"
    small = picture.image.resize((columns, rows)) if picture.image.width > columns else picture.image
    return described_input(COMMANDS.about(task), how, picture.image, (0.0, 0.0, 1.0, 1.0), small)


def _canvas_notes(
    task: SegmentTask, sized: SegmentTask, picture: Picture, here: Segmentation, canvas: PaddedImage
) -> list[str]:
    """How much of the image `predict`, which splits it into tiles of the training size, gives another class; and
    whether the image leaves patches of the canvas empty."""
    notes, (height, width), (rows, columns) = [], canvas.padded, sized.preprocess.size
    if canvas.padded != task.preprocess.size:
        other = (sized.segment(picture) != here.mask).float().mean().item()
        notes.append(
            f"here the model sees the image in one piece of {width} x {height} pixels, and `predict` in tiles of "
            f"{columns} x {rows}, which gives {other:.1%} of the pixels another class"
        )
    if max(height - canvas.size[0], width - canvas.size[1]) >= canvas.patch:
        notes.append(f"the model's input is {width} x {height} pixels: the part beyond the image is padding, in grey")
    return notes


def classes_table(areas: SegmentedClasses, width: int = 24) -> Table:
    """A row for each class that is present: its share of the pixels, and how much of its token's attention in the last
    layer lies inside its area."""
    table = plain_table("class", "", "share")
    if areas.layers:
        table.caption = (
            "attention inside: of its token's attention to the image in the last layer, the share in its area"
        )
        table.add_column("attention inside", justify="right")
    shares, present = areas.attention_shares(), int((areas.pixels > 0).sum())
    for i, name in enumerate(areas.names[: min(present, _MOST_CLASSES)]):
        share = float(areas.pixels[i])
        style = "white" if i in areas.transparent_classes else hex_colour(areas.colours[i])
        row = [Text(escape(name)), bar(max(1, round(share * width)), width, style), Text(percent(share))]
        if areas.layers and i < len(areas):
            row.append(Text(f"{shares[i]['attention_in_area'][-1]:.0%}"))
        table.add_row(*row)
    if present > _MOST_CLASSES:
        rest = float(areas.pixels[_MOST_CLASSES:].sum())
        table.add_row(Text(localize_text(f"{present - _MOST_CLASSES} more"), style="dim"), "", Text(percent(rest)))
    return table


def draw_classes(console: Console, picture: Image.Image, areas: SegmentedClasses, width: int = 36) -> None:
    """The image and, beside it, the image under the colours of its classes; without colour nothing."""
    if not has_colour(console):
        return
    columns, rows = fitted_size(picture, (console.width - 4) // 2, width)
    small = np.asarray(picture.convert("RGB").resize((columns, rows), Image.Resampling.BOX), dtype=float)
    classes = np.asarray(Image.fromarray(areas.mask.numpy()).resize((columns, rows), Image.Resampling.NEAREST))
    painted = np.zeros((256, 4))  # red, green, blue and opacity of each class
    painted[: len(areas.colours)] = [(*colour, _OPACITY) for colour in areas.colours]
    painted[areas.transparent_classes] = 0
    colours, opacity = painted[classes][..., :3], painted[classes][..., 3:]
    mixed = opacity * colours + (1 - opacity) * small
    console.print(side_by_side(small, mixed, "its classes, in the colours above"))
