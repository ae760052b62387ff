"""Emoji of one designer painted as another one draws them, beside copies and the nearest training emoji.

    python -m benchmarks.generation.emoji --model runs/emoji --data ../shared/data/emoji --sheets sheets
    python -m benchmarks.generation.emoji --model runs/emoji --data other/ --every-name
    python -m benchmarks.generation.emoji --quick                             # shows that it works

The data are a folder for each designer with pictures of equal names (code points), as `saccade train generate --styles`
reads them. The names that this training holds out by default are painted, those of each designer in the style of each
other one. The image is the drawing of one designer, the style picture is another held-out name drawn by the other
designer, and the true picture is the same name by that designer. Baselines:

- copy: the image as it is.
- colour-matched copy: with the mean and standard deviation of each channel of the style picture (Reinhard et al. 2001,
  in RGB).
- nearest neighbour: of the names that both designers drew and that are not held out, the one whose drawing by the first
  designer has the least root mean square difference to the image, as the other designer drew it. With --every-name, of
  the other names.

Measures of each picture against the true one, transparency on white:

- SSIM: Wang et al. 2004, eq. 13, with an 11 x 11 Gaussian window of standard deviation 1.5, no Bessel's correction,
  windows inside the picture only, mean over RGB channels, at the generator's size.
- PSNR: 10 log10(255^2 / max(MSE, 1/12)), in dB, mean over pictures.
- feature distance: 1 - cosine of the patch tokens after the last block of the bundled segmenter "shapes", mean over
  patches; lower is better.

95 % intervals by the bootstrap over names, of differences paired; "all directions" has the mean over the directions of
each name. The sheets show the examples of the lowest SSIM and those around the median.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Annotated, NamedTuple

import cyclopts
import numpy as np

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.generation.fidelity import Means, clearly_better, differences, measured, stacked
from benchmarks.generation.figures import Mean, print_table, to_dict
from benchmarks.generation.metrics import colour_matched
from benchmarks.generation.painter import ON_SHEET, Painter, PaintSettings, Request, draw_sheet, picture_of, shifted
from saccade.data.pairs import StyleSet, style_splits
from saccade.data.pairs.splits import HoldOut
from saccade.data.preprocess import Preprocess
from saccade.errors import DataError
from saccade.tasks.generate.fidelity import Pixels, patch_encoder
from saccade.tasks.generate.neighbours import Pictures, nearest
from saccade.tasks.segment.task import SegmentTask

app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class EmojiSettings:
    """What is painted.

    Parameters
    ----------
    data
        The folder of the designers' folders.
    val_fraction
        Of the names, as in training.
    seed
        Of training, from which the held-out names follow.
    every_name
        Paint all names: of data that the generator was not trained on.
    words
        Give the caption of the true picture as the prompt.
    """

    data: Path = Path("../shared/data/emoji")
    val_fraction: float = 0.1
    seed: int = 0
    every_name: bool = False
    words: bool = False


class Drawings(NamedTuple):
    """designer -> name -> its picture, uint8 (y x 3); and the captions of each name."""

    pictures: dict[str, dict[str, Pixels]]
    captions: dict[str, tuple[str, ...]]


class Example(NamedTuple):
    """A name as one designer draws it, another one as the other does, and the first one as the other does."""

    name: str
    content: Pixels
    style: Pixels
    truth: Pixels
    caption: str


class Direction(NamedTuple):
    """From one designer to another: the examples, the pictures of each row, and their measures."""

    title: str
    examples: list[Example]
    rows: dict[str, Pictures]
    means: Means


@app.default
def main(
    settings: Annotated[EmojiSettings, FLAT] | None = None,
    painting: Annotated[PaintSettings, FLAT] | None = None,
    out: Annotated[Outputs, FLAT] | None = None,
) -> None:
    settings, painting, out = settings or EmojiSettings(), painting or PaintSettings(), out or Outputs()
    try:
        known, unseen = open_sets(settings)
    except DataError as error:
        raise SystemExit(f"{error}: --data names a folder with a folder of pictures for each designer") from None
    print_machine()
    painter, encoder = Painter(painting), patch_encoder()
    print(painter, *unseen.notes, sep="\n")
    train, test = (drawings(each, painter.task.preprocess.size) for each in (known, unseen))
    directions = [
        measured_direction(painter, encoder, train, test, source, target, settings)
        for source, target in permutations(test.pictures, 2)
        if len(set(test.pictures[source]) & set(test.pictures[target])) > 1
    ]
    if not directions:
        raise SystemExit(f"{settings.data}: no two designers drew two of the same names to paint; see --val-fraction")
    means = over_directions(directions)
    size = " x ".join(map(str, painter.task.preprocess.size))
    for title, table in [(each.title, each.means) for each in directions] + [("all directions", means)]:
        print_table(f"{title}: against the true picture, {size} pixels", table)
    better = differences(means)
    print_table("all directions: by how much the painted pictures are better than", better)
    print(f"\nclearly better than every other row by: {', '.join(clearly_better(better)) or 'none'}")
    print(f"{painter.pictures} pictures, {painter.about['seconds']:.2f} s each")
    if painting.sheets:
        save_sheets(painting.sheets, directions)
    found = {each.title: to_dict(each.means) for each in directions} | {"all directions": to_dict(means)}
    about = {**painter.about, "data": vars(settings) | {"data": str(settings.data)}, "names": len(names_of(directions))}
    out.write({**about, "measures": found, "better by": to_dict(better)}, painting)


def open_sets(settings: EmojiSettings) -> tuple[StyleSet, StyleSet]:
    """Names that serve as neighbours, and names to paint; the same with `every_name`."""

    def read(text: str) -> None:
        """Any caption."""

    if settings.every_name:
        whole = StyleSet(settings.data, read)
        return whole, whole
    return style_splits(settings.data, HoldOut(settings.val_fraction, settings.seed), read)


def drawings(dataset: StyleSet, size: tuple[int, int]) -> Drawings:
    """All pictures that can be read, as training reads them."""
    preprocess, found = Preprocess(size, "crop"), Drawings(defaultdict(dict), {})
    for i, (designer, name) in enumerate(zip(dataset.styles, dataset.stems, strict=True)):
        try:
            picture = preprocess.resize_and_crop(dataset.picture(i).image)
        except DataError as error:
            print(f"left out: {error}")
            continue
        found.pictures[designer][name] = np.array(picture)
        found.captions[name] = dataset.captions(i)
    return found


def measured_direction(
    painter: Painter,
    encoder: SegmentTask,
    train: Drawings,
    test: Drawings,
    source: str,
    target: str,
    settings: EmojiSettings,
) -> Direction:
    """All rows of one designer's names as another one draws them."""
    title, examples = f"{source} to {target}", examples_of(test, source, target, painter.settings.n)
    contents = np.stack([each.content for each in examples])
    requests = [
        Request(each.caption if settings.words else "", picture_of(each.content), style_image=picture_of(each.style))
        for each in examples
    ]
    rows = {
        "painted": stacked(painter.paint(requests, title)),
        "copy": contents,
        "colour-matched copy": np.stack([colour_matched(each.content, each.style) for each in examples]),
    }
    neighbours = neighbours_of(examples, train, source, target)
    if neighbours is not None:
        rows["nearest neighbour"] = neighbours
    return Direction(title, examples, rows, measured(rows, np.stack([each.truth for each in examples]), encoder))


