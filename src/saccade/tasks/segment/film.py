"""A film of a segmentation: every frame of one size, names that stay in their place."""

from collections.abc import Sequence

from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.tasks.drawing import INK, PAPER, font, short
from saccade.tasks.segment.colours import colours_of
from saccade.tasks.segment.draw import MOST_NAMED, draw_segmentation, swatch_of, unpainted


class FilmOfSegments:
    """Draws frame after frame of one film as `draw_segmentation` does, above the names of its classes.

    Up to 24 classes have their places from the start, in order. Of more, each gets one when it first comes, the larger
    of two before the other, until 24 are given away.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self._colours, self._bare = colours_of(classes, None), unpainted(classes, None)
        few = len(classes) <= MOST_NAMED
        self._places: dict[int, int] = {i: i for i in range(len(classes))} if few else {}
        self._strip: Image.Image | None = None

    def draw(self, picture: Image.Image, mask: UInt8[Tensor, "y x"]) -> Image.Image:
        """One frame. Raises DataError as `draw_segmentation`."""
        frame = draw_segmentation(picture, mask, self.classes, legend=False)
        if self._strip is None:
            self._begin(frame)
        assert self._strip is not None
        if len(self.classes) > MOST_NAMED:
            counts = Image.fromarray(mask.cpu().numpy()).histogram()
            for i in sorted(range(len(self.classes)), key=lambda i: -counts[i]):
                if counts[i] and i not in self._places and len(self._places) < MOST_NAMED:
                    self._places[i] = len(self._places)
                    self._name(i)
        sheet = Image.new("RGB", (self._strip.width, frame.height + self._strip.height), PAPER)
        sheet.paste(frame, (0, 0))
        sheet.paste(self._strip, (0, frame.height))
        return sheet

    def _begin(self, frame: Image.Image) -> None:
        """An empty strip for the longest names there can be, with those that are in their place already."""
        self._unit = max(frame.size) / 640
        self._row, self._pad = round(24 * self._unit), round(10 * self._unit)
        letters = max(font(15 * self._unit, name).getlength(short(name, 24)) for name in self.classes)
        self._column = round(14 * self._unit) + 2 * self._pad + int(letters)
        self._columns = max(1, (frame.width - self._pad) // self._column)
        rows = -(-min(MOST_NAMED, len(self.classes)) // self._columns)
        width = max(frame.width, self._pad + min(self._columns, len(self.classes)) * self._column)
        self._strip = Image.new("RGB", (width, rows * self._row + 2 * self._pad), PAPER)
        for i in self._places:
            self._name(i)

    def _name(self, i: int) -> None:
        """Write a class in its place."""
        assert self._strip is not None
        draw, place, half = ImageDraw.Draw(self._strip), self._places[i], round(7 * self._unit)
        x = self._pad + place % self._columns * self._column
        y = self._pad + place // self._columns * self._row + self._row // 2
        box = (x, y - half, x + 2 * half, y + half)
        swatch_of(draw, box, None if i in self._bare else self._colours[i], max(1, round(self._unit)))
        text = short(self.classes[i], 24)
        draw.text((x + 2 * half + 0.6 * self._pad, y), text, INK, font(15 * self._unit, text), anchor="lm")
