"""`saccade scenes`, and scenes as the data of other commands."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators
from tqdm.auto import tqdm

from saccade.cli import say

Json = Annotated[bool, Parameter(name="--json", negative=())]

MOST_FRAMES = 1000
EPOCH = 20_000  # scenes
HELD_OUT = 500  # scenes
CHOOSING, JUDGING = 0, 1_000_003  # seeds of those that choose the weights of a run, and of those that score a model


def scenes(
    out: Path,
    *,
    n: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 1000,
    size: str = "128",
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
    format: Literal["coco", "voc", "yolo", "masks", "captions", "films"] = "coco",
    sprites: Path | None = None,
    frames: Annotated[int, Parameter(validator=validators.Number(gte=2, lte=MOST_FRAMES))] = 16,
    as_json: Json = False,
) -> None:
    """Write pictures of a made-up world, of which everything is known, for this or any other tool to learn from.

    Each shows 3 to 8 shapes of many colours, textures and sizes, partly in front of each other. Boxes and masks are
    exact. The same seed and size give the same pictures on any machine.

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
        Another seed gives other pictures.
    format
        coco: images and annotations.json with boxes, masks and relations. voc: Pascal VOC's folders. yolo: images,
        labels, data.yaml. masks: a class and an instance for every pixel. captions: sentences in English and Korean.
        films: frames of objects that move as the sentences say, and where each is.
    sprites
        Folder of PNGs with transparency, to stand among the shapes. A sub-folder is a class, or else the file's name.
    frames
        Of a film, at most 1000: all of them are held in memory.
    as_json
        Say what was written as JSON.
    """
    from saccade.data.scenes import Scenes
    from saccade.data.scenes.write import write_scenes

    world = Scenes(n, _size(size), seed, sprites)
    unit = "films" if format == "films" else "scenes"
    written = write_scenes(world, out, format, frames, lambda each: tqdm(each, unit=unit, delay=1, disable=None))
    if as_json:
        about = {"out": str(out), "format": format, "size": list(world.size), "seed": seed, "classes": world.classes}
        print(json.dumps({**about, **written}, ensure_ascii=False))
        return
    say.line(say.to(), f"{out}: {written[unit]} {unit} with {written['objects']} objects, as {format}")


def _size(said: str) -> tuple[int, int]:
    """Height and width, from "128" or "320x240"."""
    found = re.fullmatch(r"([0-9]{1,5})(?:[x×]([0-9]{1,5}))?", said.strip().lower())
    if not found:
        raise say.UsageError(f"--size {said}: pixels of a side expected, as in 128, or WIDTHxHEIGHT, as in 320x240")
    width, height = found.groups()
    return int(height or width), int(width)


def scenes_asked_for(data: Path) -> int | None:
    """How many scenes "scenes" or "scenes:N" asks for; None for anything else."""
    word, _, count = str(data).partition(":")
    if word != "scenes" or data.exists():
        return None
    if count and not (count.isdecimal() and int(count) > 0):
        raise say.UsageError(f"--data {str(data)!r}: a whole number from 1 is expected after the colon")
    return int(count or EPOCH)
