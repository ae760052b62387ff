"""Pictures made from pictures: edits by words, sketches and label maps, inpainting, and strength.

    python -m benchmarks.generation.edits --model runs/painter --n 100 --steps 25
    python -m benchmarks.generation.edits --model runs/painter --parts words,holes --sheets sheets
    python -m benchmarks.generation.edits --model runs/painter --quick        # shows that it works

All pictures are painted through `GenerateTask.generate`, from scenes of one to three objects apart that training never
draws; picture i has the seed i. A judge that shares no weights with the generator says what they show. "real" is its
ceiling: the true picture in place of the painted one. Columns:

words: an instruction and the scene (English and Korean ones of the same edits; "held-out": the edit makes a
combination that training never draws).
- changed: the changed object has its new shape and colour; of all edits, and of those of colours and of shapes.
- rest: right atoms of those not about the changed object: the number of objects, the others and their relations;
  "rest, pictures": pictures with all of them right.
- PSNR outside: 10 log10(255^2 / max(MSE, 1/12)) in dB against the scene before the edit, over the pixels more than 2
  pixels away from the changed object, as it was and as it should be, and from its shadow; 58.9 for equal ones.

sketch, label map: a caption and contours, or classes.
- atoms, whole prompts: of the caption, right ones.
- edges' F at d pixels of the scene: boundary F measure (Martin et al. 2004; DAVIS, Perazzi et al. 2016) of the contours
  of the objects that the judge finds, against those of the scene; mean over pictures.

holes: the box of one object, with a margin of 3 pixels, and a caption of the whole scene.
- object there: the missing object is there with its shape and colour.
- seam / real seam: mean absolute difference between neighbouring pixels on different sides of the hole's border, over
  the same in the scene, as a ratio of sums over pictures.
- outside equal: pictures with every pixel outside the hole unchanged.
"without the source" starts at the picture with strength 1 (as RePaint, without resampling) and does not attend to it.

inversions: English captions of the objects, columns as of words; "inverted" is `saccade generate CHANGED --image SCENE
--invert CAPTION`, "layout kept" with --keep-layout, "strength" from the noised scene with the changed caption.

strength: scenes with their own captions; distance is the mean absolute difference to the scene, values from 0 to 1.

Shares have 95 % intervals by Wilson, means and ratios by the bootstrap over pictures; atoms of one picture are not
independent, so that the intervals of whole pictures are the safest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import cyclopts

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.generation.editing import guides, holes, inversions, strengths, words
from benchmarks.generation.figures import Parts, Table
from benchmarks.generation.painter import Painter, PaintSettings
from saccade.tasks.judge.judge import Judge

PARTS: dict[str, Callable[[Painter, Judge], Iterator[tuple[str, Table]]]] = {
    "words": words.score,
    "guides": guides.score,
    "holes": holes.score,
    "strengths": strengths.score,
    "inversions": inversions.score,
}

app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class EditSettings(Parts):
    """What is painted.

    Parameters
    ----------
    parts
        Which parts, with commas: words, guides, holes, strengths, inversions.
    """

    known = PARTS

    parts: str = ",".join(PARTS)


@app.default
def main(
    settings: Annotated[EditSettings, FLAT] | None = None,
    painting: Annotated[PaintSettings, FLAT] | None = None,
    out: Annotated[Outputs, FLAT] | None = None,
) -> None:
    settings, painting, out = settings or EditSettings(), painting or PaintSettings(), out or Outputs()
    print_machine()
    painter, judge = Painter(painting), Judge()
    print(painter)
    results = settings.run(painter, judge, painting.sheets)
    print(f"\n{painter.pictures} pictures, {painter.about['seconds']:.2f} s each")
    out.write({**painter.about, "tables": results}, painting)


if __name__ == "__main__":
    app()
