"""Check a data set: which problems it has, how often and where."""

import os
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from saccade.data.captions.annotations import Captions
from saccade.data.dataset import PictureSet, alike_classes
from saccade.data.doctor.boxes import check_picture_boxes
from saccade.data.doctor.dataset import CheckedDataset, CheckedSplit, open_checked
from saccade.data.doctor.findings import CHECKS, MANY_OBJECTS, Findings, Report, Split
from saccade.data.doctor.masks import examine_masks
from saccade.data.doctor.scan import ScannedFilm, ScannedImage, add_notes, copies, scan_films, scan_images, similar
from saccade.data.exif import ExifPolicy
from saccade.data.files import escape
from saccade.data.folders import ImageFolder
from saccade.data.objects.annotations import AnnotatedPicture
from saccade.data.split_names import is_trainval, split_role, splits_by_role
from saccade.data.store import relative_to
from saccade.errors import DataError
from saccade.ops.words import split_words

RARE = 10
BALANCE = 20
SMALL = 1000
HELD = ("val", "test")


@dataclass
class Examination:
    """A report, with the details that a clean copy needs.

    objects: (split, picture) -> kind of finding ("" for none) and box check of each object; splits may annotate a
    picture differently. unusable: pictures that a clean copy leaves out -> kind of finding. other_size: (split,
    picture) with another size than annotated. broken_masks: (split, picture, row) of objects with an invalid
    segmentation."""

    subject: CheckedDataset
    report: Report
    seen: dict[str, ScannedImage]
    objects: dict[tuple[str, str], list] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    other_size: set[tuple[str, str]] = field(default_factory=set)
    broken_masks: set[tuple[str, str, int]] = field(default_factory=set)


def examine(source: str | os.PathLike[str], split: str | None = None) -> Examination:
    """Parse all annotations and decode all pictures of a set, or of one of its splits.

    Raises DataError for an unknown kind of set, files that cannot be opened, and a split that does not exist."""
    start = time.perf_counter()
    findings = Findings()
    subject = open_checked(source, split, findings)
    names = list(dict.fromkeys(name for part in subject.parts for name in part.pictures))
    if subject.parts and not names:
        findings.add("no pictures", subject.store.title)
    seen: dict[str, ScannedImage] = {}
    seen.update(scan_films(subject.store, names) if subject.kind == "films" else scan_images(subject.store, names))
    sizes = Counter(each.size for each in seen.values() if not each.error)
    report = Report(subject.store.title, subject.format, {}, [], dict(sizes.most_common()))
    report.items = "films" if subject.kind == "films" else "pictures"
    result = Examination(subject, report, seen)
    for name, each in seen.items():
        if each.error:
            findings.add("picture unreadable", f"{subject.display_name(name)}: {each.error}")
            result.unusable[name] = "picture unreadable"
    add_notes(seen, findings)
    files: dict[str, str] = {}
    for part in subject.parts:
        if part.annotations is not None:
            _examine_annotations(result, part, files, findings)
        if part.captions is not None:
            report.splits[part.name or "all"] = examine_captions(part.captions, seen, findings)
        elif part.masked is not None:
            report.splits[part.name or "all"], bad = examine_masks(part.masked, seen, findings)
            result.unusable.update({name: kind for name, kind in bad.items() if name not in result.unusable})
        else:
            report.splits[part.name or "all"] = Split(len(part.pictures), _count(result, part))
    _examine_copies(result, findings)
    _examine_classes(subject.parts, list(report.splits.values()), findings)
    report.findings = findings.all()
    report.seconds = time.perf_counter() - start
    return result


def open_parts(examined: Examination) -> dict[str, PictureSet | ImageFolder]:
    """Name of each split -> the split as training reads it, that for training first, without those of which nothing can
    be used."""
    sets: dict[str, PictureSet | ImageFolder] = {}
    for part in sorted(examined.subject.parts, key=lambda part: split_role(part.name) != "train"):
        with suppress(DataError):  # is among the findings
            sets[part.name or "all"] = part.open()
    return sets


