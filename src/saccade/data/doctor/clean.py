"""Write a clean copy of a data set in its own format. The source is not changed."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import tostring

import numpy as np
from defusedxml.ElementTree import fromstring

from saccade.data.doctor.dataset import CheckedDataset, CheckedSplit
from saccade.data.doctor.examine import Examination
from saccade.data.doctor.findings import CHECKS
from saccade.data.doctor.masks import write_masks
from saccade.data.files import escape
from saccade.data.objects import coco, voc, yolo
from saccade.data.objects.annotations import AnnotatedObject, AnnotatedPicture, Box, PolygonWithHoles, to_float
from saccade.data.objects.voc_xml import CoordinateOrigin
from saccade.data.output import check_outside_data, new_folder
from saccade.data.split_names import split_role
from saccade.data.store import FolderStore, join_path, read_bytes, read_text, relative_to
from saccade.errors import DataError

DROPPED = {kind for kind, each in CHECKS.items() if each.severity == "error"} | {"box repeated"}


def write_clean(examined: Examination, out: Path) -> dict[str, int]:
    """Write the valid part of a set to the folder `out`; returns what was left out or changed, with counts.

    Left out are pictures that cannot be decoded, have another size than annotated, have no valid mask, are duplicates,
    are in two classes, or are in training and in validation or test (they stay in the latter); boxes that are not
    finite, inverted, empty, entirely outside or duplicates. Boxes that extend beyond their picture are clipped. COCO
    annotations are renumbered from 1, without invalid masks and those of clipped boxes.

    Raises DataError if `out` is not empty or is inside the set, if nothing of the set is valid, if it has films,
    captions or a format that is not written, and if two files would be written to one path."""
    store = examined.subject.store
    if examined.subject.kind in ("films", "captions"):
        raise DataError(
            f"{store.title}: no clean copy of {examined.subject.kind} is written; correct the files that `saccade "
            "doctor` names, or train as they are, which leaves them out"
        )
    check_empty(out, store.root if isinstance(store, FolderStore) else None)
    changes: Counter[str] = Counter()
    parts = {part.name: _kept(examined, part, changes) for part in examined.subject.parts}
    if not any(parts.values()):
        raise DataError(f"nothing of {store.title} can be used, so there is nothing to write")
    _check_form(examined)
    writers = {"COCO": _write_coco, "VOC": _write_voc, "YOLO": _write_yolo}
    if examined.subject.layout is not None and examined.subject.format not in writers:
        raise DataError(f"no clean copy of {examined.subject.format} is written; correct its files, or export COCO")
    places = _places(examined, parts)
    with new_folder(out):
        for display, name in places.items():
            _write(out, display, read_bytes(store, name))
        if examined.subject.layout is not None:
            writers[examined.subject.format](examined, parts, out, changes)
        if examined.subject.kind == "classes" and examined.subject.format != "class folders":
            _write_table(examined.subject, parts, out)
        if examined.subject.masks is not None:
            write_masks(examined.subject, parts, out, _write)
    return dict(changes)


def _write_table(subject: CheckedDataset, parts: dict[str, list[str]], out: Path) -> None:
    """The classes and splits of pictures that are not those of their folders."""
    rows = csv.writer(text := io.StringIO(), lineterminator="\n")
    rows.writerow(["file_name", "label", *(["split"] if any(parts) else [])])
    for part in subject.parts:
        for name in parts[part.name]:
            rows.writerow([subject.display_name(name), part.label_of[name], *filter(None, [part.name])])
    _write(out, "labels.csv", text.getvalue().encode())


def check_empty(out: Path, source: Path | None) -> None:
    """Raises DataError if a clean copy of `source` cannot be written to `out`. source: None if it is not a folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{escape(out)} is not an empty folder; a clean copy is written to a new one")
    if source is not None:
        check_outside_data(out, source)


def _kept(examined: Examination, part: CheckedSplit, changes: Counter[str]) -> list[str]:
    """The pictures of a part to copy."""
    kept, held = [], split_role(part.name) in ("val", "test")
    for name in part.pictures:
        kind = "picture size" if (part.name, name) in examined.other_size else examined.unusable.get(name)
        if kind is None or (kind == "leak" and held):
            kept.append(name)
        else:
            changes[f"{kind}: left out"] += 1
    return kept


