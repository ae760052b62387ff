"""Segmented video: frames of one size, with a legend whose entries keep their positions."""

from collections.abc import Sequence

from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.tasks.drawing import INK, PAPER, font, truncate_text
from saccade.tasks.segment.colours import resolve_colours
from saccade.tasks.segment.draw import MAX_LEGEND, draw_segmentation, draw_swatch, transparent_classes


class SegmentationVideo:
    """Draws the frames of one video as `draw_segmentation` does, above a legend.

    Up to 24 classes have fixed positions in order. Of more, each gets a position when it first occurs, the largest
    first, until there are 24.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self._colours, self._bare = resolve_colours(classes, None), transparent_classes(classes, None)
        few = len(classes) <= MAX_LEGEND
        self._places: dict[int, int] = {i: i for i in range(len(classes))} if few else {}
        self._strip: Image.Image | None = None

    def draw(self, picture: Image.Image, mask: UInt8[Tensor, "y x"]) -> Image.Image:
        """One frame. Raises DataError as `draw_segmentation`."""
        frame = draw_segmentation(picture, mask, self.classes, legend=False)
        if self._strip is None:
            self._begin(frame)
        assert self._strip is not None
        if len(self.classes) > MAX_LEGEND:
            counts = Image.fromarray(mask.cpu().numpy()).histogram()
            for i in sorted(range(len(self.classes)), key=lambda i: -counts[i]):
                if counts[i] and i not in self._places and len(self._places) < MAX_LEGEND:
                    self._places[i] = len(self._places)
                    self._name(i)
        sheet = Image.new("RGB", (self._strip.width, frame.height + self._strip.height), PAPER)
        sheet.paste(frame, (0, 0))
        sheet.paste(self._strip, (0, frame.height))
        return sheet

    def _begin(self, frame: Image.Image) -> None:
        """A legend with room for all names, and the classes that have positions already."""
        self._unit = max(frame.size) / 640
        self._row, self._pad = round(24 * self._unit), round(10 * self._unit)
        letters = max(font(15 * self._unit, name).getlength(truncate_text(name, 24)) for name in self.classes)
        self._column = round(14 * self._unit) + 2 * self._pad + int(letters)
        self._columns = max(1, (frame.width - self._pad) // self._column)
        rows = -(-min(MAX_LEGEND, len(self.classes)) // self._columns)
        width = max(frame.width, self._pad + min(self._columns, len(self.classes)) * self._column)
        self._strip = Image.new("RGB", (width, rows * self._row + 2 * self._pad), PAPER)
        for i in self._places:
            self._name(i)

    def _name(self, i: int) -> None:
        """Draw the legend entry of a class."""
        assert self._strip is not None
        draw, place, half = ImageDraw.Draw(self._strip), self._places[i], round(7 * self._unit)
        x = self._pad + place % self._columns * self._column
        y = self._pad + place // self._columns * self._row + self._row // 2
        box = (x, y - half, x + 2 * half, y + half)
        draw_swatch(draw, box, None if i in self._bare else self._colours[i], max(1, round(self._unit)))
        text = truncate_text(self.classes[i], 24)
        draw.text((x + 2 * half + 0.6 * self._pad, y), text, INK, font(15 * self._unit, text), anchor="lm")
