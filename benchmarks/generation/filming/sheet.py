"""Films as rows of small frames, with their captions and what is wrong."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.generation.filming.examined import ExaminedFilm
from saccade.tasks.drawing import INK, PAPER, WRONG, font, truncate_text
from saccade.tasks.judge.draw import RIGHT
from saccade.tasks.judge.films import FilmJudgement

ON_SHEET = 12  # films
FRAMES = 16  # of a film, at most, at equal steps
_SIDE, _GAP, _LINE, _BAR = 64, 4, 16, 6  # pixels


def save_sheets(
    folder: Path, name: str, films: Sequence[ExaminedFilm], texts: Sequence[str], judgements: Sequence[FilmJudgement]
) -> None:
    """Sheets of the films with the fewest right atoms, and of those in the middle."""
    order = sorted(range(len(films)), key=lambda i: right_share(judgements[i]))
    middle = max(0, len(order) // 2 - ON_SHEET // 2)
    for part, chosen in {"worst": order[:ON_SHEET], "median": order[middle : middle + ON_SHEET]}.items():
        sheet = film_sheet(
            [films[i].frames for i in chosen], [texts[i] for i in chosen], [judgements[i] for i in chosen]
        )
        sheet.save(folder / f"{name}-{part}.png")


def right_share(judgement: FilmJudgement) -> float:
    """Of its atoms."""
    return sum(atom.right for atom in judgement.atoms) / len(judgement.atoms)


def film_sheet(
    films: Sequence[Sequence[Image.Image]], texts: Sequence[str], judgements: Sequence[FilmJudgement]
) -> Image.Image:
    """A row for each film: its frames in time beside a green bar where every atom is right, else a red one, the caption
    and what is wrong."""
    down, across = _SIDE + 2 * _LINE + 2 * _GAP, _SIDE + _GAP
    columns = min(FRAMES, max(map(len, films)))
    sheet = Image.new("RGB", (_BAR + 2 * _GAP + columns * across, _GAP + len(films) * down), PAPER)
    draw = ImageDraw.Draw(sheet)
    letters = sheet.width // 6
    for row, (frames, text, judgement) in enumerate(zip(films, texts, judgements, strict=True)):
        left, top = _BAR + 2 * _GAP, _GAP + row * down
        draw.rectangle((_GAP, top, _GAP + _BAR - 1, top + _SIDE - 1), RIGHT if judgement.all_right else WRONG)
        for column, frame in enumerate(_equal_steps(frames, columns)):
            small = frame.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            sheet.paste(small, (left + column * across, top))
        wrong = "; ".join(f"{atom.text}: {atom.reason}" for atom in judgement.wrong)
        for line, (words, ink) in enumerate(((text, INK), (wrong, WRONG))):
            at = (left, top + _SIDE + (line + 0.5) * _LINE)
            draw.text(at, truncate_text(words, letters), ink, font(11, words), anchor="lm")
    return sheet


def _equal_steps(frames: Sequence[Image.Image], count: int) -> list[Image.Image]:
    """At most `count` of the frames, with the first and the last one."""
    if len(frames) <= count:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)]
