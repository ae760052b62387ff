"""Annotated sets written to disk in the formats people have, by what each format's definition says."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]
CLASSES = ["ant", "bee", "cat"]
# of pictures "a", "b", "c", ...: (height, width) and their objects, class and box in continuous pixels
SIZES = [(53, 71), (61, 43), (47, 47), (59, 83), (67, 41)]
OBJECTS: list[list[tuple[int, Box]]] = [
    [(0, (3, 5, 20, 31)), (2, (30, 7, 71, 53))],
    [(1, (0, 0, 43, 61))],
    [],
    [(1, (10, 11, 12, 17)), (1, (40, 2, 79, 58)), (0, (5, 5, 19, 23))],
    [(2, (1, 2, 40, 66))],
]
NAMES = [chr(ord("a") + i) for i in range(len(SIZES))]


def save_pictures(folder: Path, names: Sequence[str] = NAMES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        pixels = np.random.default_rng(ord(name[-1])).integers(0, 256, (*SIZES[i % len(SIZES)], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def coco(**more: object) -> dict:
    images = [
        {"id": i + 100, "file_name": f"{n}.png", "height": h, "width": w}
        for i, (n, (h, w)) in enumerate(zip(NAMES, SIZES, strict=True))
    ]
    annotations: list[dict] = []
    for i, objects in enumerate(OBJECTS):
        for label, (left, top, right, bottom) in objects:
            bbox = [left, top, right - left, bottom - top]
            key = len(annotations)  # counted from 0, as some tools do
            annotations.append(
                {"id": key, "image_id": i + 100, "category_id": 7 * label + 3, "bbox": bbox, "iscrowd": 0}
            )
    categories = [{"id": 7 * i + 3, "name": name} for i, name in enumerate(CLASSES)]
    return {"images": images, "annotations": annotations, "categories": categories} | more


def write_coco(root: Path, data: dict | None = None) -> Path:
    save_pictures(root / "images")
    (root / "annotations").mkdir(parents=True)
    (root / "annotations" / "instances.json").write_text(json.dumps(data or coco()))
    return root


def xml(i: int, objects: Sequence[tuple[str, Sequence[object]]] | None = None, size: object = None) -> str:
    height, width = size or SIZES[i]
    if objects is None:
        objects = [(CLASSES[c], (int(x) + 1, int(y) + 1, int(u), int(v))) for c, (x, y, u, v) in OBJECTS[i]]
    rows = "".join(
        f"<object><name>{name}</name><difficult>{int(name == 'cat')}</difficult><bndbox>"
        + "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        + "</bndbox></object>"
        for name, box in objects
    )
    size_of = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{NAMES[i]}.png</filename>{size_of}{rows}</annotation>"


def write_voc(root: Path, splits: dict[str, str] | None = None) -> Path:
    """splits: name -> its pictures, a letter each."""
    save_pictures(root / "JPEGImages")
    (root / "Annotations").mkdir()
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for i, name in enumerate(NAMES):
        (root / "Annotations" / f"{name}.xml").write_text(xml(i))
    for split, names in (splits or {}).items():
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


def yolo_lines(i: int) -> str:
    height, width = SIZES[i]
    rows = []
    for label, (left, top, right, bottom) in OBJECTS[i]:
        centre = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        rows.append([label, *centre, (right - left) / width, (bottom - top) / height])
    return "".join(" ".join(f"{v:.6f}" if isinstance(v, float) else str(v) for v in row) + "\n" for row in rows)


def write_yolo(root: Path, splits: dict[str, str] | None = None, yaml_file: bool = True) -> Path:
    """images/SPLIT/a.png beside labels/SPLIT/a.txt; without splits, images/a.png."""
    for split, names in (splits or {"": "".join(NAMES)}).items():
        save_pictures(root / "images" / split)
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(NAMES):
            if name in names:
                (root / "labels" / split / f"{name}.txt").write_text(yolo_lines(i))
            else:
                (root / "images" / split / f"{name}.png").unlink()
    if yaml_file:
        rows = [f"{split or 'train'}: images/{split}\n" for split in splits or {"": ""}]
        names = "".join(f"  {i}: {name}\n" for i, name in enumerate(CLASSES))
        (root / "data.yaml").write_text(f"path: ../somewhere\n{''.join(rows)}names:\n{names}")
    else:
        (root / "classes.txt").write_text("\n".join(CLASSES))
    return root
