"""`saccade scenes`, and scenes as the data of other commands."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from saccade.cli import console
from saccade.cli.console import Json, int_range
from saccade.errors import UsageError, pluralize

MAX_FRAMES = 1000


def scenes(
    out: Path,
    *,
    n: Annotated[int, int_range(1)] = 1000,
    size: str = "128",
    seed: Annotated[int, int_range(0)] = 0,
    format: Literal["coco", "voc", "yolo", "masks", "captions", "films"] = "coco",
    sprites: Path | None = None,
    objects: str = "3-8",
    apart: Annotated[bool, Parameter(negative=())] = False,
    combinations: Literal["all", "seen", "held-out"] = "all",
    frames: Annotated[int, int_range(2, MAX_FRAMES)] = 16,
    as_json: Json = False,
) -> None:
    """Write procedurally drawn scenes with exact annotations, to train or test this or any other tool.

    Each shows shapes of many colours, textures and sizes, partly in front of each other. Boxes and masks are exact.
    The same seed and size give the same pictures on any machine.

    Examples:

        saccade scenes world/ --n 1000 --size 128 --format coco

        saccade scenes films/ --n 100 --format films --frames 24

        saccade scenes pets/ --size 320x240 --sprites cutouts/ --format yolo

    Parameters
    ----------
    out
        Folder to write to: a new or empty one.
    n
        How many pictures or films.
    size
        Pixels of a side, or WIDTHxHEIGHT.
    seed
        Of the random numbers that the scenes are drawn with.
    format
        coco: images, and annotations/ with boxes, masks and relations. voc: the folders of Pascal VOC. yolo: images,
        labels, data.yaml. masks: a class and an instance for every pixel. captions: sentences in English and Korean.
        films: frames of moving objects, with captions and boxes.
    sprites
        Folder of PNGs with transparency to use beside the shapes. The class is the sub-folder, or else the file's name.
    objects
        How many objects a scene has: a range such as 1-3, or one number; at most 8.
    apart
        No two objects overlap, and the border of the picture cuts none.
    combinations
        Combinations of shapes, colours and relations: all; seen, those that models are trained on; held-out, at least
        one in each scene that they are not trained on.
    frames
        Of a film, at most 1000: all of them are in memory at once.
    as_json
        Print what was written as JSON.
    """
    from tqdm.auto import tqdm

    from saccade.data.scenes import Scenes
    from saccade.data.scenes.constraints import parse_spec
    from saccade.data.scenes.write import write_scenes

    arguments = parse_spec(f"scenes:objects={objects},combinations={combinations}" + ",apart" * apart)
    world = Scenes(n, _size(size), seed, sprites, **(arguments or {}))
    unit = "films" if format == "films" else "scenes"
    written = write_scenes(world, out, format, frames, lambda each: tqdm(each, unit=unit, delay=1, disable=None))
    if as_json:
        about = {"out": str(out), "format": format, "size": list(world.size), "seed": seed, "classes": world.classes}
        print(json.dumps({**about, **written}, ensure_ascii=False))
        return
    counts = pluralize(written[unit], unit.removesuffix("s")), pluralize(written["objects"], "object")
    console.print_styled_line(console.stdout(), f"{out}: {counts[0]} with {counts[1]}, as {format}")


def _size(said: str) -> tuple[int, int]:
    """Height and width, from "128" or "320x240"."""
    found = re.fullmatch(r"([0-9]{1,5})(?:[x×]([0-9]{1,5}))?", said.strip().lower())
    if not found:
        raise UsageError(f"--size {said}: pixels of a side expected, as in 128, or WIDTHxHEIGHT, as in 320x240")
    width, height = found.groups()
    return int(height or width), int(width)
