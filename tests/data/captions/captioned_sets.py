"""Three pictures with captions, written in every format."""

import csv
import json
from pathlib import Path

from ..conftest import noise

CAPTIONS = {
    "images/a.png": ("a red star", "별 하나, 빨간색"),
    "images/b.png": ('a "blue" ring, left of a disc',),
    "images/c.png": ("NA",),
}


def save_pictures(root: Path, names=tuple(CAPTIONS)) -> None:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise(11, 7 + 2 * i, seed=i).save(root / name)


def pairs(captions=CAPTIONS) -> list[tuple[str, str]]:
    return [(name, caption) for name, texts in captions.items() for caption in texts]


def write_table(root: Path, name: str = "metadata.csv", columns=("file_name", "text"), rows=None) -> Path:
    save_pictures(root)
    with (root / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if name.endswith(".tsv") else ",")
        writer.writerows([columns, *(pairs() if rows is None else rows)])
    return root


def write_json_lines(root: Path, name: str = "metadata.jsonl", columns=("file_name", "text"), rows=None) -> Path:
    save_pictures(root)
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in (pairs() if rows is None else rows)]
    (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def write_coco(root: Path, name: str = "annotations/captions_all.json") -> Path:
    save_pictures(root)
    ids = {name: 7 + i for i, name in enumerate(CAPTIONS)}
    data = {
        "images": [{"id": ids[n], "file_name": n.removeprefix("images/")} for n in CAPTIONS],
        "annotations": [{"id": i, "image_id": ids[n], "caption": text} for i, (n, text) in enumerate(pairs())],
    }
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(json.dumps(data), encoding="utf-8")
    return root


def write_texts(root: Path) -> Path:
    save_pictures(root)
    for name, texts in CAPTIONS.items():
        (root / name).with_suffix(".txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return root


WRITE = {
    "captions in CSV": write_table,
    "captions in TSV": lambda root: write_table(root, "captions.tsv", ("image", "Caption")),
    "captions in JSON lines": write_json_lines,
    "COCO captions": write_coco,
    "captions in text files": write_texts,
}
