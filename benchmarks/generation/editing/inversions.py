"""Words of a picture's caption changed: by inversion, beside starting at the noised picture and instructions."""

from collections.abc import Iterator
from functools import partial

from PIL import Image

from benchmarks.generation.editing.words import drawn_edits, figures
from benchmarks.generation.figures import Table
from benchmarks.generation.painter import Painter, Request, draw_sheet, picture_of
from saccade.data.scenes import Description, EditedPair
from saccade.data.scenes.captions import join_with_and, phrases
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.prompt_to_prompt import paint, replace_prompt
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.judge.judge import Judge

STRENGTHS = (0.6, 0.8)


def score(painter: Painter, judge: Judge) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    pairs = drawn_edits(painter, "seen")["en"]
    images = [picture_of(pair.before.pixels) for pair in pairs]
    prompts = [named(pair.after.description) for pair in pairs]
    rows = {"inverted, layout kept": _inverted(painter, pairs, True), "inverted": _inverted(painter, pairs, False)}
    for strength in STRENGTHS:
        requests = [Request(text, image, strength=strength) for text, image in zip(prompts, images, strict=True)]
        rows[f"strength {strength:g}"] = painter.paint(requests, f"strength {strength:g}")
    told = [Request(pair.instruction, image) for pair, image in zip(pairs, images, strict=True)]
    rows |= {"by the instruction": painter.paint(told, "instructions"), "picture kept": images}
    rows["real"] = [picture_of(pair.after.pixels) for pair in pairs]
    yield "inversions: seen, en", {row: figures(judge, pairs, pictures) for row, pictures in rows.items()}
    if painter.settings.sheets:
        sheet = draw_sheet(["before", *rows], list(zip(images, *rows.values(), strict=True)), prompts)
        sheet.save(painter.settings.sheets / "inversions.png")


def named(description: Description) -> str:
    """The objects alone: "red star and blue ring"."""
    shapes, colours = zip(*description.objects, strict=True)
    return join_with_and(phrases(shapes, colours))


def _inverted(painter: Painter, pairs: list[EditedPair], keep_layout: bool) -> list[Image.Image]:
    title = f"inversions{', layout kept' * keep_layout}"
    return painter.timed([partial(_change, painter, pair, keep_layout) for pair in pairs], title)


def _change(painter: Painter, pair: EditedPair, keep_layout: bool) -> Image.Image:
    """As `saccade generate "…" --image before.png --invert "…"`."""
    task, about = painter.task, painter.settings
    originals = SourceImages(SourceImage.read(picture_of(pair.before.pixels)))
    caption = named(pair.before.description)
    guidance = task.default_sampling.guidance if about.guidance is None else about.guidance
    sampling = Sampling(about.steps, guidance)
    own = task.settings(caption, caption, 0, sampling, originals=originals, source_prompt=caption)
    settings = replace_prompt(own, named(pair.after.description), keep_layout)
    return next(paint(task, [settings], originals=originals)).image
