"""Scenes painted from a sketch or a label map and a caption."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from benchmarks.generation.figures import Mean, Row, Table
from benchmarks.generation.metrics import Region, boundary_f, contours
from benchmarks.generation.painter import Painter, Request, draw_sheet, picture_of, shifted
from saccade.data.scenes import Description, Scene
from saccade.data.scenes.conditioning import label_map, sketch
from saccade.tasks.generate.scene_prompts import scene_prompts
from saccade.tasks.judge.judge import Judge
from saccade.tasks.judge.result import Judgement
from saccade.tasks.judge.scores import JudgementScores

GUIDES = {"sketch": sketch, "label map": label_map}
TOLERANCES = (1, 2)  # pixels


def score(painter: Painter, judge: Judge) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    world = painter.scenes(painter.settings.n)
    prompts = scene_prompts(world, "en")
    scenes, descriptions = [world.scene(i) for i in range(len(world))], [each.description for each in prompts]
    texts, real = [each.text for each in prompts], [each.image for each in prompts]
    alone = painter.paint([Request(text) for text in texts], "without guides")
    for kind, draw in GUIDES.items():
        guides = [picture_of(draw(scene)) for scene in scenes]
        rows = {
            "painted": painter.paint(_requests(texts, guides), kind),
            "without the guide": alone,
            "guides shuffled": painter.paint(_requests(texts, shifted(guides)), f"{kind}, shuffled"),
            "real": real,
        }
        yield kind, {row: figures(judge, scenes, descriptions, pictures) for row, pictures in rows.items()}
        if painter.settings.sheets:
            examples = list(zip(guides, *rows.values(), strict=True))
            draw_sheet([kind, *rows], examples, texts).save(painter.settings.sheets / f"{kind.replace(' ', '-')}.png")


def _requests(texts: Sequence[str], guides: Sequence[Image.Image]) -> list[Request]:
    return [Request(text, guide) for text, guide in zip(texts, guides, strict=True)]


def figures(
    judge: Judge, scenes: Sequence[Scene], descriptions: Sequence[Description], pictures: Sequence[Image.Image]
) -> Row:
    """Atoms of the captions and contours of the scenes."""
    judgements = list(judge.judge_all(zip(pictures, descriptions, strict=True)))
    total = JudgementScores.of(judgements).total
    edges = {
        f"edges' F at {tolerance}": Mean(
            [edge_f(scene, each, tolerance) for scene, each in zip(scenes, judgements, strict=True)]
        )
        for tolerance in TOLERANCES
    }
    return {"atoms": total["atoms"], "whole prompts": total["pictures"], **edges}


def edge_f(scene: Scene, judgement: Judgement, tolerance: float) -> float:
    """`boundary_f` of the contours of the objects that the judge found and of those of the scene, at the size at which
    the judge examines pictures. tolerance: in pixels of the scene."""
    height, width = (round(side * judgement.scale) for side in scene.instances.shape)
    true = np.asarray(Image.fromarray(scene.instances).resize((width, height), Image.Resampling.NEAREST))
    return boundary_f(found_contours(judgement, true.shape), contours(true), tolerance * judgement.scale)


def found_contours(judgement: Judgement, size: tuple[int, ...]) -> Region:
    """The innermost pixels of the found objects in a picture of size (height, width)."""
    instances = np.zeros(size, np.uint8)
    for i, each in enumerate(judgement.found):
        instances[each.mask] = i + 1
    return contours(instances)
