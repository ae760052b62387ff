"""Pictures and bars made of characters."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from saccade.studio.look import look
from saccade.studio.terminal import bars, draw_heat
from saccade.studio.views.attribution import words_table
from saccade.studio.views.segment import classes_table, draw_classes

from .detectors import noise
from .segmenters import task

ENOUGH = 120


def terminal(width=ENOUGH, **options):
    return Console(file=io.StringIO(), width=width, **{"force_terminal": True, "color_system": "truecolor", **options})


def paper(width=ENOUGH):
    return Console(file=io.StringIO(), width=width, force_terminal=False)


def said(console):
    return console.file.getvalue()


def test_bars():
    console = paper()
    console.print(bars(["cat", "[red]dog[/red]", "a\x1b[31m\nb"], [1.0, 0.25, 0.0]))
    lines = said(console).splitlines()
    assert len(lines) == 3
    assert lines[0].count("█") == 24
    assert (lines[1].count("█"), lines[1].count("·")) == (6, 18)
    assert "25.0%" in lines[1]
    assert "[red]dog[/red]" in lines[1]
    assert lines[2].count("·") == 24
    assert "\x1b" not in said(console)


def test_on_paper_the_heat_map_alone_in_shades():
    heat = torch.tensor([[0.0, 0.5], [0.25, 1.0]]) / 4
    console = paper()
    draw_heat(console, Image.new("RGB", (8, 8), "teal"), heat, "attention")
    first, second, scale = said(console).splitlines()
    assert first.rstrip() == "    ==" or first.startswith("  ")
    assert second.endswith("@@")
    assert scale == "attention: dark 0.00% to bright 25.00% a patch"
    assert "\x1b" not in said(console)


@pytest.mark.parametrize("grid", [(64, 64), (3, 200), (200, 3)])
def test_large_grids_fit_the_paper(grid):
    console = paper()
    draw_heat(console, Image.new("RGB", (8, 8)), torch.rand(grid), "attention")
    assert max(len(line) for line in said(console).splitlines()) <= 80


def blocks(text):
    """The colours (above, below) of every half block, line by line."""
    found = []
    for line in text.splitlines():
        pairs = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m(▀+)", line)
        row = [tuple(map(int, p[:6])) for p in pairs for _ in p[6]]
        if row:
            found.append(row)
    return found


def test_in_colour_the_picture_and_where_it_looks():
    picture = Image.new("RGB", (40, 40), (200, 0, 0))
    picture.paste((0, 0, 200), (0, 20, 40, 40))
    heat = torch.zeros(4, 4)
    heat[0, 0] = 1
    console = terminal()
    draw_heat(console, picture, heat, "attention")
    rows = blocks(said(console))
    assert len(rows) == 18
    assert all(len(row) == 2 * 36 for row in rows)
    left = np.array([row[:36] for row in rows])
    assert (left[0] == [200, 0, 0] * 2).all()
    assert (left[-1] == [0, 0, 200] * 2).all()
    right = np.array([row[36:] for row in rows])[..., :3].sum(-1)
    assert right[0, 0] == right[:, :].max()
    assert right[0, 0] > 2 * right[-1, -1]
    assert "attention: dark 0.00% to bright 100.00% a patch" in said(console)


@pytest.mark.parametrize("width", [10, 20, 40, 79])
def test_narrow_terminals(width):
    console = terminal(width)
    draw_heat(console, Image.new("RGB", (40, 30), "red"), torch.rand(3, 4), "attention")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said(console))
    assert max(map(len, plain.splitlines())) <= max(width, 18)


def test_a_map_of_one_value_is_no_division_by_zero():
    for console in (paper(), terminal()):
        draw_heat(console, Image.new("RGB", (4, 4)), torch.full((2, 2), 0.25), "attention")
        assert "25.00%" in said(console)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1)])
def test_pictures_of_any_shape(shape):
    for console in (paper(), terminal()):
        draw_heat(console, Image.new("L", shape), torch.rand(2, 3), "attention")
        assert len(said(console).splitlines()) < 700


def test_a_dumb_terminal_gets_no_codes():
    console = terminal(color_system=None)
    draw_heat(console, Image.new("RGB", (4, 4)), torch.rand(2, 2), "attention")
    assert "\x1b" not in said(console)


@pytest.fixture(scope="module")
def segmented():
    return look(task(), noise(48, 40))


def test_classes_with_their_shares(segmented):
    console = paper()
    console.print(classes_table(segmented.targets))
    lines = said(console).splitlines()
    there = segmented.prediction.areas.shares
    for line, (name, share) in zip(lines[1:], there.items(), strict=False):
        assert line.split()[0] == name
        assert f"{share:.1%}" in line
    assert "attention inside" in lines[0]
    assert len(lines) >= 1 + len(there) + 1
    assert not any("sea" in line for line in lines) or "<b>sea</b>" in there


def test_many_classes_take_few_lines(segmented):
    areas = segmented.targets
    many = 40
    more = replace(
        areas,
        classes=[f"kind {i}" for i in range(many)],
        colours=[(1, 2, 3)] * many,
        pixels=torch.full((many,), 1 / many),
        transparent_classes=[],
    )
    console = paper()
    console.print(classes_table(more))
    lines = said(console).splitlines()
    assert lines[24].startswith("kind 23")
    assert "16 more" in lines[25]
    assert "40.0%" in lines[25]


def test_the_picture_in_the_colours_of_its_classes(segmented):
    console = terminal()
    draw_classes(console, segmented.picture, segmented.targets)
    rows = blocks(said(console))
    assert all(len(row) == 2 * 36 for row in rows)
    small = np.asarray(segmented.picture.convert("RGB").resize((36, 2 * len(rows)), Image.Resampling.BOX), float)
    height, width = segmented.targets.mask.shape
    for y, x in ((0, 0), (3, 20), (len(rows) - 1, 35)):
        kind = int(segmented.targets.mask[int((2 * y + 0.5) * height / (2 * len(rows))), int((x + 0.5) * width / 36)])
        colour, here = segmented.targets.colours[kind], small[2 * y, x]
        expected = here if kind in segmented.targets.transparent_classes else 0.7 * np.array(colour) + 0.3 * here
        assert np.abs(np.array(rows[y][36 + x][:3]) - expected).max() <= 1.01
    flat = paper()
    draw_classes(flat, segmented.picture, segmented.targets)
    assert said(flat) == ""
    narrow = terminal(20)
    draw_classes(narrow, segmented.picture, segmented.targets)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in said(narrow).splitlines()) <= 20


def test_words_with_bars_to_both_sides():
    attributions = torch.tensor([[0.1, 0.3, 0, 0, 0, 0], [-0.1, -0.1, 0, 0.1, -0.1, 0], [0.0] * 6])
    console = paper()
    console.print(words_table(["red", "\x1bball", "marks"], attributions, (2, 3), width=4, special=True))
    head, *lines = (line.rstrip() for line in said(console).splitlines())
    assert head.split() == ["word", "adds", "highest", "at", "the", "patch", "in"]
    assert re.sub(" +", " ", lines[0]) == "red +0.4000 │████ row 1, column 2"
    assert re.sub(" +", " ", lines[1]) == "\\x1bball -0.2000 ░░│ row 2, column 1"
    assert lines[0].index("│") == lines[1].index("│") == lines[2].index("│"), "to the right of an axis, and to the left"
    assert re.sub(" +", " ", lines[2]) == "(marks) +0.0000 │ none"
