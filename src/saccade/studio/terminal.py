"""Drawing in the terminal: tables, bars, small images and heat maps."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from saccade.data.files import escape
from saccade.language import localize_text

# Dark to bright, even steps of lightness: where nothing is looked at the picture stays visible, darkened.
_RAMP = np.array([(22, 18, 46), (86, 20, 98), (160, 42, 92), (222, 80, 56), (250, 152, 42), (252, 238, 130)], float)
_SHADES = " .:-=+*#%@"
ROLLOUT = "attention through all layers (rollout)"  # caption of a heat map


def has_colour(console: Console) -> bool:
    """Whether images can be drawn in it."""
    return console.is_terminal and console.color_system is not None


def plain_table(*columns: str) -> Table:
    """A table without lines; the first column is aligned to the left, the others to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", caption_style="dim", caption_justify="left")
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i and name else "left")
    return table


def bar(full: int, width: int, style: str = "cyan") -> Text:
    """A bar of `width` characters, `full` of them filled."""
    return Text("█" * full, style=style).append("·" * (width - full), style="dim")


def bars(labels: Sequence[str], shares: Sequence[float], width: int = 24) -> Table:
    """A bar and a percentage for each label. shares: 0 to 1."""
    table = Table.grid(padding=(0, 1))
    for label, share in zip(labels, shares, strict=True):
        table.add_row(Text(escape(label)), bar(round(share * width), width), Text(f"{share:6.1%}"))
    return table


def fitted_size(picture: Image.Image, room: int, width: int) -> tuple[int, int]:
    """Columns and an even number of rows of a small image, at most three times as high as wide."""
    columns = max(8, min(width, room))
    return columns, min(max(4, round(columns * picture.height / picture.width / 2) * 2), 3 * columns)


def draw_heat(console: Console, picture: Image.Image, heat: Float[Tensor, "y x"], of: str, width: int = 36) -> None:
    """The image and, beside it, the image under its heat map (any scale), from its minimum to its maximum.

    of: what the heat map is of, for the caption.

    In colour two pixels make one character, and an image is drawn at most three times as high as wide; without colour
    the heat map alone is drawn in shades.
    """
    columns, rows = fitted_size(picture, (console.width - 4) // 2, width)
    least, most = float(heat.min()), float(heat.max())
    scaled = (heat.float().numpy() - least) / max(most - least, 1e-12)
    caption = f"{of}: {_scale(least, most)}"
    if not has_colour(console):
        console.print(_shaded(scaled), highlight=False, markup=False)
        console.print(caption, highlight=False)
        return
    small = np.asarray(picture.convert("RGB").resize((columns, rows), Image.Resampling.BOX), dtype=float)
    smooth = Image.fromarray(scaled.astype(np.float32)).resize((columns, rows), Image.Resampling.BILINEAR)
    mixed = 0.35 * small + 0.65 * _colour(np.clip(np.asarray(smooth), 0, 1))
    console.print(side_by_side(small, mixed, caption))


def side_by_side(picture: np.ndarray, other: np.ndarray, caption: str) -> Table:
    """An image and another one beside it, as arrays (rows, columns, RGB), with their captions."""
    table = Table.grid(padding=(0, 2))
    table.add_row(half_blocks(picture), half_blocks(other))
    table.add_row(Text(localize_text("the image"), style="dim"), Text(localize_text(caption), style="dim"))
    return table


def _scale(least: float, most: float) -> str:
    return f"dark {least:.2%} to bright {most:.2%} a patch"


def _colour(heat: np.ndarray) -> np.ndarray:
    position = heat * (len(_RAMP) - 1)
    low = np.floor(position).astype(int).clip(0, len(_RAMP) - 2)
    share = (position - low)[..., None]
    return _RAMP[low] * (1 - share) + _RAMP[low + 1] * share


def half_blocks(pixels: np.ndarray) -> Text:
    """Upper half blocks: the character's colour is the pixel above, its background the one below."""
    text = Text()
    for y in range(0, len(pixels) - 1, 2):
        for above, below in zip(pixels[y].astype(int), pixels[y + 1].astype(int), strict=True):
            text.append("▀", style=f"rgb({above[0]},{above[1]},{above[2]}) on rgb({below[0]},{below[1]},{below[2]})")
        if y + 2 < len(pixels):
            text.append("\n")
    return text


def _shaded(heat: np.ndarray) -> str:
    step = max(1, -(-heat.shape[1] // 40))
    picked = heat[::step, ::step]
    levels = (picked * (len(_SHADES) - 1)).round().astype(int)
    return "\n".join("".join(_SHADES[level] * 2 for level in row) for row in levels)
