"""Scenes in the folders of Pascal VOC."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from PIL import Image

from saccade.data.scenes.colours import index_colour, index_picture
from saccade.data.scenes.scenes import Scene, Scenes

QUALITY = 95  # of the JPEGs, which most readers of VOC require


def write(scenes: Scenes, out: Path, indices: Iterable[int], validation: int) -> int:
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
        index_picture(scene.semantic).save(out / "SegmentationClass" / f"{name}.png")
        index_picture(scene.instances).save(out / "SegmentationObject" / f"{name}.png")
        _annotation(scene, name, scenes.classes).write(out / "Annotations" / f"{name}.xml", encoding="utf-8")
        objects += len(scene.objects)
    return objects


def _label_map(names: list[str]) -> str:
    """CVAT's and datumaro's list of classes, with the colours of the masks."""
    lines = [f"{name}:{','.join(map(str, index_colour(i)))}::\n" for i, name in enumerate(names)]
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
