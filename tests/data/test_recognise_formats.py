"""Annotation files are recognised by what they hold; what no reader is for is named, with a way to convert it."""

import json
import time
from pathlib import Path

import pytest

from saccade.data.formats import BINARY, CSV, FILES, FORMATS, JSON, NO_CLASSES, OBJECT_NUMBERS, PLAIN, TEXT, XML
from saccade.data.objects.sets import open_objects
from saccade.data.recognise_formats import UNKNOWN, describe_formats, recognise_formats
from saccade.data.store import open_store
from saccade.errors import DataError

from .objects.annotated_sets import NAMES, save_pictures, write_coco, write_voc, write_yolo

EACH = "{}"  # of a file name: one for each picture


def written(root: Path, name: str, text: object) -> Path:
    save_pictures(root / "images")
    for each in NAMES if EACH in name else [""]:
        path = root / name.format(each)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
    return root


CASES = [
    ("images/{}.json", {"shapes": [], "imagePath": "a.png"}, "LabelMe JSON"),
    ("via.json", {"a.png1": {"regions": [{"shape_attributes": {}}]}}, "VIA (VGG Image Annotator) JSON"),
    ("panoptic_val.json", {"images": [], "annotations": [{"segments_info": []}]}, "panoptic COCO JSON"),
    ("r.json", [{"annotations": [{"result": [{"from_name": "l", "to_name": "i"}]}]}], "Label Studio JSON"),
    ("r.json", [{"image": "a.png", "label": [{"x": 1, "rectanglelabels": ["ant"]}]}], "Label Studio JSON"),
    ("ann/{}.png.json", {"objects": [{"classTitle": "ant", "points": {}}]}, "Supervisely JSON"),
    ("{}.json", {"schema_ref": "https://darwin-public", "annotations": [{"polygon": {}}]}, "Darwin JSON"),
    ("a.json", [{"annotations": [{"label": "ant", "coordinates": {"width": 1, "height": 1}}]}], "Create ML JSON"),
    ("{}_polygons.json", {"imgHeight": 5, "imgWidth": 5, "objects": [{"polygon": []}]}, "Cityscapes polygons JSON"),
    ("labels.json", [{"name": "a.png", "labels": [{"box2d": {}}]}], "BDD100K JSON"),
    ("output.manifest", '{"source-ref": "s3://x/a.png"}\n', "SageMaker Ground Truth manifest"),
    ("results.json", [{"image_id": 1, "category_id": 2, "bbox": [], "score": 0.5}], "COCO results JSON"),
    ("metadata.jsonl", '{"file_name": "a.png", "objects": {"bbox": []}}\n', "JSON lines with objects (Hugging Face)"),
    ("images/{}.json", {"anything": 1}, "JSON of an unknown kind"),
    ("labels.json", {"a.png": [1, 2, 3, 4]}, "JSON of an unknown kind"),
    ("a.xml", "<annotations><image id='0' name='a.png'><box label='x'/></image></annotations>", "CVAT XML (images)"),
    ("a.xml", "<annotations><meta/><track id='0' label='x'><box frame='0'/></track></annotations>", "CVAT XML (video)"),
    ("images/{}.xml", "<annotation><object><polygon><pt/></polygon></object></annotation>", "LabelMe XML"),
    ("a.xml", "<dataset><images><image file='a.png'><box top='1'/></image></images></dataset>", "dlib XML"),
    ("images/{}.xml", "<Annotations><Region><Vertices/></Region></Annotations>", "ImageScope XML"),
    ("images/{}.xml", "<my><own/></my>", "XML of an unknown kind"),
    ("t.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n", "OpenImages CSV"),
    ("t.csv", "filename,file_size,file_attributes,region_shape_attributes\n", "VIA (VGG Image Annotator) CSV"),
    ("t.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n", "CSV of boxes (TensorFlow)"),
    ("t.csv", "filename,class,score,xmin,ymin,xmax,ymax\n", "CSV of boxes (Kaggle)"),
    ("t.csv", "image_id,width,height,bbox,source\n", "CSV of boxes (global wheat)"),
    ("t.csv", "image_id,width,height,bbox,category\n", "CSV of boxes (Kaggle)"),
    ("t.csv", "image,label,x,y,w,h\n", "CSV of boxes (Kaggle)"),
    ("t.csv", "images/a.png,3,5,20,31,ant\n", "CSV of boxes (RetinaNet)"),
    ("t.csv", "ImageId,EncodedPixels\na,1 5\n", "CSV of run lengths"),
    ("t.csv", "file_name,label\na.png,ant\n", "classes in a table"),
    ("t.csv", "file_name,caption\na.png,an ant\n", "captions in a table"),
    ("t.csv", "image,mask\nx/a.png,y/b.png\n", "pictures and masks in a table"),
    ("d.json", {"images": [{"filename": "a.png", "sentences": [{"raw": "x"}]}]}, "Karpathy JSON of captions"),
    ("d.json", [{"image": "a.png", "conversations": [{"from": "gpt", "value": "x"}]}], "LLaVA JSON of conversations"),
    ("labelTxt/{}.txt", "imagesource:GoogleEarth\ngsd:0.14\n1 1 9 1 9 9 1 9 plane 0\n", "DOTA text"),
    ("labelTxt/{}.txt", "1.0 1.0 9.0 1.0 9.0 9.0 1.0 9.0 small-vehicle 0\n", "DOTA text"),
    ("label_2/{}.txt", "Car 0.00 0 -1.58 587 173 614 200 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n", "KITTI text"),
    ("boxes.txt", "1 3.0 4.0 20.0 21.0\n2 3.5 4.0 20.0 21.0\n", "CUB text"),
    ("train.odgt", '{"ID": "a", "gtboxes": []}\n', "ODGT"),
    ("annotations/{}.txt", "8,9,20,21,1,4,0,0\n1,2,5,6,0,0,0,0\n", "VisDrone text"),
    ("gt/gt.txt", "1,3,794.2,47.5,71.2,174.8,1,1,0.8\n", "MOT text"),
    ("gt/gt_{}.txt", "377,117,463,117,465,130,378,130,Genaxis\n", "ICDAR text"),
    ("train.txt", "images/a.png 3,5,20,31,0 30,7,71,53,2\n", "text of boxes behind file names"),
    ("bbx_gt.txt", "0--Parade/a.png\n1\n449 330 122 149 0 0 0 0 0 0\n", "WIDER FACE text"),
    ("train.tfrecord", "", "TFRecord"),
    ("labels.mat", "", "MATLAB annotations"),
    ("labels.pkl", "", "pickle"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "format"), CASES)
