"""Inpainting: the box of an object of a scene is painted again, from the rest and a caption of the whole."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.generation.figures import Ratio, Row, Table
from benchmarks.generation.metrics import Region, absolute_difference, seam
from benchmarks.generation.painter import Painter, Request, draw_sheet, picture_of
from saccade.data.scenes import Description, Scene
from saccade.tasks.generate.scene_prompts import scene_prompts
from saccade.tasks.judge.judge import Judge
from saccade.tasks.judge.scores import Share

MARGIN = 3  # pixels of a hole around the object's box


class Example(NamedTuple):
    """hole: true for the pixels to paint. missing: index of the object in it. text: a caption of the scene."""

    scene: Scene
    hole: Region
    missing: int
    text: str

    @property
    def pixels(self) -> np.ndarray:
        """uint8 (y x 3), the scene."""
        return self.scene.pixels

    @property
    def objects(self) -> Description:
        """Of the scene, without relations."""
        return Description(self.scene.description.objects)


def score(painter: Painter, judge: Judge) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    examples = drawn_holes(painter)
    masks = [Image.fromarray(each.hole) for each in examples]
    images, texts = [picture_of(each.pixels) for each in examples], [each.text for each in examples]
    given, started = (
        [Request(*each, strength=strength) for each in zip(texts, images, masks, strict=True)]
        for strength in (None, 1.0)
    )
    rows = {
        "painted": painter.paint(given, "inpainting"),
        "without the source": painter.paint(started, "inpainting without the source"),
        "mean colour": [picture_of(filled(each)) for each in examples],
        "real": images,
    }
    if painter.settings.sheets:
        pictures = list(zip([picture_of(_emptied(each)) for each in examples], *rows.values(), strict=True))
        draw_sheet(["given", *rows], pictures, texts).save(painter.settings.sheets / "holes.png")
    yield "holes", {row: figures(judge, examples, pictures) for row, pictures in rows.items()}


def drawn_holes(painter: Painter) -> list[Example]:
    """n holes, each over one object and no part of another."""
    found: list[Example] = []
    world = painter.scenes(2 * painter.settings.n)
    while len(found) < painter.settings.n:
        texts = [each.text for each in scene_prompts(world, "en")]
        found = [each for i in range(len(world)) for each in _holes(world.scene(i), texts[i])]
        world = painter.scenes(2 * len(world))
    return found[: painter.settings.n]


def _holes(scene: Scene, text: str) -> Iterator[Example]:
    """Of the first object around which there is room."""
    for i, box in enumerate(scene.objects.boxes.int().tolist()):
        hole = box_with_margin(box, scene.objects.size)
        if set(np.unique(scene.instances[hole])) <= {0, i + 1}:
            yield Example(scene, hole, i, text)
            return


def box_with_margin(box: Sequence[int], size: tuple[int, int]) -> Region:
    """True in a box (left, top, right, bottom) and `MARGIN` pixels around it, in a picture of size (height, width)."""
    left, top, right, bottom = box
    hole = np.zeros(size, bool)
    hole[max(0, top - MARGIN) : bottom + MARGIN, max(0, left - MARGIN) : right + MARGIN] = True
    return hole


def filled(example: Example) -> np.ndarray:
    """The scene with the mean colour of the rest in the hole."""
    pixels = example.pixels.copy()
    pixels[example.hole] = np.rint(pixels[~example.hole].mean(axis=0)).astype(np.uint8)
    return pixels


def _emptied(example: Example) -> np.ndarray:
    return np.where(example.hole[..., None], np.uint8(255), example.pixels)


def figures(judge: Judge, examples: Sequence[Example], pictures: Sequence[Image.Image]) -> Row:
    """The object, the seam, and the pixels outside."""
    judgements = list(judge.judge_all((image, each.objects) for image, each in zip(pictures, examples, strict=True)))
    there = [
        all(atom.right for atom in judgement.atoms if atom.objects == (each.missing,))
        for judgement, each in zip(judgements, examples, strict=True)
    ]
    pairs = [(np.asarray(image), each) for image, each in zip(pictures, examples, strict=True)]
    outside = [absolute_difference(pixels, each.pixels)[~each.hole] for pixels, each in pairs]
    return {
        "object there": Share(sum(there), len(there)),
        "all atoms right": Share(sum(each.all_right for each in judgements), len(judgements)),
        "seam / real seam": Ratio(
            [seam(pixels, each.hole) for pixels, each in pairs], [seam(each.pixels, each.hole) for _, each in pairs]
        ),
        "outside equal": Share(sum(not each.any() for each in outside), len(outside)),
    }
