"""Every format written, and read again by plain code that knows the format only."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from saccade.data.scenes import Description, Scenes
from saccade.data.scenes.write import write_scenes
from saccade.data.scenes.write_boxes import run_lengths
from saccade.errors import DataError

COUNT, SIZE = 11, (61, 83)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return Scenes(COUNT, SIZE, seed=2)


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def objects_of(scenes) -> int:
    return sum(len(scenes.objects(i)) for i in range(len(scenes)))


def test_coco(scenes, tmp_path):
    assert write_scenes(scenes, tmp_path, "coco") == {"scenes": COUNT, "objects": objects_of(scenes)}
    data = json.loads((tmp_path / "annotations" / "instances_default.json").read_text())
    classes = {category["id"]: category["name"] for category in data["categories"]}
    assert list(classes.items()) == list(enumerate(scenes.classes, 1))
    assert data["relation_names"] == scenes.relations
    assert [a["id"] for a in data["annotations"]] == list(range(1, objects_of(scenes) + 1))
    assert [image["id"] for image in data["images"]] == list(range(1, COUNT + 1))
    for i, image in enumerate(data["images"]):
        objects = scenes.objects(i)
        assert (image["height"], image["width"]) == SIZE
        assert np.array_equal(pixels(tmp_path / "images" / image["file_name"]), scenes.scene(i).pixels)
        mine = [a for a in data["annotations"] if a["image_id"] == image["id"]]
        for a, box, label, mask in zip(mine, objects.boxes.tolist(), objects.labels, objects.masks, strict=True):
            x, y, width, height = a["bbox"]
            assert [x, y, x + width, y + height] == box
            assert classes[a["category_id"]] == scenes.classes[label]
            assert a["area"] == mask.sum()
            assert a["iscrowd"] == 0
            runs = a["segmentation"]["counts"]
            assert a["segmentation"]["size"] == list(SIZE)
            decoded = np.repeat(np.arange(len(runs)) % 2, runs).reshape(SIZE[::-1]).T
            assert np.array_equal(decoded, mask.numpy())
        place = {a["id"]: k for k, a in enumerate(mine)}
        written_relations = [
            [place[r["subject"]], scenes.relations.index(r["relation"]), place[r["object"]]]
            for r in data["relations"][str(image["id"])]
        ]
        assert written_relations == objects.relations.tolist()


def test_coco_as_faster_coco_eval_reads_it(scenes, tmp_path):
    api = pytest.importorskip("faster_coco_eval")
    write_scenes(scenes, tmp_path, "coco")
    coco = api.COCO(str(tmp_path / "annotations" / "instances_default.json"))
    for i in range(COUNT):
        found = coco.loadAnns(coco.getAnnIds(imgIds=[i + 1]))
        for annotation, mask in zip(found, scenes.objects(i).masks.numpy(), strict=True):
            assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)


def test_run_lengths_begin_with_background():
    assert run_lengths(np.array([[False, True], [False, True]])) == [2, 2]
    assert run_lengths(np.array([[True, True], [False, True]])) == [0, 1, 1, 2]
    assert run_lengths(np.zeros((2, 3), bool)) == [6]


def test_voc(scenes, tmp_path):
    write_scenes(scenes, tmp_path, "voc")
    train, val = ((tmp_path / "ImageSets" / "Main" / f"{s}.txt").read_text().split() for s in ("train", "val"))
    assert [*train, *val] == scenes.names
    assert len(val) == 1
    for i, name in enumerate(scenes.names):
        scene = scenes.scene(i)
        written = pixels(tmp_path / "JPEGImages" / f"{name}.jpg").astype(int)
        assert np.abs(written - scene.pixels).mean() < 4  # JPEG
        assert np.array_equal(pixels(tmp_path / "SegmentationClass" / f"{name}.png"), scene.semantic)
        assert np.array_equal(pixels(tmp_path / "SegmentationObject" / f"{name}.png"), scene.instances)
        root = ElementTree.parse(tmp_path / "Annotations" / f"{name}.xml").getroot()
        assert root.findtext("filename") == f"{name}.jpg"
        assert [root.findtext(f"size/{part}") for part in ("height", "width", "depth")] == [*map(str, SIZE), "3"]
        found = root.findall("object")
        for each, box, label in zip(found, scene.objects.boxes.tolist(), scene.objects.labels, strict=True):
            left, top, right, bottom = (int(each.findtext(f"bndbox/{e}")) for e in ("xmin", "ymin", "xmax", "ymax"))
            assert [left - 1, top - 1, right, bottom] == box  # from 1, the last pixel included
            assert each.findtext("name") == scenes.classes[label]
            assert each.findtext("difficult") == "0"
    lines = (tmp_path / "labelmap.txt").read_text().splitlines()  # without it, datumaro knows no class
    assert lines[:3] == ["# label:color_rgb:parts:actions", "background:0,0,0::", f"{scenes.classes[0]}:128,0,0::"]
    assert len(lines) == 2 + len(scenes.classes)


def test_yolo(scenes, tmp_path):
    write_scenes(scenes, tmp_path, "yolo")
    lines = (tmp_path / "data.yaml").read_text().splitlines()
    assert lines[:3] == ["train: images/train", "val: images/val", "names:"]
    assert lines[3:] == [f'  {k}: "{name}"' for k, name in enumerate(scenes.classes)]
    for i, name in enumerate(scenes.names):
        split = "train" if i < COUNT - 1 else "val"
        objects = scenes.objects(i)
        assert np.array_equal(pixels(tmp_path / "images" / split / f"{name}.png"), scenes.scene(i).pixels)
        table = np.loadtxt(tmp_path / "labels" / split / f"{name}.txt", ndmin=2)
        assert table[:, 0].tolist() == objects.labels.tolist()
        middles, sizes = table[:, 1:3] * SIZE[::-1], table[:, 3:] * SIZE[::-1]
        boxes = np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)
        np.testing.assert_allclose(boxes, objects.boxes.numpy(), atol=1e-5)
    assert len(list(tmp_path.rglob("*.txt"))) == len(list(tmp_path.rglob("*.png"))) == COUNT


def test_masks(scenes, tmp_path):
    write_scenes(scenes, tmp_path, "masks")
    assert (tmp_path / "classes.txt").read_text().split() == ["background", *scenes.classes]
    for i, name in enumerate(scenes.names):
        scene = scenes.scene(i)
        assert np.array_equal(pixels(tmp_path / "images" / f"{name}.png"), scene.pixels)
        assert np.array_equal(pixels(tmp_path / "masks" / f"{name}.png"), scene.semantic)
        assert np.array_equal(pixels(tmp_path / "instances" / f"{name}.png"), scene.instances)
    with Image.open(tmp_path / "masks" / f"{scenes.names[0]}.png") as image:
        assert image.mode == "P"
        # VOC's first colours
        assert image.getpalette()[:15] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]


def test_captions(scenes, tmp_path):
    write_scenes(scenes, tmp_path, "captions")
    lines = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    for i, line in enumerate(lines):
        assert {"en": line["en"], "ko": line["ko"]} == scenes.scene(i).captions
        assert np.array_equal(pixels(tmp_path / line["file_name"]), scenes.scene(i).pixels)
    assert len(lines) == COUNT
    drawn = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["file_name"] for line in drawn] == [line["file_name"] for line in lines]
    for i, line in enumerate(drawn):
        assert line["text"]
        assert line["language"] in ("en", "ko", "mixed")
        content = Description.from_json(json.loads(line["description"]))
        for shape, colour in content.objects:
            assert any(shape == s and colour in ("", c) for s, c in scenes.scene(i).description.objects)


def test_films(tmp_path):
    scenes = Scenes(3, SIZE, seed=2)
    counts = write_scenes(scenes, tmp_path, "films", frames=3)
    lines = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert counts == {"films": 3, "objects": sum(len(line["objects"]) for line in lines)}
    drawn = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [sorted(line) for line in drawn] == [["frames_file_names", "language", "text"]] * 3
    for i, line in enumerate(lines):
        film = scenes.film(i, 3)
        assert drawn[i]["frames_file_names"] == [f"{line['folder']}/{t:02d}.png" for t in range(3)]
        assert drawn[i]["text"] == line["text"]
        assert {"en": line["en"], "ko": line["ko"]} == film.captions
        files = sorted((tmp_path / line["folder"]).iterdir())
        assert [file.name for file in files] == ["00.png", "01.png", "02.png"]
        assert np.array_equal(np.stack([pixels(file) for file in files]), film.frames)
        for track, each in enumerate(line["objects"]):
            assert (each["class"], each["motion"]) == (film.names[track], film.motions[track])
            for t, box in enumerate(each["boxes"]):
                seen = dict(zip(film.tracks[t], film.objects[t].boxes.tolist(), strict=True))
                assert box == seen.get(track)


def test_one_scene_is_for_training(tmp_path):
    write_scenes(Scenes(1, 32), tmp_path, "voc")
    assert (tmp_path / "ImageSets" / "Main" / "train.txt").read_text() == "scene-000000\n"
    assert (tmp_path / "ImageSets" / "Main" / "val.txt").read_text() == ""


def test_progress_is_reported_for_each(scenes, tmp_path):
    seen = []

    def count(indices):
        for i in indices:
            yield i
            seen.append(i)

    write_scenes(scenes, tmp_path, "captions", progress=count)
    assert seen == list(range(COUNT))


def test_nothing_is_written_over(scenes, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"is not empty \(it holds mine.txt\); give a new or empty folder"):
        write_scenes(scenes, tmp_path, "coco")
    with pytest.raises(DataError, match="is a file"):
        write_scenes(scenes, tmp_path / "mine.txt", "coco")
    with pytest.raises(DataError, match="lies below one"):
        write_scenes(scenes, tmp_path / "mine.txt" / "below", "coco")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_unwritable_outputs_are_refused(scenes, tmp_path):
    with pytest.raises(DataError, match="format='mpeg' was given; one of coco, voc, yolo"):
        write_scenes(scenes, tmp_path / "a", "mpeg")
    with pytest.raises(DataError, match="there is no scene to write"):
        write_scenes(Scenes(0), tmp_path / "a", "coco")
    assert not (tmp_path / "a").exists()