def test_formats(tmp_path, name, text, format):
    (found,) = recognise_formats(open_store(written(tmp_path, name, text)))
    assert found.format == format
    assert len(found.files) == (len(NAMES) if EACH in name else 1)
    if not found.tasks:
        assert f"{format} (" in describe_formats([found])
        assert describe_formats([found]).endswith(f"which is not read; {found.advice}")


@pytest.mark.parametrize(("name", "text", "format"), [case for case in CASES if not FORMATS[case[2]][0]])
def test_detection_says_what_it_cannot_read(tmp_path, name, text, format):
    with pytest.raises(DataError) as caught:
        open_objects(written(tmp_path, name, text))
    assert format in str(caught.value) or (format.startswith("panoptic") and "panoptic segments" in str(caught.value))


@pytest.mark.parametrize(
    ("write", "format"), [(write_coco, "COCO JSON"), (write_voc, "VOC XML"), (write_yolo, "YOLO text")]
)
def test_formats_that_are_read(tmp_path, write, format):
    (found,) = recognise_formats(open_store(write(tmp_path / "set")))
    assert found.format == format
    assert "which `saccade train detect`" in describe_formats([found], "classify")
    assert "saccade" not in describe_formats([found], "detect")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", {"epochs": 3}),
        ("readme.txt", "Ants, 0 to 5 in a picture."),
        ("ImageSets/Main/train.txt", "000001\n000002\n000003\n000004\n000005\n000006\n"),
        ("images/{}.txt", "an ant on a leaf"),
        ("notes.xml", "<notes>none</notes>"),
    ],
)
def test_files_that_are_no_annotations(tmp_path, name, text):
    assert recognise_formats(open_store(written(tmp_path, name, text))) == []


def test_every_format_has_an_entry():
    marked = {name for name, *_ in [*JSON, *XML, *CSV, *TEXT, *PLAIN]} | set(BINARY.values()) | set(UNKNOWN.values())
    assert marked | set(FILES.values()) == set(FORMATS)
    assert set(FORMATS) >= {*NO_CLASSES, *OBJECT_NUMBERS}
    assert all(bool(tasks) != bool(advice) for tasks, advice in FORMATS.values())


def test_many_files_are_looked_at_by_sample(tmp_path):
    (tmp_path / "labels").mkdir()
    for i in range(50):
        (tmp_path / "labels" / f"{i}.txt").write_text("" if i % 9 else "0 0.5 0.5 0.1 0.1\n")
    (found,) = recognise_formats(open_store(tmp_path))
    assert len(found.files) > 30


def test_hostile_files_take_no_time(tmp_path):
    n = 1 << 17
    texts = {
        "a.xml": "<annotations>" + "<image " * n, "b.xml": "<!--" * n, "c.txt": "a.jpg" + "\n" * n,
        "d.json": '"images"' + " " * n, "e.csv": "x" * n, "f.txt": "1 " * n, "g.txt": "1," * n, "h.json": "[" * n,
        "i.txt": "1" * n, "j.txt": "a." * n, "k.txt": " " * n, "l.csv": "a.jpg," + "1" * n, "m.txt": "1." * n,
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    start = time.process_time()
    recognise_formats(open_store(tmp_path))
    assert time.process_time() - start < 5
