"""A small picture in the terminal, and where a model looks in it, or what it finds."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from saccade.data.files import shown
from saccade.studio.views.areas import ClassAreas
from saccade.studio.views.objects import FoundObjects
from saccade.tasks.detect.task import Detection
from saccade.tasks.segment.draw import percent

# Dark to bright, even steps of lightness: where nothing is looked at the picture stays visible, darkened.
_RAMP = np.array([(22, 18, 46), (86, 20, 98), (160, 42, 92), (222, 80, 56), (250, 152, 42), (252, 238, 130)], float)
# Those of the page.
_HUES = ["#ff6f61", "#3ecf76", "#5aaaff", "#ffc73b", "#cf8bff", "#19cfd0", "#ff94cc", "#b5d63d", "#ffa24d", "#9aa5ff"]
_MOST_CLASSES = 24  # lines of a table
_OPACITY = 0.7  # of the colours of classes
_SHADES = " .:-=+*#%@"


def bars(labels: Sequence[str], shares: Sequence[float], width: int = 24) -> Table:
    """A bar and a percentage for each label. shares: 0 to 1."""
    table = Table.grid(padding=(0, 1))
    for label, share in zip(labels, shares, strict=True):
        full = round(share * width)
        bar = Text("█" * full, style="cyan").append("·" * (width - full), style="dim")
        table.add_row(Text(shown(label)), bar, Text(f"{share:6.1%}"))
    return table


def objects_table(found: Detection, objects: FoundObjects) -> Table:
    """What a detector found, a line an object: name, score, box in pixels of the picture, and how much of its
    attention in the last layer lies inside that box, beside the box's share of the picture."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", caption_style="dim", caption_justify="left")
    for head in ("object", "score", "left", "top", "right", "bottom"):
        table.add_column(head, justify="left" if head == "object" else "right")
    shares = objects.shares()
    if objects.layers:
        table.caption = (
            "attention inside: of its query's attention to the picture in the last layer, what lies in the box"
        )
        table.add_column("attention inside", justify="right")
        table.add_column("box covers", justify="right")
    for i, name in enumerate(objects.names):
        row = [f"{float(found.found.scores[i]):.0%}", *(f"{edge:.1f}" for edge in found.found.boxes[i].tolist())]
        if objects.layers:
            row += [f"{shares[i]['attention_in_box'][-1]:.0%}", f"{shares[i]['box_share']:.1%}"]
        table.add_row(Text(shown(name), style=f"bold {_HUES[i % len(_HUES)]}"), *row)
    return table


def relation_lines(objects: FoundObjects, most: int = 8) -> Table:
    """The surest relations: two objects, what the one is to the other, and how sure all of it is."""
    table = Table.grid(padding=(0, 2))
    for i, name, j, score in objects.relations[:most]:
        table.add_row(*(Text(shown(text)) for text in (objects.names[i], name, objects.names[j], f"{score:.0%}")))
    return table


def draw_objects(console: Console, picture: Image.Image, objects: FoundObjects, width: int = 48) -> None:
    """The picture as the model saw it, with the boxes in the colours of the table; without colour nothing."""
    if not console.is_terminal or console.color_system is None:
        return
    columns, rows = _size(picture, console.width - 2, width)
    small = picture.convert("RGB").resize((columns, rows), Image.Resampling.BOX)
    draw = ImageDraw.Draw(small)
    for i, (left, top, right, bottom) in reversed(list(enumerate(objects.boxes.tolist()))):
        corner = round(left * columns), round(top * rows)
        other = max(corner[0], round(right * columns) - 1), max(corner[1], round(bottom * rows) - 1)
        draw.rectangle([corner, other], outline=_HUES[i % len(_HUES)])
    console.print(_blocks(np.asarray(small, dtype=float)))


def tell_objects(console: Console, picture: Image.Image, said: Detection, objects: FoundObjects) -> None:
    """All that is told of found objects: their table, how they relate, and the picture."""
    if len(objects):
        console.print(objects_table(said, objects))
    if objects.relations:
        console.print(relation_lines(objects))
    draw_objects(console, picture, objects)


