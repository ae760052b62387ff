"""Valid files of every format that is read, small, and the same in every run."""

import io
import json
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save

from saccade.data.film_files import write_film
from saccade.data.preprocess import Preprocess
from saccade.models import Classifier, ClassifierConfig, ViTConfig
from saccade.tasks import ClassifyTask
from tests.data.tiny_videos import film
from tests.fuzz.mutate import Tree

SIZE = (24, 18)  # width, height
SETTINGS = "a red star\nNegative prompt: blue\nSteps: 5, Sampler: Euler, CFG scale: 3, Seed: 7, Size: 64x64, Model: a"
BOX = [3, 2, 9, 8]  # left, top, width, height
POLYGON = [3, 2, 12, 2, 12, 10, 3, 10]


def picture(seed: int = 0, format: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def mask(seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 3, (3, 4), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def pictures() -> list[Tree]:
    """One file each: formats, modes, tags."""
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112], exif[0x9286] = 6, b"ASCII\0\0\0hello"
    text.add_text("parameters", SETTINGS)
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>')
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue")]
    moving = {"save_all": True, "append_images": frames[1:], "duration": [40, 0, 70]}
    files = {
        "rgb.png": picture(), "palette.png": picture(mode="P", transparency=0), "alpha.png": picture(mode="RGBA"),
        "deep.png": picture(mode="I;16"), "text.png": picture(pnginfo=text, exif=exif), "bit.png": picture(mode="1"),
        "plain.jpg": picture(format="JPEG", exif=exif), "cmyk.jpg": picture(format="JPEG", mode="CMYK"),
        "progressive.jpg": picture(format="JPEG", progressive=True), "still.gif": picture(format="GIF", mode="P"),
        "moving.gif": picture(format="GIF", mode="P", **moving), "moving.webp": picture(format="WEBP", **moving),
        "moving.png": picture(**moving), "still.webp": picture(format="WEBP", exif=exif),
        "plain.bmp": picture(format="BMP"), "deep.tif": picture(format="TIFF", mode="I;16"),
        "raw.tif": picture(format="TIFF"), "lzw.tif": picture(format="TIFF", compression="tiff_lzw", exif=exif),
        "float.tif": picture(format="TIFF", mode="F"),
        "a.ppm": picture(format="PPM"), "a.avif": picture(format="AVIF"),
    }  # fmt: skip
    return [{name: data} for name, data in files.items()]


def coco() -> list[Tree]:
    objects = [
        {"id": i + 1, "image_id": i // 2 + 1, "category_id": i % 2 + 1, "bbox": BOX, "area": 72, "iscrowd": 0,
         "segmentation": [POLYGON], **({"keypoints": [1, 2, 2], "num_keypoints": 1} if i == 3 else {})}
        for i in range(4)
    ]  # fmt: skip
    rle = {"size": [SIZE[1], SIZE[0]], "counts": [40, 8, SIZE[0] * SIZE[1] - 48]}
    objects[1].update(iscrowd=1, segmentation=rle)
    document = {
        "info": {"year": 2024}, "licenses": [],
        "images": [{"id": i, "file_name": f"{i}.png", "width": SIZE[0], "height": SIZE[1]} for i in (1, 2, 3)],
        "annotations": objects,
        "categories": [{"id": 1, "name": "red", "supercategory": "a"}, {"id": 2, "name": "green"}],
        "relations": {"1": [{"subject": 1, "relation": "left of", "object": 2}]}, "relation_names": ["left of"],
    }  # fmt: skip
    one = {f"images/{i}.png": picture(i) for i in (1, 2, 3)} | {"instances.json": json.dumps(document).encode()}
    captions = {
        "images": document["images"],
        "annotations": [{"id": i, "image_id": i, "caption": f"a thing {i}"} for i in (1, 2, 3)],
    }
    two = {f"val/{i}.png": picture(i) for i in (1, 2, 3)} | {
        "annotations/captions_val.json": json.dumps(captions).encode()
    }
    return [one, two, _coco_of_other_tools()]


def _coco_of_other_tools() -> Tree:
    """Ids as text, names of another machine, a grouping category, outlines with holes and without boxes."""
    pairs = [[x, y] for x, y in zip(POLYGON[::2], POLYGON[1::2], strict=True)]
    shapes = [
        [{"exterior": pairs, "interiors": [pairs[:3]]}], [POLYGON, [1, 2]], pairs,
        {"size": [float(SIZE[1]), SIZE[0]], "counts": "b'0P100'"},
    ]  # fmt: skip
    objects = [
        {"id": f"{i}", "image_id": f"00{i % 2 + 1}", "category_id": "1.0", "bbox": [None, [], BOX, "[1, 2, 3, 4]"][i],
         "iscrowd": "1", "segmentation": shape}
        for i, shape in enumerate(shapes)
    ]  # fmt: skip
    document = {
        "images": [{"id": i, "file_name": f"C:\\set\\{i}.png", "width": SIZE[0], "height": SIZE[1]} for i in (1, 2)],
        "annotations": objects,
        "categories": [
            {"id": 0, "name": "all", "supercategory": "none"}, {"id": 1, "name": "a", "supercategory": "all"},
        ],
    }  # fmt: skip
    return {f"train/{i}.png": picture(i) for i in (1, 2)} | {"train/a.json": json.dumps(document).encode()}


def yolo() -> list[Tree]:
    labels = {
        "boxes": b"0 0.3 0.3 0.375 0.44\n1 0.6 0.5 0.2 0.2\n",
        "polygons": b"0 0.1 0.1 0.5 0.1 0.5 0.6 0.1 0.6\n1 0.6 0.5 0.7 0.5 0.8 0.9\n",
        "pose": b"0 0.3 0.3 0.375 0.44 0.2 0.2 2 0.3 0.3 1\n",
    }
    trees: list[Tree] = []
    for kind, text in labels.items():
        sheet = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: red\n  1: green\n"
        tree = {f"images/{s}/{i}.png": picture(i) for s in ("train", "val") for i in (1, 2)}
        tree |= {f"labels/{s}/{i}.txt": text for s in ("train", "val") for i in (1, 2)}
        tree["data.yaml"] = (sheet + ("kpt_shape: [2, 3]\n" if kind == "pose" else "")).encode()
        trees.append(tree)
    darknet = {f"data/{i}.png": picture(i) for i in (1, 2)} | {f"data/{i}.txt": labels["boxes"] for i in (1, 2)}
    darknet |= {"train.txt": b"data/1.png\n", "test.txt": b"./data/2.png\n", "obj.names": b"red\ngreen\n"}
    darknet["obj.data"] = b"classes = 2\ntrain = train.txt\nvalid = test.txt\nnames = obj.names\n"
    return [*trees, darknet]


def voc() -> list[Tree]:
    xml = (
        "<annotation><folder>JPEGImages</folder><filename>{i}.png</filename><size><width>24</width><height>18</height>"
        "<depth>3</depth></size><segmented>0</segmented><object><name>red</name><difficult>0</difficult><bndbox><xmin>4"
        "</xmin><ymin>3</ymin><xmax>12</xmax><ymax>10</ymax></bndbox></object></annotation>"
    )
    tree = {f"JPEGImages/{i}.png": picture(i) for i in (1, 2)}
    tree |= {f"Annotations/{i}.xml": xml.format(i=i).encode() for i in (1, 2)}
    tree |= {"ImageSets/Main/train.txt": b"1\n", "ImageSets/Main/val.txt": b"2 1\n", "labelmap.txt": b"red:1,2,3::\n"}
    cvat = (
        "<annotations><version>1.1</version><image id='0' name='1.png' width='24' height='18'><box label='red' xtl='3' "
        "ytl='2' xbr='12' ybr='10'/><polygon label='green' points='3,2;12,2;12,10'/></image></annotations>"
    )
    shapes = [{"label": "red", "points": [[3, 2], [12, 10]], "shape_type": "rectangle"}]
    labelme = {"version": "5.0", "shapes": shapes, "imagePath": "1.png", "imageHeight": 18, "imageWidth": 24}
    return [
        tree,
        {"images/1.png": picture(1), "annotations.xml": cvat.encode()},
        {"1.png": picture(1), "1.json": json.dumps(labelme).encode()},
    ]


def levels(i: int, kind: str) -> bytes:
    """A mask in black and white."""
    found = np.zeros(SIZE[::-1], np.uint8)
    found[3 : 9 + i, 4 : 11 + i] = 255
    file = io.BytesIO()
    Image.fromarray(found).save(file, kind)
    return file.getvalue()


def segments() -> list[Tree]:
    pairs = {f"{folder}/{s}/{i}.png": (picture if folder == "images" else mask)(i)
             for folder in ("images", "masks") for s in ("train", "val") for i in (1, 2)}  # fmt: skip
    pairs["classes.txt"] = b"back\nred\ngreen\n"
    coloured = {f"images/{i}.png": picture(i) for i in (1, 2)} | {
        f"labels/{i}.png": picture(0, mode="P") for i in (1, 2)
    }
    coloured["class_dict.csv"] = b"name,r,g,b\nback,0,0,0\nred,255,0,0\n"
    listed = {"JPEGImages/1.png": picture(1), "SegmentationClass/1.png": mask(1)}
    listed |= {
        "ImageSets/Segmentation/train.txt": b"1\n",
        "labelmap.txt": b"# label:color\nback:0,0,0::\nred:128,0,0::\n",
    }
    objects = {"1/images/1.png": picture(1), "1/masks/a.png": mask(1), "1/masks/b.png": mask(2)}
    greys = {f"image/{i}.png": picture(i) for i in (1, 2)} | {f"label/{i}.png": levels(i, "PNG") for i in (1, 2)}
    lossy = {f"img_dir/{i}.png": picture(i) for i in (1, 2)} | {f"ann_dir/{i}.jpg": levels(i, "JPEG") for i in (1, 2)}
    by_class = {f"images/{i}.png": picture(i) for i in (1, 2)}
    by_class |= {f"masks/{name}/{i}.png": mask(i) for name in ("red", "green") for i in (1, 2)}
    ade = {f"{folder}/1.png": (picture if folder == "images" else mask)(1) for folder in ("images", "annotations")}
    ade["objectInfo150.txt"] = (
        b"Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t.1\t3\t1\t1\tred\n2\t.1\t3\t1\t0\tlime, green\n"
    )
    nnunet = {"imagesTr/1_0000.png": picture(1), "labelsTr/1.png": mask(1)}
    nnunet["dataset.json"] = b'{"modality": {"0": "R"}, "labels": {"back": 0, "red": 1, "green": 2}}'
    vistas = {"training/images/1.png": picture(1), "training/v1.2/labels/1.png": mask(1)}
    vistas["config_v1.2.json"] = b'{"labels": [{"name": "back", "readable": "B"}, {"name": "red", "readable": "R"}]}'
    return [pairs, coloured, listed, objects, greys, lossy, by_class, ade, nnunet, vistas]


def films() -> list[Tree]:
    """One film each."""
    frames = [Image.fromarray(np.full((SIZE[1], SIZE[0], 3), 40 * i, np.uint8)) for i in range(4)]
    trees = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".mp4", ".gif", ".webp"):
            write_film(Path(folder) / f"film{suffix}", frames, Fraction(10), SETTINGS)
        for suffix, codec in ((".mkv", "libx264"), (".webm", "libvpx-vp9"), (".mov", "mpeg4"), (".avi", "mjpeg")):
            film(
                Path(folder) / f"film{suffix}",
                4,
                SIZE,
                codec=codec,
                pixel="yuvj420p" if codec == "mjpeg" else "yuv420p",
            )
        trees = [{path.name: path.read_bytes()} for path in sorted(Path(folder).iterdir())]
    return [*trees, {f"film/{i:02}.png": picture(i) for i in range(3)}]


