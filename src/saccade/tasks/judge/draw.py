"""A judgement as a picture: the objects found, and every atom with its verdict."""

from PIL import Image, ImageDraw

from saccade.tasks.drawing import INK, PAPER, WRONG, Colour, Overlay, enlarged, font, truncate_text
from saccade.tasks.judge.result import Atom, Judgement

RIGHT: Colour = (34, 139, 74)
UNMATCHED: Colour = (150, 154, 164)  # an object that no object of the description matches
LINE, COLUMN, EDGE = 24, 460, 18  # pixels of the list of atoms: height of a line, width, margin


def draw_judgement(picture: Image.Image, judgement: Judgement) -> Image.Image:
    """The picture, enlarged where it is small, with a box around each found object, green where its shape, colour and
    relations are right, red where one is wrong, grey where none was described; beside it the atoms, and what was found
    where one is wrong."""
    image, scale = enlarged(picture)
    overlay = Overlay(image)
    for i, found in enumerate(judgement.found):
        left, top, right, bottom = (edge * scale for edge in judgement.box(i))
        colour = _colour(judgement, i)
        overlay.box((left, top, right, bottom), colour, dashed=colour == UNMATCHED)
        overlay.label(str(found), [(left, top, "lb"), (left, bottom, "lt"), (right, bottom, "rt")], colour, 15)
    drawn = overlay.result()
    lines = [line for atom in judgement.atoms for line in _lines(atom)]
    sheet = Image.new("RGB", (drawn.width + COLUMN, max(drawn.height, len(lines) * LINE + 2 * EDGE)), PAPER)
    sheet.paste(drawn, (0, 0))
    draw = ImageDraw.Draw(sheet)
    for row, (text, colour) in enumerate(lines):
        draw.text((drawn.width + EDGE, EDGE + (row + 0.5) * LINE), text, colour, font(15, text), anchor="lm")
    return sheet


def _lines(atom: Atom) -> list[tuple[str, Colour]]:
    verdict = "right" if atom.right else "wrong"
    lines = [(truncate_text(f"{verdict}: {atom.text}", 58), RIGHT if atom.right else WRONG)]
    return lines if atom.right else [*lines, (truncate_text(atom.reason, 58), INK)]


def _colour(judgement: Judgement, index: int) -> Colour:
    if index not in judgement.matches:
        return UNMATCHED
    described = judgement.matches.index(index)
    return RIGHT if all(atom.right for atom in judgement.atoms if described in atom.objects) else WRONG
