"""Valid tables and archives, and files of formats that are recognised and not read."""

import io
import json
import tarfile
import zipfile

from tests.fuzz.mutate import Tree
from tests.fuzz.seeds import coco, picture, segments, yolo


def classes() -> list[Tree]:
    tree = {f"{s}/{c}/{i}.png": picture(i) for s in ("train", "val") for c in ("red", "green") for i in (1, 2)}
    table = {f"images/{i}.png": picture(i) for i in (1, 2, 3)} | {
        "labels.csv": b"filename,label\n1.png,red\n2.png,green\n3.png,red\n"
    }
    pictures = {f"images/{i}.png": picture(i) for i in (1, 2, 3, 4)}
    marked = pictures | {"_classes.csv": b"name; red; green; split\n1;1;0;train\n2;0;1;train\n3;1;0;val\n4;0;1;val\n"}
    lines = pictures | {"metadata.jsonl": b'{"file_name": "1.png", "label": 0}\n{"file_name": "2.png", "label": 1.0}\n'}
    names = pictures | {"labels.json": b'{"1.png": "red", "2.png": ["green"], "3.png": "red", "4.png": null}'}
    inside = {f"{c}/{s}/{i}.png": picture(i) for s in ("Train", "test") for c in ("red", "green") for i in (1, 2)}
    listed = {f"images/{c}/{i}.png": picture(i) for c in ("red", "green") for i in (1, 2, 3)} | {
        "meta/train.txt": b"red/1\nred/2\ngreen/1.png\n", "meta/test.txt": b"/home/x/red/3.png 0\ngreen/2 1\n",
    }  # fmt: skip
    beside = {f"{i}.png": picture(i) for i in (1, 2, 3)} | {f"{i}.cls": b"%d" % (i % 2) for i in (1, 2, 3)}
    numbered = {f"images/{c}/{i}.png": picture(i) for c in ("red", "green") for i in (1, 2)} | {
        "images.txt": b"1 red/1.png\n2 red/2.png\n3 green/1.png\n4 green/2.png\n",
        "train_test_split.txt": b"1 1\n2 0\n3 1\n4 0\n",
    }  # fmt: skip
    pets = {f"images/{name}_{i}.png": picture(i) for name in ("Abyssinian", "boxer") for i in (1, 2)}
    pets["list.txt"] = b"#Image CLASS-ID SPECIES BREED-ID\nAbyssinian_1 1 1 1\nAbyssinian_2 1 1 1\nboxer_1 2 2 1\n"
    whole = pictures | {"train.json": json.dumps({
        "images": [{"id": i, "file_name": f"{i}.png"} for i in (1, 2, 3)],
        "annotations": [{"id": i, "image_id": i, "category_id": i % 2} for i in (1, 2, 3)],
        "categories": [{"id": 0, "name": "red"}, {"id": 1, "name": "green"}],
    }).encode()}  # fmt: skip
    fiftyone = pictures | {
        "labels.json": b'{"classes": ["red", "green"], "labels": {"1": 0, "2": 1, "3": null, "4": 1}}'
    }
    automl = pictures | {"all.csv": b"TRAIN,gs://x/1.png,red\nTRAIN,gs://x/2.png,green\nTEST,gs://x/3.png,red\n"}
    several = pictures | {"train.csv": b"image,label\n1.png,red green\n2.png,red\n3.png,green\n4.png,red green\n"}
    return [
        tree, table, marked, lines, names, inside, listed, beside, numbered, pets, whole, fiftyone, automl, several,
        _signs(),
    ]  # fmt: skip


def _signs() -> Tree:
    """GTSRB: class folders with tables for training, one folder with a table for the test."""
    head = b"Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
    tree = {f"Final_Training/0000{c}/{i}.png": picture(c + 2 * i) for c in (0, 1) for i in (1, 2)}
    tree |= {f"Final_Training/0000{c}/GT-0000{c}.csv": head + b"1.png;24;18;3;2;12;10;%d\n" % c for c in (0, 1)}
    return tree | {"Final_Test/1.png": picture(9), "Final_Test/GT-final_test.csv": head + b"1.png;24;18;3;2;12;10;1\n"}


