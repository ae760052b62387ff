"""Export of scenes to an empty folder, in one of six formats."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from PIL import Image

from saccade.data.files import escape
from saccade.data.output import new_folder
from saccade.data.scenes.colours import palette_picture
from saccade.data.scenes.phrasing import sample_caption, sample_film_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.scenes import Scenes
from saccade.data.scenes.write_boxes import write_coco, write_voc, write_yolo
from saccade.errors import DataError

Format = Literal["coco", "voc", "yolo", "masks", "captions", "films"]
CAPTION = 3  # stream of random numbers of captions; scenes, films and edits use 0 to 2
VALIDATION = 0.1  # fraction of the scenes, the last ones, in formats with splits
Progress = Callable[[Iterable[int]], Iterable[int]]


def write_scenes(scenes: Scenes, out: Path, format: Format, frames: int = 16, progress: Progress = iter) -> dict:
    """Write all scenes to the folder `out`, which is created or empty.

    coco: images/, annotations/instances_default.json with boxes, masks as run lengths, and relations.
    voc: JPEGImages/, Annotations/, ImageSets/Main/{train,val}.txt, labelmap.txt. yolo: images/ and labels/ with train/
    and val/ in each, data.yaml. The last tenth of the scenes is for validation.
    masks: images/, masks/ (class) and instances/ (object) as index PNGs, classes.txt in the order of their indices.
    captions: images/; metadata.jsonl for Hugging Face's imagefolder, with "file_name", a random caption ("text",
    "language", "form") and its content ("description", JSON as text); captions.jsonl with "file_name" and full
    captions "en", "ko".
    films: frames/film-000000/00.png, ..., and captions.jsonl, a line for each film, with objects, motions and boxes;
    metadata.jsonl for imagefolder, with "frames_file_names" and the caption ("text", "language").

    progress: wraps the indices, as tqdm does. Returns counts: "scenes" (or "films"), "objects".

    Raises DataError if `out` is a file or a folder with contents, or there is no scene to write.
    """
    if format not in get_args(Format):
        raise DataError(f"format={format!r} was given; one of {', '.join(get_args(Format))} expected")
    if not len(scenes):
        raise DataError("there is no scene to write; 1 or more expected")
    _claim(out)
    indices, validation = iter(progress(range(len(scenes)))), _validation_count(len(scenes))
    writers: dict[str, Callable[[], int]] = {
        "coco": lambda: write_coco(scenes, out, indices),
        "voc": lambda: write_voc(scenes, out, indices, validation),
        "yolo": lambda: write_yolo(scenes, out, indices, validation),
        "masks": lambda: _masks(scenes, out, indices),
        "captions": lambda: _captions(scenes, out, indices),
        "films": lambda: _films(scenes, out, frames, indices),
    }
    with new_folder(out):
        objects = writers[format]()
    return {"films" if format == "films" else "scenes": len(scenes), "objects": objects}


def _validation_count(count: int) -> int:
    """Number of scenes, the last ones, for validation; 0 of a single one."""
    return min(max(1, round(VALIDATION * count)), count - 1)


def _claim(out: Path) -> None:
    """Check that the folder is new or empty. Existing files are never overwritten."""
    try:
        first = next(out.iterdir(), None)
    except FileNotFoundError:
        return
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{escape(out)} is a file, or lies below one; a folder to make was expected") from None
    except OSError as error:
        raise DataError(f"{escape(out)} cannot be made or read ({error.strerror}); choose another folder") from error
    if first is not None:
        raise DataError(f"{escape(out)} is not empty (it holds {escape(first.name)}); give a new or empty folder")


def _masks(scenes: Scenes, out: Path, indices: Iterator[int]) -> int:
    for folder in ("images", "masks", "instances"):
        (out / folder).mkdir()
    (out / "classes.txt").write_text("\n".join(["background", *scenes.classes]) + "\n", encoding="utf-8")
    objects = 0
    for i in indices:
        scene, name = scenes.scene(i), f"{scenes.names[i]}.png"
        Image.fromarray(scene.pixels).save(out / "images" / name)
        palette_picture(scene.semantic).save(out / "masks" / name)
        palette_picture(scene.instances).save(out / "instances" / name)
        objects += len(scene.objects)
    return objects


def _captions(scenes: Scenes, out: Path, indices: Iterator[int]) -> int:
    (out / "images").mkdir()
    objects = 0
    with _lines(out / "captions.jsonl") as full, _lines(out / "metadata.jsonl") as drawn:
        for i in indices:
            scene, name = scenes.scene(i), f"images/{scenes.names[i]}.png"
            Image.fromarray(scene.pixels).save(out / name)
            full({"file_name": name, **scene.captions})
            caption = sample_caption(scene.description, RandomStream(scenes.seed, CAPTION, i))
            content = json.dumps(caption.description.as_json(), ensure_ascii=False)  # its lists are of mixed types
            line = {"file_name": name, "text": caption.text, "language": caption.language, "form": caption.form}
            drawn({**line, "description": content})
            objects += len(scene.objects)
    return objects


@contextmanager
def _lines(file: Path) -> Iterator[Callable[[dict], object]]:
    """Writes JSON objects to a new file, one a line."""
    with file.open("w", encoding="utf-8") as opened:
        yield lambda found: opened.write(json.dumps(found, ensure_ascii=False) + "\n")


def _films(scenes: Scenes, out: Path, frames: int, indices: Iterator[int]) -> int:
    objects = 0
    (out / "frames").mkdir()
    digits = max(2, len(str(frames - 1)))
    with _lines(out / "captions.jsonl") as full, _lines(out / "metadata.jsonl") as drawn:
        for i in indices:
            film, folder = scenes.film(i, frames), f"frames/film-{i:06d}"
            (out / folder).mkdir()
            names = [f"{folder}/{t:0{digits}d}.png" for t in range(frames)]
            for name, frame in zip(names, film.frames, strict=True):
                Image.fromarray(frame).save(out / name)
            # box of each object in each frame; null if it is not visible
            boxes: list[list] = [[None] * frames for _ in film.names]
            for t, (here, tracks) in enumerate(zip(film.objects, film.tracks, strict=True)):
                for box, track in zip(here.boxes.tolist(), tracks, strict=True):
                    boxes[track][t] = box
            cast = zip(film.names, film.colours, film.motions, boxes, strict=True)
            cast_lines = [{"class": n, "colour": c, "motion": m, "boxes": b} for n, c, m, b in cast]
            short = sample_film_caption(film.names, film.colours, film.motions, RandomStream(scenes.seed, CAPTION, i))
            text = {"text": short.text, "language": short.language}
            line = {"file_name": folder, "folder": folder, "frames": frames}
            full({**line, **text, **film.captions, "objects": cast_lines})
            drawn({"frames_file_names": names, **text})
            objects += len(cast_lines)
    return objects