def _examine_annotations(result: Examination, part: CheckedSplit, files: dict[str, str], findings: Findings) -> None:
    """files: picture -> its first annotation file, updated here."""
    annotations, subject = part.annotations, result.subject
    assert annotations is not None
    for problem in annotations.problems:
        findings.add(problem.kind, problem.text)
    findings.extend("picture unlabelled", map(subject.display_name, annotations.unlabelled))
    crowds, others = (
        Counter(
            annotations.classes[each.label] for p in annotations.pictures for each in p.objects if each.crowd == crowd
        )
        for crowd in (True, False)
    )
    findings.extend("class of crowds", (f"{name}: {count}" for name, count in crowds.items() if not others[name]))
    exif = ExifPolicy("auto", subject.store, [(picture.name, picture.size) for picture in annotations.pictures])
    for picture in annotations.pictures:
        display = subject.display_name(picture.name)
        if files.setdefault(picture.name, picture.where) != picture.where:  # the same place in two files counts twice
            display = f"{display} in {picture.where}"
        seen = result.seen[picture.name]
        if not seen.error and picture.objects:
            turned = exif.turn(seen.orientation, seen.size, picture.size).finding("picture turned")
            findings.extend(turned, [display] if turned else ())
        _examine_picture(result, (part.name, picture.name), display, picture, annotations.normalized, findings)


def _examine_picture(
    result: Examination,
    key: tuple[str, str],
    display: str,
    picture: AnnotatedPicture,
    normalized: bool,
    findings: Findings,
) -> None:
    seen, size = result.seen[picture.name], None
    if not seen.error:
        upright = seen.size[::-1] if seen.orientation > 4 else seen.size
        if picture.size is not None and picture.size not in (seen.size, upright):
            (h, w), (rows, columns) = picture.size, seen.size
            findings.add("picture size", f"{display}: {columns} x {rows}, annotated as {w} x {h}")
            result.other_size.add(key)
        size = picture.size or upright
    if (count := sum(not each.crowd for each in picture.objects)) > MANY_OBJECTS:
        findings.add("objects many", f"{display}: {count}")
    if not picture.objects and picture.where:
        findings.add("picture empty", display)
    result.objects[key] = check_picture_boxes(picture, size, normalized)
    for each, (kind, verdict) in zip(picture.objects, result.objects[key], strict=True):
        if kind:
            text = f": {verdict.text}" if verdict.text else ""
            findings.add(kind, f"{display}, {each.where}{text}")
        if each.fault:
            findings.add("mask broken", f"{display}, {each.where}: {each.fault}")
            result.broken_masks.add((*key, each.row))
        if each.id == 0:
            findings.add("id zero", f"{display}, {each.where}")


def _count(result: Examination, part: CheckedSplit) -> dict[str, int]:
    """Valid examples of each class."""
    counts = dict.fromkeys(part.classes, 0)
    if part.annotations is None:
        for label in part.label_of.values():
            counts[label] += 1
        return counts
    for picture in part.annotations.pictures:
        for each, (kind, _) in zip(picture.objects, result.objects[part.name, picture.name], strict=True):
            if not kind or CHECKS[kind].severity != "error":
                counts[part.classes[each.label]] += 1
    return counts


def _examine_copies(result: Examination, findings: Findings) -> None:
    subject = result.subject
    roles: dict[str, set[str | None]] = {}
    divided = "val" in splits_by_role([part.name for part in subject.parts])  # trainval without val
    for part in subject.parts:
        role = None if divided and is_trainval(part.name) else split_role(part.name)
        for name in part.pictures:
            roles.setdefault(name, set()).add(role)
    label_of = {name: label for part in subject.parts for name, label in part.label_of.items()}

    def leaks(*names: str) -> bool:
        met = {each for name in names for each in roles[name]}
        return "train" in met and any(each in met for each in HELD)

    for name in roles:
        if leaks(name):
            findings.add("leak", f"{subject.display_name(name)} is in both lists")
            result.unusable.setdefault(name, "leak")
    for group in copies(result.seen):
        display = " = ".join(map(subject.display_name, group))
        if len({label_of.get(name) for name in group}) > 1:
            findings.add("picture in two classes", display)
            result.unusable.update(dict.fromkeys(group, "picture in two classes"))
        elif leaks(*group):
            findings.add("leak", display)
            trained = [name for name in group if "train" in roles[name]]
            result.unusable.update({name: "leak" for name in trained if name not in result.unusable})
        else:
            findings.extend(
                "picture repeated", (f"{subject.display_name(n)} = {subject.display_name(group[0])}" for n in group[1:])
            )
            result.unusable.update({name: "picture repeated" for name in group[1:] if name not in result.unusable})
    for one, other in similar(result.seen):
        kind = "similar leak" if leaks(one, other) else "picture similar"
        findings.add(kind, f"{subject.display_name(one)} ~ {subject.display_name(other)}")


