"""A line chart as an SVG file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 420, 56, 48, 20, 48
COLOURS = ("#0b6e99", "#c2571a", "#5b5b5b", "#2e7d32", "#8e24aa")  # as many lines as a chart can have

Points = Sequence[tuple[float, float]]


def line_chart(path: Path, title: str, x_label: str, y_label: str, lines: Mapping[str, Points], level: float) -> None:
    """Write a chart of `lines`, name -> points (x, y), with a dashed line at height `level`. x and y start at 0."""
    most_x = max((x for points in lines.values() for x, _ in points), default=0) or 1.0
    most_y = max([level, *(y for points in lines.values() for _, y in points)]) * 1.05

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / most_x * (WIDTH - LEFT - RIGHT)
        return round(across, 1), round(HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM), 1)

    parts = [_text(LEFT, 22, title, "start", 15)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        (x, bottom), (left, y) = at(share * most_x, 0), at(0, share * most_y)
        parts.append(_text(x, bottom + 18, f"{share * most_x:.3g}"))
        parts.append(_text(left - 8, y + 4, f"{share * most_y:.2f}", "end"))
        parts.append(f'<path d="M{left} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label))
    parts.append(_text(LEFT, TOP - 8, y_label, "start"))
    y = at(0, level)[1]
    parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#222" stroke-dasharray="5 4"/>')
    for i, (name, points) in enumerate(lines.items()):
        drawn = " ".join(f"{x},{y}" for x, y in (at(*point) for point in points))
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{COLOURS[i]}" stroke-width="2.5"/>')
        parts.append(_text(WIDTH - RIGHT, HEIGHT - BOTTOM - 12 - 18 * i, name, "end", 13, COLOURS[i]))
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    style = 'font-family="system-ui, sans-serif"'
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{background}{"".join(parts)}</svg>\n')


def _text(x: float, y: float, text: str, anchor: str = "middle", size: int = 12, colour: str = "#222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(text)}</text>'
