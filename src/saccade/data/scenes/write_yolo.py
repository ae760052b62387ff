"""Scenes as YOLO's folders."""

import json
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from saccade.data.scenes.scenes import Scenes


def write(scenes: Scenes, out: Path, indices: Iterable[int], held: int) -> int:
    """images/{train,val}/*.png, labels/{train,val}/*.txt, data.yaml. Returns how many objects. held: how many scenes,
    the last ones, are for validation.

    A line an object: class from 0, centre x, centre y, width, height, in shares of the picture's width and height.
    """
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (out / kind / split).mkdir(parents=True)
    names = "\n".join(f"  {i}: {json.dumps(name, ensure_ascii=False)}" for i, name in enumerate(scenes.classes))
    # no "path": tools then take the folder that data.yaml is in
    (out / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}\n", encoding="utf-8")
    cut, objects = len(scenes) - held, 0
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
