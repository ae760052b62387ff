"""What the views of all detectors share: objects, their relations, and the attention of each object's query."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saccade.data.files import escape
from saccade.studio.terminal import fitted_size, half_blocks, has_colour, plain_table
from saccade.studio.views.base import View
from saccade.studio.views.objects import DetectedObjects
from saccade.tasks.detect.task import Detection

# Those of the page.
_HUES = ["#ff6f61", "#3ecf76", "#5aaaff", "#ffc73b", "#cf8bff", "#19cfd0", "#ff94cc", "#b5d63d", "#ffa24d", "#9aa5ff"]


@dataclass(kw_only=True)
class ObjectsView(View):
    """One image seen by any detector."""

    prediction: Detection
    targets: DetectedObjects

    @property
    def click_hint(self) -> str:
        return "an object" if len(self.targets) else "a patch"

    def print_summary(self, console: Console) -> None:
        if self.seen is not None:
            self.seen.print_before(console)
        if len(self.targets):
            console.print(objects_table(self.prediction, self.targets))
        if self.targets.relations:
            console.print(relations_table(self.targets))
        if self.seen is not None:
            self.seen.print_after(console)
        draw_boxes(console, self.picture, self.targets)

    def facts(self) -> dict[str, str]:
        return super().facts() | {"queries": str(self.targets.queries)}

    def prediction_dict(self) -> Any:
        prediction = self.prediction.to_dict()
        # Objects beyond those with maps have no attention.
        for one, shares in zip(prediction["objects"], self.targets.attention_shares(), strict=False):
            one.update(shares)
        return prediction


def objects_table(found: Detection, objects: DetectedObjects) -> Table:
    """A row an object: name, score, box in pixels of the image, and how much of its attention in the last layer lies
    inside that box, beside the box's share of the image."""
    table = plain_table("object", "score", "left", "top", "right", "bottom")
    shares = objects.attention_shares()
    if objects.layers:
        table.caption = (
            "attention inside: of its query's attention to the image in the last layer, the share in the box"
        )
        table.add_column("attention inside", justify="right")
        table.add_column("box covers", justify="right")
    for i, name in enumerate(objects.names):
        row = [f"{float(found.found.scores[i]):.0%}", *(f"{edge:.1f}" for edge in found.found.boxes[i].tolist())]
        if objects.layers:
            row += [f"{shares[i]['attention_in_box'][-1]:.0%}", f"{shares[i]['box_share']:.1%}"]
        table.add_row(Text(escape(name), style=f"bold {_HUES[i % len(_HUES)]}"), *row)
    return table


def relations_table(objects: DetectedObjects, most: int = 8) -> Table:
    """The relations of highest score: subject, relation, object, score."""
    table = Table.grid(padding=(0, 2))
    for i, name, j, score in objects.relations[:most]:
        table.add_row(*(Text(escape(text)) for text in (objects.names[i], name, objects.names[j], f"{score:.0%}")))
    return table


def draw_boxes(console: Console, picture: Image.Image, objects: DetectedObjects, width: int = 48) -> None:
    """The image as the model saw it, with the boxes in the colours of the table; without colour nothing."""
    if not has_colour(console):
        return
    columns, rows = fitted_size(picture, console.width - 2, width)
    small = picture.convert("RGB").resize((columns, rows), Image.Resampling.BOX)
    draw = ImageDraw.Draw(small)
    for i, (left, top, right, bottom) in reversed(list(enumerate(objects.boxes.tolist()))):
        corner = round(left * columns), round(top * rows)
        other = max(corner[0], round(right * columns) - 1), max(corner[1], round(bottom * rows) - 1)
        draw.rectangle([corner, other], outline=_HUES[i % len(_HUES)])
    console.print(half_blocks(np.asarray(small, dtype=float)))