def film_sets() -> list[Tree]:
    """Each film with a caption."""
    trees = films()
    for tree in trees:
        name = next(iter(tree)).split("/")[0]
        tree["metadata.csv"] = f"file_name,text\n{name},a b\n".encode()
    return trees


def models() -> list[Tree]:
    torch.manual_seed(0)
    vit = {"block": {"width": 16, "heads": 2, "hidden": 24}, "depth": 1, "patch": 4, "grid": (4, 4)}
    config = ClassifierConfig(vit=ViTConfig.model_validate(vit), classes=2)
    task = ClassifyTask(Classifier(config), Preprocess((16, 16), "crop"), "tiny", labels=["a", "b"])
    with tempfile.TemporaryDirectory() as folder:
        task.save(Path(folder))
        ours = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    weights = save({"vit.embeddings.cls_token": torch.zeros(1, 1, 16), "a": torch.zeros(2, 3)})
    common = {"image_size": 16, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "intermediate_size": 24, "id2label": {"0": "a", "1": "b"}, "hidden_act": "gelu"}  # fmt: skip
    trees = [ours]
    for family, extra in {"vit": {}, "dinov2": {"mlp_ratio": 2}, "detr": {"num_queries": 5}, "clip": {}}.items():
        config_json = json.dumps(common | extra | {"model_type": family, "architectures": []}).encode()
        trees.append({"config.json": config_json, "model.safetensors": weights})
    index = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    trees.append({
        "config.json": json.dumps(common | {"model_type": "vit"}).encode(),
        "model.safetensors.index.json": json.dumps(index).encode(), "model-00001-of-00001.safetensors": weights,
    })  # fmt: skip
    return trees


def settings() -> list[Tree]:
    """Texts of generated pictures."""
    more = SETTINGS + ', Model hash: ab, Lora hashes: "x: 1, y: 2", Frames: 8, FPS: 10, Version: saccade 0.1'
    return [{"a.txt": SETTINGS.encode()}, {"a.txt": more.encode()}, {"a.txt": b"a cat\nSteps: 20, Sampler: Euler a"}]
