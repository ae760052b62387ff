"""What a generator's films show of their captions, from a first frame and going on, and whether objects stay alike.

    python -m benchmarks.generation.films --n 200 --sheets sheets --json-file films.json
    python -m benchmarks.generation.films --model runs/painter --parts text,go-on
    python -m benchmarks.generation.films --quick                             # shows that it works

All films are painted through `GenerateTask.generate`, for captions of drawn films, in turn of one object and of two,
that training never draws; "held-out" ones have an object in a colour that training never gives its shape. Film i has
the seed i. A judge that shares no weights with the generator finds the objects of every frame, assigns them to those of
the caption and follows them. "true" is its ceiling: the drawn films in place of the painted ones.

An atom is a statement of the caption: the number of objects, the shape, the colour and the motion of each; the first
three must be right in every frame. "all right" are films with no wrong atom.

text: films from captions alone. Controls: the first frame of the true film all the time; its frames in a random order;
painted films judged by the descriptions of others, which show what chance is.

first-frame: films from the first frame of the true film and its caption.
- first frame equal: it is kept in every pixel; PSNR in dB to the given one (58.9 for equal ones), and of the second
  frame to the first, beside the true film's.
- motions shuffled: the motions of another film are expected of the same objects.

go-on: from the first third of a true film of three times as many frames, with its caption, to the end.
- objects, frame t: their number, shapes and colours are right in that frame.
- motions: of the new frames alone.

consistency, of each part: colour drift (ΔE*ab of an object's mean colour to the first frame) and shape drift (1 - IoU
of its mask with that of the first frame, moved and scaled alike), as ratios to those of true films; over the objects
that are found in every frame of both.

Shares have 95 % intervals by Wilson, means and ratios by the bootstrap over films or objects; atoms of one film are not
independent, so that the intervals of whole films are the safest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import cyclopts

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.generation.figures import Parts, Table
from benchmarks.generation.filming import first_frames, go_on, texts
from benchmarks.generation.filming.painter import FilmPainter, FilmPaintSettings
from saccade.tasks.judge.find import ObjectFinder

PARTS: dict[str, Callable[[FilmPainter, ObjectFinder], Iterator[tuple[str, Table]]]] = {
    "text": texts.score,
    "first-frame": first_frames.score,
    "go-on": go_on.score,
}

app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class FilmParts(Parts):
    """What is painted.

    Parameters
    ----------
    parts
        Which parts, with commas: text, first-frame, go-on.
    """

    known = PARTS

    parts: str = ",".join(PARTS)


@app.default
def main(
    settings: Annotated[FilmParts, FLAT] | None = None,
    painting: Annotated[FilmPaintSettings, FLAT] | None = None,
    out: Annotated[Outputs, FLAT] | None = None,
) -> None:
    settings, painting, out = settings or FilmParts(), painting or FilmPaintSettings(), out or Outputs()
    print_machine()
    painter, finder = FilmPainter(painting), ObjectFinder()
    print(painter)
    results = settings.run(painter, finder, painting.sheets)
    print(f"\n{painter.frames} frames, {painter.about['seconds']:.3f} s each")
    out.write({**painter.about, "tables": results}, painting)


if __name__ == "__main__":
    app()
