"""What a model knows, what it saw of a photograph, and how far its answer can be relied on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from rich.console import Console

from saccade.data.files import escape
from saccade.data.preprocess import Preprocess
from saccade.tasks.classify.describe import describe_classes, describe_confidence, missing_ood_reason
from saccade.tasks.classify.result import Classification

_SHOWN = 240  # longest side in pixels of the photograph on the page


@dataclass(frozen=True)
class InputSummary:
    """In words, and as the photograph beside the input of the model.

    knows: the classes, "" for a model without. how: what part of the photograph at which size. doubts: why not to rely
    on the answer. missing: why there is no out-of-distribution score, "" where there is. photo: the whole photograph.
    input: what the model saw, at its size. frame: that part as fractions (left, top, right, bottom) of the photograph,
    None if not known.
    """

    knows: str
    how: str
    doubts: Sequence[str]
    missing: str
    photo: Image.Image
    frame: tuple[float, float, float, float] | None
    input: Image.Image

    def content(self, encode: Callable[[Image.Image], dict[str, Any]]) -> dict[str, Any]:
        """For the page. encode: a picture as the page holds it."""
        photo = self.photo.convert("RGB")
        photo.thumbnail((_SHOWN, _SHOWN))
        return {
            "texts": [self.knows, self.how, self.missing, *self.doubts],
            "frame": self.frame and [round(edge, 4) for edge in self.frame],
            "photo": encode(photo),
            "input": encode(self.input),
        }

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"knows": self.knows, "saw": self.how, "doubts": list(self.doubts)}

    def print_before(self, console: Console) -> None:
        """What comes before the answer."""
        for text in filter(None, (self.knows, self.how)):
            console.print(escape(text), style="dim", soft_wrap=True)

    def print_after(self, console: Console) -> None:
        """What comes after it."""
        for text in self.doubts:
            console.print(escape(text), style="yellow", soft_wrap=True)
        if self.missing:
            console.print(escape(self.missing), style="dim", soft_wrap=True)


def input_summary(task: Any, preprocess: Preprocess, photo: Image.Image, prediction: Classification) -> InputSummary:
    """preprocess: as it was used."""
    how, frame = describe_crop(preprocess, photo.size)
    doubts = describe_confidence(prediction, len(task.labels))
    knows = describe_classes(task)
    return InputSummary(knows, how, doubts, missing_ood_reason(task), photo, frame, preprocess.resize_and_crop(photo))


def described_input(
    about: tuple[str, str], how: str, photo: Image.Image, frame: tuple[float, float, float, float], seen: Image.Image
) -> InputSummary:
    """Of a model without scores of confidence. about: what it can name, and a warning, "" for none. how, frame, seen:
    as `how`, `frame` and `input` of the summary."""
    knows, warning = about
    return InputSummary(knows, how, [warning] if warning else [], "", photo, frame, seen)


def public_input_summary(
    task: Any,
    photo: Image.Image,
    shown: Image.Image,
    size: tuple[int, int],
    prediction: Classification | None,
    how: str = "",
) -> InputSummary | None:
    """Of a model with a processor of its own. shown: what it saw. size: (height, width) in pixels at which it did. how:
    in what form, if in parts. None for one that takes the whole picture and does not classify it."""
    if prediction is None and not how:
        return None
    how = how or f"it saw this image at {size[1]} x {size[0]} pixels"
    small = shown.resize((size[1], size[0])) if shown.width > size[1] else shown
    if prediction is None:
        return InputSummary("", how, [], "", photo, None, small)
    doubts = describe_confidence(prediction, len(task.labels))
    return InputSummary(describe_classes(task), how, doubts, missing_ood_reason(task), photo, None, small)


def describe_crop(preprocess: Preprocess, size: tuple[int, int]) -> tuple[str, tuple[float, float, float, float]]:
    """What a model sees of a picture of (width, height), in words, and that part as fractions of the picture."""
    width, height = size
    rows, columns = preprocess.size
    place = preprocess.placement(height, width)
    left, right = (max(0.0, min(1.0, (x - place.offset_x) / place.scale_x / width)) for x in (0, columns))
    top, bottom = (max(0.0, min(1.0, (y - place.offset_y) / place.scale_y / height)) for y in (0, rows))
    seen_width, seen_height = (right - left) * width, (bottom - top) * height
    if min(right - left, bottom - top) > 0.99:
        part = "the whole picture"
    elif abs(seen_width - seen_height) < 0.03 * seen_width:  # sizes of resized pictures are whole pixels
        part = f"the middle square of {round(min(seen_width, seen_height))} pixels"
    else:
        part = f"the middle {round(seen_width)} x {round(seen_height)} pixels"
    return f"it saw {part}, {_resized(preprocess, seen_width, seen_height)}", (left, top, right, bottom)


def _resized(preprocess: Preprocess, width: float, height: float) -> str:
    rows, columns = preprocess.size
    detail = preprocess.detail
    if detail is not None and detail < min(width, height, rows, columns):
        return f"reduced to {detail} x {detail} and enlarged to {columns} x {rows} pixels"
    return describe_resize(preprocess.size, width * height)


def describe_resize(size: tuple[int, int], pixels: float) -> str:
    """How so many pixels became an input of (height, width)."""
    rows, columns = size
    return f"{'reduced' if pixels > rows * columns else 'enlarged'} to {columns} x {rows} pixels"