def _places(examined: Examination, parts: dict[str, list[str]]) -> dict[str, str]:
    """Name in the copy -> picture. Raises DataError for two pictures with one name."""
    places: dict[str, str] = {}
    for name in dict.fromkeys(name for names in parts.values() for name in names):
        other = places.setdefault(examined.subject.display_name(name), name)
        if other != name:
            place = escape(examined.subject.display_name(name))
            text = f"{escape(other)} and {escape(name)} would both be copied to {place}; nothing was written: rename "
            raise DataError(f"{text}one of their folders")
    return places


def _write(out: Path, name: str, data: bytes) -> None:
    """Raises DataError for a path that was written before."""
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise DataError(f"{escape(path)} would be written twice: two files of the set go by this name") from None


def _repairs(
    examined: Examination, split: str, picture: AnnotatedPicture, changes: Counter[str]
) -> dict[int, Box | None]:
    """row -> the new box, None to leave it out; without the rows that do not change."""
    found: dict[int, Box | None] = {}
    for each, (kind, verdict) in zip(picture.objects, examined.objects[split, picture.name], strict=True):
        if kind in DROPPED:
            found[each.row] = None
            changes[f"{kind}: left out"] += 1
        elif kind == "box beyond":
            found[each.row] = verdict.box
            changes[f"{kind}: cut"] += 1
    return found


def _annotated(examined: Examination, parts: dict[str, list[str]]) -> Iterator[tuple[str, AnnotatedPicture]]:
    """The pictures to copy that have an annotation file of their own, each file once, with a split that they are in."""
    done = {""}
    for part in examined.subject.parts:
        assert part.annotations is not None
        kept = set(parts[part.name])
        for picture in part.annotations.pictures:
            if picture.name in kept and picture.where not in done:
                done.add(picture.where)
                yield part.name, picture


def _write_voc(examined: Examination, parts: dict[str, list[str]], out: Path, changes: Counter[str]) -> None:
    subject, layout = examined.subject, examined.subject.layout
    assert isinstance(layout, voc.VOC)
    keys: dict[str, str] = {}  # picture -> name in lists
    for split, picture in _annotated(examined, parts):
        file = join_path(subject.root, picture.where)
        folder = next(each for each in layout.folders.values() if not each or file.startswith(f"{each}/"))
        keys[picture.name] = str(PurePosixPath(relative_to(folder, file)).with_suffix(""))
        data = read_bytes(subject.store, file)
        repairs = _repairs(examined, split, picture, changes)
        _write(out, picture.where, _repaired_xml(data, repairs, layout.origin) if repairs else data)
    for name, file in layout.lists.items():
        if name in parts:
            text = "".join(f"{keys[each]}\n" for each in parts[name])
            _write(out, subject.display_name(file), text.encode())


def _repaired_xml(data: bytes, repairs: dict[int, Box | None], origin: CoordinateOrigin) -> bytes:
    root = fromstring(data)
    for row, each in enumerate(root.findall("object")):
        box = repairs.get(row, ())
        if box is None:
            root.remove(each)
        elif box:
            for key, value in zip(("xmin", "ymin", "xmax", "ymax"), origin.from_continuous(box), strict=True):
                place = each.find(f"bndbox/{key}")
                assert place is not None
                place.text = f"{value:g}"
    return tostring(root, encoding="utf-8")


def _write_yolo(examined: Examination, parts: dict[str, list[str]], out: Path, changes: Counter[str]) -> None:
    subject, layout = examined.subject, examined.subject.layout
    assert isinstance(layout, yolo.YOLO)
    for split, picture in _annotated(examined, parts):
        _write(out, picture.where, _repaired_lines(examined, split, picture, changes).encode())
    names = layout.sheet.names
    if names is None:
        return
    if not layout.splits and list(names) == list(range(len(names))):
        _write(out, "classes.txt", "".join(f"{name}\n" for name in names.values()).encode())
        return
    # written anew: the original may have paths of another machine, or lists
    yaml_file = "".join(f"{split_role(name) or name}: {name}.txt\n" for name in parts if name)
    yaml_file += "names:\n" + "".join(f"  {i}: {json.dumps(n, ensure_ascii=False)}\n" for i, n in names.items())
    if layout.sheet.keypoints:
        yaml_file += f"kpt_shape: {list(layout.sheet.keypoints)}\n"
    _write(out, "data.yaml", yaml_file.encode())
    for name, pictures in parts.items():
        if name:
            _write(out, f"{name}.txt", "".join(f"./{subject.display_name(each)}\n" for each in pictures).encode())


