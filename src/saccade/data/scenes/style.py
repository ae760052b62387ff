"""Unlimited styles: a way to draw objects and a palette, each with continuous parameters.

A style never changes what a scene shows: description, layout and masks stay. Colour names stay true unless the style's
palette replaces them (`Style.keeps_colours`).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saccade.data.scenes.compose import Backdrop, as_pixels, illuminated
from saccade.data.scenes.layout import Layout
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.style_drawings import DRAWINGS, Drawing, Hatching
from saccade.data.scenes.style_palettes import PALETTES, Duotone, HueRotation, NaturalPalette
from saccade.errors import DataError

if TYPE_CHECKING:
    from saccade.data.scenes.scenes import Scene, Scenes

STYLE = 5  # stream of random numbers; scenes, films, edits, pairs and captions use 0 to 4
NATURAL = 0.5  # fraction of styles with natural colours
PLAIN = 0.1  # fraction of styles with the plain drawing
_PAIRS = frozenset(
    {("outline", "night"), ("gloss", "duotone"), ("hatching", "temperature"), ("pixels", "sepia"), ("wash", "rotation")}
)


class Style(NamedTuple):
    """How a scene is drawn; by default, plainly.

    Attributes:
        drawing: how objects are drawn, one of `style_drawings.DRAWINGS`.
        palette: what becomes of the colours, one of `style_palettes.PALETTES`.
    """

    drawing: Drawing = Drawing()
    palette: NaturalPalette = NaturalPalette()

    @property
    def family(self) -> str:
        """Name of the drawing and of the palette: "outline", "pixels, sepia", "plain"."""
        return self.drawing.name if self.palette.name == "natural" else f"{self.drawing.name}, {self.palette.name}"

    @property
    def keeps_colours(self) -> bool:
        """Whether the colour names of the scene are true of the picture."""
        return self.palette.keeps_colours


def sample_style(stream: RandomStream, held_out: bool = False) -> Style:
    """A random style, with `held_out` only those for which `is_held_out_style` is true, otherwise none of them."""
    while True:
        drawing = Drawing if stream.bernoulli(PLAIN) else stream.choice(DRAWINGS[1:])
        palette = NaturalPalette if stream.bernoulli(NATURAL) else stream.choice(PALETTES[1:])
        style = Style(drawing.draw(stream), palette.draw(stream))
        if is_held_out_style(style) == held_out:
            return style


def is_held_out_style(style: Style) -> bool:
    """Whether a style is kept out of training, to measure generalization to unseen styles.

    - hatching: one of four ranges of angle for each of four ranges of spacing; every angle and every spacing is seen.
    - duotone with dark tones from turquoise to blue; a rotation of hues by 72 to 100 degrees.
    - five pairs of a drawing and a palette, both seen in other pairs.
    """
    drawing, palette = style
    if isinstance(drawing, Hatching) and int((drawing.tangent + 1) * 2) == int(drawing.spacing * 2 - 5):
        return True
    if isinstance(palette, Duotone) and 0.5 <= palette.dark_hue < 0.67:
        return True
    if isinstance(palette, HueRotation) and 0.73 <= palette.tangent < 1.19:
        return True
    return (drawing.name, palette.name) in _PAIRS


def restyled(scenes: "Scenes", scene: "Scene", style: Style) -> np.ndarray:
    """The scene in the style, uint8 (y x 3). With the default `Style()`, the pixels of the scene.

    Args:
        scenes: the set that the scene is from, with the same arguments.
        scene: from its `scene`, `fresh` or `batch`.

    Raises:
        DataError: the scene is not from this set, or is edited.
    """
    layout, backdrop = scenes.layout_and_backdrop(scene)
    kinds = tuple((item.name, item.colour) for item in layout.items)
    if kinds != scene.description.objects or not np.array_equal(layout.owner + 1, scene.instances):
        raise DataError("the scene is not one of these scenes as it was drawn; give an unedited one and its own scenes")
    return paint_styled(layout, backdrop, style)


def paint_styled(layout: Layout, backdrop: Backdrop, style: Style) -> np.ndarray:
    """The picture of a layout in a style, uint8 (y x 3). Modifies the backdrop."""
    drawing, canvas, unit = style.drawing, backdrop.canvas, layout.side / 64
    drawing.prepare(canvas, unit)
    for item, drawn in zip(layout.items, layout.stencils, strict=True):
        drawing.paint(canvas, item, drawn, layout.light, unit)
    picture = illuminated(layout, backdrop)
    drawing.finish(picture, unit)
    style.palette.apply(picture)
    return as_pixels(np.minimum(np.maximum(picture, 0, out=picture), 255, out=picture))
