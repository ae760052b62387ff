"""Scenes in the folders of YOLO."""

import json
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from saccade.data.scenes.scenes import Scenes


def write(scenes: Scenes, out: Path, indices: Iterable[int], validation: int) -> int:
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