def examples_of(test: Drawings, source: str, target: str, most: int) -> list[Example]:
    """At most so many of the names that both designers drew; the style picture of each is the next one."""
    first, second = test.pictures[source], test.pictures[target]
    names = [name for name in first if name in second][:most]
    return [
        Example(name, first[name], second[other], second[name], next(iter(test.captions[name]), ""))
        for name, other in zip(names, shifted(names), strict=True)
    ]


def neighbours_of(examples: Sequence[Example], train: Drawings, source: str, target: str) -> Pictures | None:
    """Of each example the target designer's drawing of the nearest other name; None if both designers drew none."""
    first, second = train.pictures.get(source, {}), train.pictures.get(target, {})
    names = [name for name in first if name in second]
    found = []
    for each in examples:
        others = [name for name in names if name != each.name]
        if not others:
            return None
        (place,), _ = nearest(each.content[None], np.stack([first[name] for name in others]))
        found.append(second[others[place]])
    return np.stack(found)


def names_of(directions: Sequence[Direction]) -> list[str]:
    """All names that were painted, each once."""
    return list(dict.fromkeys(example.name for each in directions for example in each.examples))


def over_directions(directions: Sequence[Direction]) -> Means:
    """The measures of each name, averaged over its directions; rows that all directions have."""
    rows = [row for row in directions[0].rows if all(row in each.rows for each in directions)]
    means: Means = {}
    for row in rows:
        means[row] = {}
        for measure in directions[0].means[row]:
            values: dict[str, list[float]] = defaultdict(list)
            for each in directions:
                for example, value in zip(each.examples, each.means[row][measure].values, strict=True):
                    values[example.name].append(value)
            means[row][measure] = Mean([float(np.mean(each)) for each in values.values()])
    return means


def save_sheets(folder: Path, directions: Sequence[Direction]) -> None:
    """worst.png and median.png, by SSIM over all directions."""
    folder.mkdir(parents=True, exist_ok=True)
    places = [
        (each.means["painted"]["SSIM"].values[i], each, i) for each in directions for i in range(len(each.examples))
    ]
    ordered = sorted(places, key=lambda place: place[0])
    middle = max(0, len(ordered) // 2 - ON_SHEET // 2)
    for name, chosen in (("worst", ordered[:ON_SHEET]), ("median", ordered[middle : middle + ON_SHEET])):
        titles = ["content", "style", "true picture", *chosen[0][1].rows]
        pictures, texts = [], []
        for value, direction, i in chosen:
            example = direction.examples[i]
            own = (example.content, example.style, example.truth, *(row[i] for row in direction.rows.values()))
            pictures.append([picture_of(each) for each in own])
            texts.append(f"{example.name} {example.caption}, {direction.title}: SSIM {value:.3f}")
        draw_sheet(titles, pictures, texts).save(folder / f"{name}.png")


if __name__ == "__main__":
    app()
