"""Check the masks of a set, count their classes, and write a clean copy of them."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saccade.data.doctor.dataset import CheckedDataset
from saccade.data.doctor.findings import Findings, Split
from saccade.data.doctor.scan import ScannedImage
from saccade.data.exif import ExifPolicy
from saccade.data.segments import IGNORE_INDEX
from saccade.data.segments.decode_mask import MaskSizeError
from saccade.data.segments.files import MaskedPicture, MaskedSet, SegmentFiles, exif_policy, read_upright
from saccade.data.segments.label_map import UnknownClassError
from saccade.data.segments.layout import lines_of
from saccade.data.segments.plausibility import MaskCensus, find_drawn_pictures
from saccade.data.store import read_bytes, relative_to
from saccade.data.threads import map_threads
from saccade.errors import DataError


@dataclass(frozen=True)
class MaskScan:
    """kind, text: what is wrong, "" if nothing. counts: number of pixels of each index 0..255. turned: kind of finding
    on EXIF, "" for none."""

    kind: str = ""
    text: str = ""
    counts: np.ndarray | None = None
    turned: str = ""
    note: str = ""


def examine_masks(
    masked: MaskedSet, seen: Mapping[str, ScannedImage], findings: Findings
) -> tuple[Split, dict[str, str]]:
    """Decode all masks of the readable pictures of a split. seen: name -> picture.

    Returns the numbers of pictures and pixels of each class, and the pictures with invalid masks -> kind of finding."""
    for problem in masked.problems:
        findings.add(problem.kind, problem.text)
    readable = [each for each in masked.pictures if not seen[each.name].error]
    exif = exif_policy(masked)
    census = MaskCensus(masked.classes)
    scans = map_threads(lambda each: _scan_mask(masked, each, seen[each.name], exif, census), readable, "masks")
    pictures, bad = Counter[int](), dict[str, str]()
    pixels = np.zeros(256, np.int64)
    for each, mask in zip(readable, scans, strict=True):
        display = relative_to(masked.root, each.name)
        if mask.counts is None:
            findings.add(mask.kind, mask.text)
            bad[each.name] = mask.kind
            continue
        if mask.counts[IGNORE_INDEX] == mask.counts.sum():
            findings.add("mask ignored", display)
        if mask.turned:
            findings.add(mask.turned, display)
        if mask.note:
            findings.add("assumed", mask.note)
        pixels += mask.counts
        pictures.update(np.flatnonzero(mask.counts).tolist())
    _examine_census(masked, census, findings)
    names = list(enumerate(masked.classes))
    split = Split(
        len(masked.pictures),
        {name: pictures[i] for i, name in names},
        {name: int(pixels[i]) for i, name in names},
        int(pixels[IGNORE_INDEX]),
    )
    return split, bad


def _examine_census(masked: MaskedSet, census: MaskCensus, findings: Findings) -> None:
    """Check what the masks of a whole split have in common."""
    nothing = census.nothing_to_learn(masked.title)
    if nothing and census.masks > 1:
        findings.add("mask of one class", nothing)
        return
    if census.alike:
        findings.add("mask alike", f"{masked.title}: all {census.masks} masks")
    with suppress(DataError):  # no usable picture, which is among the findings
        findings.extend("picture drawn", find_drawn_pictures(SegmentFiles(masked)))


def _scan_mask(
    masked: MaskedSet, picture: MaskedPicture, seen: ScannedImage, exif: ExifPolicy, census: MaskCensus
) -> MaskScan:
    try:
        indices, turn, note = read_upright(masked, picture, seen.size, seen.orientation, exif)
    except MaskSizeError as error:
        return MaskScan("mask size", str(error))
    except UnknownClassError as error:
        return MaskScan("mask value", str(error))
    except DataError as error:
        return MaskScan("mask unreadable", str(error))
    census.add(indices)
    return MaskScan("", "", np.bincount(indices.ravel(), minlength=256), turn.finding("mask turned"), note)


def write_masks(
    subject: CheckedDataset, parts: Mapping[str, list[str]], out: Path, write: Callable[[Path, str, bytes], None]
) -> None:
    """Copy the masks of the kept pictures of each part, the lists of classes, and the remaining lines of lists of
    splits. write: writes a file to `out`."""
    layout = subject.masks
    assert layout is not None
    masks: dict[str, None] = {}
    lines: dict[str, set[str]] = {}
    for part in subject.parts:
        assert part.masked is not None
        names = set(parts[part.name])
        kept = [each for each in part.masked.pictures if each.name in names]
        masks.update(dict.fromkeys(name for each in kept for name in each.files))
        lines[part.name] = {each.line for each in kept}
    for name in masks:
        write(out, subject.display_name(name), read_bytes(subject.store, name))
    for listed in layout.class_lists:
        write(out, subject.display_name(listed.file), read_bytes(subject.store, listed.file))
    for split, files in layout.lists.items():
        for file in files if split in lines else ():
            left = dict.fromkeys(line for line in lines_of(subject.store, file) if line in lines[split])
            write(out, subject.display_name(file), "".join(f"{line}\n" for line in left).encode())