def box_tables() -> list[Tree]:
    """TensorFlow's, RetinaNet's and the global wheat heads' tables of boxes."""
    files = {f"images/{i}.png": picture(i) for i in (1, 2, 3)}
    head = b"filename,width,height,class,xmin,ymin,xmax,ymax,split\n"
    rows = (
        b"1.png,24,18,red,3,2,12,10,train\n1.png,24,18,lime,4,3,9,9,train\n2.png,,,red,1,1,9,9,val\n3.png,,,,,,,,val\n"
    )
    plain = b"images/1.png,3,2,12,10,red\nimages/2.png,,,,,\nimages/3.png,4,3,9,9,green\n"
    shares = b"class;image_id;x_min;y_min;x_max;y_max\nred;1;0.1;0.2;0.5;0.6\ngreen;2;0.3;0.2;0.9;0.6\n"
    wheat = b'image_id,width,height,bbox,source\n1,24,18,"[3.0, 2.0, 9.0, 8.0]",a\n2,24,18,"[4, 3, 5, 6]",b\n'
    return [
        files | {"labels.csv": head + rows},
        files | {"annotations.csv": plain},
        files | {"train_labels.csv": shares},
        files | {"train.csv": wheat},
    ]


def captions() -> list[Tree]:
    files = {f"{i}.png": picture(i) for i in (1, 2, 3)}
    rows = b'file_name,text,split\n1.png,a red star,train\n2.png,"a, b",train\n3.png,c d,val\n'
    lines = b'{"file_name": "1.png", "text": "a"}\n{"file_name": "2.png", "text": ["b", "c"]}\n'
    return [
        files | {"metadata.csv": rows},
        files | {"data.tsv": rows.replace(b",", b"\t")},
        files | {"metadata.jsonl": lines},
        files | {f"{i}.txt": b"a red star\nleft of it\n" for i in (1, 2, 3)},
        files | {f"{i}.json": b'{"caption": "a red star"}' for i in (1, 2, 3)},
        files | {"captions.json": json.dumps({
            "images": [{"id": i, "file_name": f"{i}.png"} for i in (1, 2, 3)],
            "annotations": [{"id": i, "image_id": i, "caption": "a", "is_rejected": i == 3} for i in (1, 2, 3)],
        }).encode()},
        files | {"results.csv": b"image_name| comment_number| comment\n1.png| 0| a , b\n2.png| 0| c\n"},
    ]  # fmt: skip


def formats() -> list[Tree]:
    """A picture, and a file that is recognised."""
    found = {
        "list_attr_celeba.txt": b"1\nBald Young \n1.png -1  1\n", "ImageSets/2017/train.txt": b"bear\n",
        "split.txt": b"a/1.png\n1\n3 4 9 8 0 0 0 0 0 0 \n", "1.txt": b"(3,4),(12,13),1 \n",
        "gt/gt.txt": b"1,1,3,4,9,8,1,1,0.8\n", "label_02/0000.txt": b"0 0 Car 0 0 -1 3 4 12 13 2 1 4 -4 1 13 -2\n",
        "a.geojson": b'{"features": [{"type": "F", "geometry": {"coordinates": []}}]}',
        "a.json": b'{"imgs": {"1": {"path": "1.png", "objects": [{"bbox": {"xmin": 1}}]}}}',
        "a.ndjson": b'{"data_row": {"external_id": "1.png"}}', "rle.csv": b"id,annotation\n1,3 5 70 6\n",
        "a.jsonl": b'{"image": "1.png", "prefix": "detect cat", "suffix": "<loc0100> cat"}',
        "a.tsv": b"a bus\thttp://x/1.png\n", "Label.txt": b'1.png\t[{"transcription": "a", "points": [[1, 2]]}]\n',
    }  # fmt: skip
    return [{"images/1.png": picture(1), name: text} for name, text in found.items()]


def archives() -> list[Tree]:
    """Trees of other formats as a tar, a compressed tar and a zip."""
    trees = []
    for tree in (coco()[0], yolo()[0], segments()[0], classes()[0], captions()[0]):
        for mode in ("w", "w:gz"):
            file = io.BytesIO()
            with tarfile.open(fileobj=file, mode=mode) as tar:
                for name, data in tree.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
            trees.append({"set.tar" + mode[1:].replace(":", "."): file.getvalue()})
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in tree.items():
                packed.writestr(name, data)
        trees.append({"set.zip": file.getvalue()})
    return trees
