"""Scenes as COCO detection JSON, with relations as an extension, and in the folders of Pascal VOC and of YOLO."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
from PIL import Image

from saccade.data.scenes.colours import palette_picture, voc_colour
from saccade.data.scenes.scenes import Scene, Scenes

FILE = "annotations/instances_default.json"  # the name by which other tools find it
QUALITY = 95  # of the JPEGs, which most readers of VOC require


def write_coco(scenes: Scenes, out: Path, indices: Iterable[int]) -> int:
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
        file.write(f'{{"info": {json.dumps({"description": scenes.title})},\n')
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


def write_voc(scenes: Scenes, out: Path, indices: Iterable[int], validation: int) -> int:
    """JPEGImages/, Annotations/, SegmentationClass/ and SegmentationObject/, ImageSets/Main/{train,val}.txt,
    labelmap.txt. Returns the number of objects. validation: number of scenes, the last ones, for validation."""
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject", "ImageSets/Main"):
        (out / folder).mkdir(parents=True)
    cut, objects = len(scenes) - validation, 0
    for split, names in (("train", scenes.names[:cut]), ("val", scenes.names[cut:])):
        (out / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    (out / "labelmap.txt").write_text(_label_map(["background", *scenes.classes]), encoding="utf-8")
    for i in indices:
        scene, name = scenes.scene(i), scenes.names[i]
        Image.fromarray(scene.pixels).save(out / "JPEGImages" / f"{name}.jpg", quality=QUALITY, subsampling=0)
        palette_picture(scene.semantic).save(out / "SegmentationClass" / f"{name}.png")
        palette_picture(scene.instances).save(out / "SegmentationObject" / f"{name}.png")
        _annotation(scene, name, scenes.classes).write(out / "Annotations" / f"{name}.xml", encoding="utf-8")
        objects += len(scene.objects)
    return objects


def _label_map(names: list[str]) -> str:
    """CVAT's and datumaro's list of classes, with the colours of the masks."""
    lines = [f"{name}:{','.join(map(str, voc_colour(i)))}::\n" for i, name in enumerate(names)]
    return "".join(["# label:color_rgb:parts:actions\n", *lines])


def _annotation(scene: Scene, name: str, classes: list[str]) -> ElementTree:
    """VOC counts pixels from 1 and its boxes include the last one, so continuous (left, top, right, bottom) becomes
    (left + 1, top + 1, right, bottom)."""
    height, width = scene.objects.size
    root = Element("annotation")
    _add(root, folder="scenes", filename=f"{name}.jpg")
    _add(SubElement(root, "size"), width=width, height=height, depth=3)
    _add(root, segmented=1)
    for box, label in zip(scene.objects.boxes.tolist(), scene.objects.labels.tolist(), strict=True):
        left, top, right, bottom = map(int, box)
        each = SubElement(root, "object")
        cut = left == 0 or top == 0 or right == width or bottom == height
        _add(each, name=classes[label], pose="Unspecified", truncated=int(cut), difficult=0)
        _add(SubElement(each, "bndbox"), xmin=left + 1, ymin=top + 1, xmax=right, ymax=bottom)
    indent(root, "\t")
    return ElementTree(root)


def _add(parent: Element, **values: str | int) -> None:
    for name, value in values.items():
        SubElement(parent, name).text = str(value)


def write_yolo(scenes: Scenes, out: Path, indices: Iterable[int], validation: int) -> int:
    """images/{train,val}/*.png, labels/{train,val}/*.txt, data.yaml. Returns the number of objects. validation:
    number of scenes, the last ones, for validation.

    A line for each object: class from 0, centre x, centre y, width, height, as fractions of the picture's sides.
    """
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (out / kind / split).mkdir(parents=True)
    names = "\n".join(f"  {i}: {json.dumps(name, ensure_ascii=False)}" for i, name in enumerate(scenes.classes))
    # without "path", tools use the folder of data.yaml
    (out / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}\n", encoding="utf-8")
    cut, objects = len(scenes) - validation, 0
    height, width = scenes.size
    for i in indices:
        scene, split = scenes.scene(i), "train" if i < cut else "val"
        Image.fromarray(scene.pixels).save(out / "images" / split / f"{scenes.names[i]}.png")
        lines = []
        for (x0, y0, x1, y1), label in zip(scene.objects.boxes.tolist(), scene.objects.labels.tolist(), strict=True):
            shares = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
            lines.append(" ".join([str(label), *(f"{share:.8f}" for share in shares)]) + "\n")
        (out / "labels" / split / f"{scenes.names[i]}.txt").write_text("".join(lines))
        objects += len(lines)
    return objects