def areas_table(areas: ClassAreas, width: int = 24) -> Table:
    """What a segmenter says, a line for each class that is there: its share of the pixels, and how much of its
    token's attention in the last layer lies inside its area, beside the area's share of what the model saw."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", caption_style="dim", caption_justify="left")
    table.add_column("class")
    table.add_column("")
    table.add_column("share", justify="right")
    if areas.layers:
        table.caption = (
            "attention inside: of its token's attention to the picture in the last layer, what lies in its area"
        )
        table.add_column("attention inside", justify="right")
    told, there = areas.shares(), int((areas.pixels > 0).sum())
    for i, name in enumerate(areas.names[: min(there, _MOST_CLASSES)]):
        share = float(areas.pixels[i])
        full = max(1, round(share * width))
        style = "white" if i in areas.bare else _hex(areas.colours[i])
        bar = Text("█" * full, style=style).append("·" * (width - full), style="dim")
        row = [Text(shown(name)), bar, Text(percent(share))]
        if areas.layers and i < len(areas):
            row.append(Text(f"{told[i]['attention_in_area'][-1]:.0%}"))
        table.add_row(*row)
    if there > _MOST_CLASSES:
        rest = float(areas.pixels[_MOST_CLASSES:].sum())
        table.add_row(Text(f"{there - _MOST_CLASSES} more", style="dim"), "", Text(percent(rest)))
    return table


def draw_areas(console: Console, picture: Image.Image, areas: ClassAreas, width: int = 36) -> None:
    """The picture and, beside it, the picture under the colours of its classes; without colour nothing."""
    if not console.is_terminal or console.color_system is None:
        return
    columns, rows = _size(picture, (console.width - 4) // 2, width)
    small = np.asarray(picture.convert("RGB").resize((columns, rows), Image.Resampling.BOX), dtype=float)
    kinds = np.asarray(Image.fromarray(areas.mask.numpy()).resize((columns, rows), Image.Resampling.NEAREST))
    painted = np.zeros((256, 4))  # red, green, blue and opacity of each class
    painted[: len(areas.colours)] = [(*colour, _OPACITY) for colour in areas.colours]
    painted[areas.bare] = 0
    laid, opacity = painted[kinds][..., :3], painted[kinds][..., 3:]
    table = Table.grid(padding=(0, 2))
    table.add_row(_blocks(small), _blocks(opacity * laid + (1 - opacity) * small))
    table.add_row(Text("the picture", style="dim"), Text("its classes, in the colours above", style="dim"))
    console.print(table)


def words_table(
    words: Sequence[str], answers: Float[Tensor, "n m"], grid: tuple[int, int], width: int = 12, marks: bool = False
) -> Table:
    """A line a word: what it adds to the similarity by way of all patches (a bar to the right of an axis, or a paler
    one to the left where it takes away), and the patch by which it adds most. marks: the last is no word."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", caption_style="dim", caption_justify="left")
    for head in ("word", "adds", "", "most by the patch at"):
        table.add_column(head, justify="right" if head == "adds" else "left")
    table.caption = "to the similarity, by way of the patches; ░, to the left: taken away"
    sums, bests, peaks = (each.tolist() for each in (answers.sum(dim=1), *answers.max(dim=1)))
    most = max(*map(abs, sums), 1e-12)
    for i, (word, adds, best, peak) in enumerate(zip(words, sums, bests, peaks, strict=True)):
        full = max(int(adds != 0), round(abs(adds) / most * width))
        left, right = (full, 0) if adds < 0 else (0, full)
        bar = Text(" " * (width - left)).append("░" * left, style="red")
        bar.append("│", style="dim").append("█" * right, style="cyan")
        label = Text(f"({shown(word)})", style="dim") if marks and i == len(words) - 1 else Text(shown(word))
        row, column = divmod(peak, grid[1])
        where = f"row {row + 1}, column {column + 1}" if best > 0 else "none"
        table.add_row(label, Text(f"{adds:+.4f}"), bar, Text(where))
    return table


def _size(picture: Image.Image, room: int, width: int) -> tuple[int, int]:
    """Columns and an even number of rows of a small picture, at most three times as high as wide."""
    columns = max(8, min(width, room))
    return columns, min(max(4, round(columns * picture.height / picture.width / 2) * 2), 3 * columns)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def draw_look(console: Console, picture: Image.Image, heat: Float[Tensor, "y x"], width: int = 36) -> None:
    """The picture and, beside it, the picture under its heat map (any scale), from its least to its most.

    In colour two pixels make one character, and a picture is drawn at most three times as high as wide; without
    colour the heat map alone is drawn in shades.
    """
    columns, rows = _size(picture, (console.width - 4) // 2, width)
    least, most = float(heat.min()), float(heat.max())
    warm = (heat.float().numpy() - least) / max(most - least, 1e-12)
    if not console.is_terminal or console.color_system is None:
        console.print(_shaded(warm), highlight=False, markup=False)
        console.print(f"where it looks: {_scale(least, most)}", highlight=False)
        return
    small = np.asarray(picture.convert("RGB").resize((columns, rows), Image.Resampling.BOX), dtype=float)
    shown = Image.fromarray(warm.astype(np.float32)).resize((columns, rows), Image.Resampling.BILINEAR)
    hot = np.clip(np.asarray(shown), 0, 1)[:, :, None]
    laid = 0.35 * small + 0.65 * _colour(hot[:, :, 0])
    table = Table.grid(padding=(0, 2))
    table.add_row(_blocks(small), _blocks(laid))
    table.add_row(Text("the picture", style="dim"), Text(f"where it looks: {_scale(least, most)}", style="dim"))
    console.print(table)


def _scale(least: float, most: float) -> str:
    return f"dark {least:.2%} to bright {most:.2%} a patch"


def _colour(heat: np.ndarray) -> np.ndarray:
    place = heat * (len(_RAMP) - 1)
    low = np.floor(place).astype(int).clip(0, len(_RAMP) - 2)
    share = (place - low)[..., None]
    return _RAMP[low] * (1 - share) + _RAMP[low + 1] * share


def _blocks(pixels: np.ndarray) -> Text:
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
