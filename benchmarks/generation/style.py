"""Scenes painted in the style of another picture, beside copies and the nearest training picture.

    python -m benchmarks.generation.style --model runs/painter --n 100 --steps 25
    python -m benchmarks.generation.style --model runs/painter --sheets sheets
    python -m benchmarks.generation.style --model runs/painter --quick        # shows that it works

The image is a plain scene, the style picture shows another scene in a drawn style, and the true picture is the first
scene in that style. No prompt is given. Unseen styles are those that training never draws
(`saccade.data.scenes.style.is_held_out_style`), seen ones are of the kind that it draws; plain ones are left out. The
scenes are unseen in both. Baselines:

- copy: the image as it is.
- colour-matched copy: with the mean and standard deviation of each channel of the style picture (Reinhard et al. 2001,
  in RGB).
- nearest training picture: of `--references` scenes in training styles, the one of the least root mean square
  difference to the true picture: more than any search could find, as the true picture is not known.
- styles shuffled: painted with the style picture of the next example, which shows what the style picture adds.

Measures of each picture against the true one:

- SSIM: Wang et al. 2004, eq. 13, with an 11 x 11 Gaussian window of standard deviation 1.5, no Bessel's correction,
  windows inside the picture only, mean over RGB channels, at the generator's size.
- PSNR: 10 log10(255^2 / max(MSE, 1/12)), in dB, mean over pictures.
- feature distance: 1 - cosine of the patch tokens after the last block of the bundled segmenter "shapes", mean over
  patches; lower is better.

95 % intervals by the bootstrap over pictures, of differences paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import cyclopts
import numpy as np

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.generation.fidelity import differences, measured, stacked
from benchmarks.generation.figures import print_table, to_dict
from benchmarks.generation.metrics import colour_matched
from benchmarks.generation.painter import Painter, PaintSettings, Request, draw_sheet, picture_of, shifted
from saccade.data.scenes import Scenes, Style, restyled, sample_style
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.style import STYLE
from saccade.tasks.generate.fidelity import Pixels, patch_encoder
from saccade.tasks.generate.neighbours import Pictures, nearest

REFERENCE_SEED = 8_000_017  # of scenes that neither training nor validation draws

app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class StyleSettings:
    """What is compared.

    Parameters
    ----------
    references
        Training-style pictures of which the nearest is a baseline.
    """

    references: int = 1000


class Example(NamedTuple):
    """Pictures, uint8 (y x 3): a plain scene, another one in the style, and the first one in the style."""

    content: Pixels
    style: Pixels
    truth: Pixels
    family: str


@app.default
def main(
    settings: Annotated[StyleSettings, FLAT] | None = None,
    painting: Annotated[PaintSettings, FLAT] | None = None,
    out: Annotated[Outputs, FLAT] | None = None,
) -> None:
    settings, painting, out = settings or StyleSettings(), painting or PaintSettings(), out or Outputs()
    print_machine()
    painter, encoder = Painter(painting), patch_encoder()
    print(painter)
    references = drawn_references(painter, 20 if painting.quick else settings.references)
    results = {}
    for name, held_out in (("unseen styles", True), ("seen styles", False)):
        examples = drawn_examples(painter, held_out)
        rows = pictures_of(painter, examples, references, name)
        means = measured(rows, np.stack([each.truth for each in examples]), encoder)
        print_table(f"{name}: against the true picture", means)
        better = differences(means)
        print_table(f"{name}: by how much the painted pictures are better than", better)
        results[name] = {"measures": to_dict(means), "better by": to_dict(better)}
        if painting.sheets:
            save_sheet(painter, examples, rows, name)
    print(f"\n{painter.pictures} pictures, {painter.about['seconds']:.2f} s each")
    out.write({**painter.about, "references": len(references), "sets": results}, painting)


def drawn_examples(painter: Painter, held_out: bool) -> list[Example]:
    """n examples; content and style picture show different scenes."""
    n = painter.settings.n
    world = painter.scenes(2 * n, "all")
    examples = []
    for i in range(n):
        style, scene, other = drawn_style(world.seed, i, held_out), world.scene(i), world.scene(n + i)
        shown, truth = (restyled(world, each, style) for each in (other, scene))
        examples.append(Example(scene.pixels, shown, truth, style.family))
    return examples


def drawn_style(seed: int, index: int, held_out: bool) -> Style:
    """Any but the plain one."""
    stream = RandomStream(seed, STYLE, index)
    while (style := sample_style(stream, held_out)).family == "plain":
        pass
    return style


def drawn_references(painter: Painter, n: int) -> Pictures:
    """Scenes of the kind that training draws, in styles that it draws."""
    size = painter.task.preprocess.size
    world = Scenes(n, size, REFERENCE_SEED, objects=(1, 3), apart=True, combinations="seen")
    return np.stack([restyled(world, world.scene(i), drawn_style(world.seed, i, False)) for i in range(n)])


def pictures_of(painter: Painter, examples: Sequence[Example], references: Pictures, name: str) -> dict[str, Pictures]:
    """Pictures of each row."""
    styles = [picture_of(each.style) for each in examples]
    contents = [picture_of(each.content) for each in examples]
    own, other = (
        [Request(image=image, style_image=style) for image, style in zip(contents, chosen, strict=True)]
        for chosen in (styles, shifted(styles))
    )
    found, _ = nearest(np.stack([each.truth for each in examples]), references)
    return {
        "painted": stacked(painter.paint(own, name)),
        "copy": np.stack([each.content for each in examples]),
        "colour-matched copy": np.stack([colour_matched(each.content, each.style) for each in examples]),
        "nearest training picture": references[found],
        "styles shuffled": stacked(painter.paint(other, f"{name}, shuffled")),
    }


def save_sheet(painter: Painter, examples: Sequence[Example], rows: dict[str, Pictures], name: str) -> None:
    assert painter.settings.sheets is not None
    painter.settings.sheets.mkdir(parents=True, exist_ok=True)
    columns = zip(examples, *rows.values(), strict=True)
    pictures = [tuple(map(picture_of, (each.content, each.style, each.truth, *others))) for each, *others in columns]
    sheet = draw_sheet(["content", "style", "true picture", *rows], pictures, [each.family for each in examples])
    sheet.save(painter.settings.sheets / f"{name.replace(' ', '-')}.png")


if __name__ == "__main__":
    app()