def _examine_classes(parts: list[CheckedSplit], splits: list[Split], findings: Findings) -> None:
    if not parts:
        return
    for part in parts[1:]:
        extra, lacking = (
            sorted(set(a) - set(b)) for a, b in ((part.classes, parts[0].classes), (parts[0].classes, part.classes))
        )
        if extra or lacking:
            text = " and ".join(
                f"{word} {', '.join(names)}" for word, names in (("adds", extra), ("lacks", lacking)) if names
            )
            findings.add("classes differ", f"{part.name or 'all'} {text}")
    total: Counter[str] = Counter()
    for each in splits:
        total.update(each.objects)
    findings.extend("class unused", (name for name, count in total.items() if not count))
    findings.extend("class alike", alike_classes(list(total)))
    train = next((s for p, s in zip(parts, splits, strict=True) if split_role(p.name) == "train"), splits[0])
    there = {name: count for name, count in sorted(train.objects.items(), key=lambda item: item[1]) if count}
    findings.extend("class rare", (f"{name}: {count}" for name, count in there.items() if count < RARE))
    if train.pixels is not None:
        whole = sum(train.pixels.values())
        few = sorted((count, name) for name, count in train.pixels.items() if 0 < count * SMALL < whole)
        findings.extend("class small", (f"{name}: {count / whole:.4%}" for count, name in few))
        there = {}
    most = max(there.values(), default=0)
    small = {name: count for name, count in there.items() if count * BALANCE < most}
    findings.extend("class balance", (f"{name}: {count} of {most}" for name, count in small.items()))
    for part, each in zip(parts, splits, strict=True):
        absent = [name for name, count in each.objects.items() if count and not train.objects.get(name)]
        if split_role(part.name) in HELD:
            findings.extend("class absent", (f"{name} in {part.name}" for name in absent))


LONG = 64  # words of a caption; CLIP reads 77 tokens, SigLIP 64


def examine_captions(captions: Captions, seen: Mapping[str, ScannedImage], findings: Findings) -> Split:
    """Add what is wrong with the captions of a split to `findings`. seen: name -> picture or film."""
    for problem in captions.problems:
        findings.add(problem.kind, problem.text)
    findings.extend("picture uncaptioned", (escape(relative_to(captions.root, name)) for name in captions.unlabelled))
    counts: Counter[str] = Counter(caption for picture in captions.pictures for caption in picture.captions)
    findings.extend("caption shared", (f"{_start(text)}: {n} pictures" for text, n in counts.items() if n > 1))
    for picture in captions.pictures:
        for caption in picture.captions:
            words = len(split_words(caption)) if len(caption) > LONG else 0
            if words > LONG:
                name = escape(relative_to(captions.root, picture.name))
                findings.add("caption long", f"{name}: {_start(caption)}, {words} words")
    films = [seen[name] for name in (*(each.name for each in captions.pictures), *captions.unlabelled)]
    seconds = [each.seconds for each in films if isinstance(each, ScannedFilm)]
    length = float(sum(seconds)) if seconds else None
    return Split(len(films), {}, captions=sum(counts.values()), seconds=length)


def _start(text: str) -> str:
    return f"'{escape(text[:60])}{'…' if len(text) > 60 else ''}'"