def _repaired_lines(examined: Examination, split: str, picture: AnnotatedPicture, changes: Counter[str]) -> str:
    """The lines of valid objects."""
    layout = examined.subject.layout
    assert isinstance(layout, yolo.YOLO)
    file = join_path(examined.subject.root, picture.where)
    lines = read_text(examined.subject.store, file).splitlines()
    repairs = _repairs(examined, split, picture, changes)
    kept = []
    for each in picture.objects:
        line = lines[each.row].strip()
        box = repairs.get(each.row, ())
        if box:
            left, top, right, bottom = box
            shares = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
            words = line.split()
            first = layout.columns.box_at.get(len(words), 1)
            if each.shape:  # a polygon: clip its corners
                shares = [min(max(to_float(word), 0.0), 1.0) for word in words[1:]]
            line = " ".join([*words[:first], *(f"{share:.8f}" for share in shares), *words[first + len(shares) :]])
        if box is not None:
            kept.append(f"{line}\n")
    return "".join(kept)


def _write_coco(examined: Examination, parts: dict[str, list[str]], out: Path, changes: Counter[str]) -> None:
    subject, layout = examined.subject, examined.subject.layout
    assert isinstance(layout, coco.COCO)
    for part in subject.parts:
        assert part.annotations is not None
        file = layout.files[part.name]
        data = dict(layout.document(file))
        kept = set(parts[part.name])
        pictures = [each for each in part.annotations.pictures if each.name in kept]
        data.update(_repaired_coco(examined, part, data, pictures, changes))
        _write(out, subject.display_name(file), json.dumps(data).encode())


def _repaired_coco(
    examined: Examination, part: CheckedSplit, data: dict, pictures: list[AnnotatedPicture], changes: Counter[str]
) -> dict:
    """images, annotations and relations renumbered from 1; file names do not change."""
    assert part.annotations is not None
    rows, names = data["annotations"], part.annotations.relations
    images: list[dict] = []
    annotations: list[dict] = []
    relations: dict[str, list[dict]] = {}
    foreign = any(not each.name.endswith(str(data["images"][each.row].get("file_name"))) for each in pictures)
    for i, picture in enumerate(pictures, start=1):
        name = {"file_name": examined.subject.display_name(picture.name)} if foreign else {}
        images.append({**data["images"][picture.row], "id": i, **name})
        repairs = _repairs(examined, part.name, picture, changes)
        new_ids: dict[int, int] = {}
        for place, each in enumerate(picture.objects):
            box = repairs.get(each.row, ())
            if box is None:
                continue
            annotation = _as_read(rows[each.row], each, part.annotations.reread)
            annotation |= {"id": len(annotations) + 1, "image_id": i}
            if box:
                left, top, right, bottom = box
                annotation.update(bbox=[left, top, right - left, bottom - top], area=(right - left) * (bottom - top))
                annotation.pop("segmentation", None)
            if (part.name, picture.name, each.row) in examined.broken_masks and annotation.pop("segmentation", None):
                changes["mask broken: left out"] += 1
            new_ids[place] = annotation["id"]
            annotations.append(annotation)
        relations[str(i)] = [
            {"subject": new_ids[s], "relation": names[r], "object": new_ids[o]}
            for s, r, o in picture.relations
            if s in new_ids and o in new_ids
        ]
    result: dict = {"images": images, "annotations": annotations}
    return result | ({"relations": relations, "relation_names": names} if names else {})


def _as_read(row: dict, each: AnnotatedObject, reread: bool) -> dict:
    """A COCO annotation with the box and the outline that it was read as. reread: otherwise than COCO defines."""
    left, top, right, bottom = each.box
    bbox = [left, top, right - left, bottom - top]
    result = dict(row)
    old = row.get("bbox")
    if not isinstance(old, list) or len(old) != 4 or not np.allclose([to_float(v) for v in old], bbox, equal_nan=True):
        result |= {"bbox": bbox, "area": row.get("area", bbox[2] * bbox[3])}
    if each.crowd != bool(row.get("iscrowd")):
        result["iscrowd"] = int(each.crowd)
    if reread and isinstance(each.shape, list) and not any(isinstance(part, PolygonWithHoles) for part in each.shape):
        result["segmentation"] = each.shape
    return result


def _check_form(examined: Examination) -> None:
    """Raises DataError for boxes of VOC and YOLO that were read otherwise than the format defines."""
    for part in examined.subject.parts:
        if part.annotations is not None and part.annotations.reread and examined.subject.format != "COCO":
            raise DataError(
                f"{part.annotations.title} has boxes that are written otherwise than {examined.subject.format} "
                "defines, and no clean copy of such a set is written; write its boxes anew"
            )
