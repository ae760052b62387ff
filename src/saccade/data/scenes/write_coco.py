"""Scenes as COCO detection JSON, with relations as an extension."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from saccade.data.scenes.scenes import Scene, Scenes

FILE = "annotations/instances_default.json"  # the name by which other tools find it


def write(scenes: Scenes, out: Path, indices: Iterable[int]) -> int:
    """images/*.png and annotations/instances_default.json. Returns the number of objects.

    Ids count from 1. A mask is {"size": [height, width], "counts": [...]}: alternating run lengths of background and
    object pixels in column order. Relations are grouped by image: {"subject": annotation, "relation": name, "object":
    annotation}.
    """
    for folder in ("images", "annotations"):
        (out / folder).mkdir()
    images: list[str] = []  # as JSON text, which takes a tenth of the memory
    annotations: list[str] = []
    related: dict[str, list[dict]] = {}
    for i in indices:
        scene, name = scenes.scene(i), f"{scenes.names[i]}.png"
        Image.fromarray(scene.pixels).save(out / "images" / name)
        height, width = scenes.size
        images.append(json.dumps({"id": i + 1, "file_name": name, "width": width, "height": height}))
        first = len(annotations) + 1
        annotations += [json.dumps(each) for each in annotations_of(scene, i + 1, first)]
        assert scene.objects.relations is not None
        related[str(i + 1)] = [
            {"subject": first + a, "relation": scenes.relations[r], "object": first + b}
            for a, r, b in scene.objects.relations.tolist()
        ]
    categories = [{"id": k + 1, "name": name, "supercategory": "object"} for k, name in enumerate(scenes.classes)]
    with (out / FILE).open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {json.dumps({"description": scenes.label})},\n')
        file.write(f'"images": [\n{_lines(images)}\n],\n"annotations": [\n{_lines(annotations)}\n],\n')
        file.write(f'"categories": {json.dumps(categories)},\n"relation_names": {json.dumps(scenes.relations)},\n')
        file.write(f'"relations": {json.dumps(related)}}}\n')
    return len(annotations)


def annotations_of(scene: Scene, image: int, first: int) -> list[dict]:
    """COCO annotations of the objects of a scene, with ids from `first`."""
    objects = scene.objects
    assert objects.masks is not None
    found = []
    parts = zip(objects.boxes.tolist(), objects.labels.tolist(), objects.masks.numpy(), strict=True)
    for k, (box, label, mask) in enumerate(parts):
        left, top, right, bottom = map(int, box)
        found.append(
            {
                "id": first + k,
                "image_id": image,
                "category_id": label + 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": int(np.count_nonzero(mask)),
                "iscrowd": 0,
                "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
            }
        )
    return found


def run_lengths(mask: np.ndarray) -> list[int]:
    """Run lengths of a mask (y x) in column order: background, object, background, ...; the first may be 0."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = [0, *changes.tolist(), len(flat)]
    runs = [b - a for a, b in pairwise(edges)]
    return [0, *runs] if flat[0] else runs


def _lines(parts: list[str]) -> str:
    return ",\n".join(parts)
