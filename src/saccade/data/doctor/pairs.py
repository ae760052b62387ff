"""What is wrong with pairs of pictures, in two folders or side by side, and with style sets."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from saccade.data.doctor.findings import Findings, Report, Split
from saccade.data.doctor.scan import ScannedImage, copies, scan_images
from saccade.data.files import escape
from saccade.data.pairs import PairSet, SideBySide, StyleSet, TwoFolders
from saccade.data.pairs.sets import same_aspect
from saccade.data.pairs.splits import pictures_by_stem
from saccade.data.store import open_store

Seen = dict[str, ScannedImage]


def examine_pairs(source: Path, target: Path) -> tuple[Report, PairSet]:
    """Names without a partner, and pairs that do not fit, of two folders; and the pairs. Raises DataError as
    `TwoFolders`."""
    start, findings = time.perf_counter(), Findings()
    pairs = TwoFolders(source, target, _any_caption)
    stores = open_store(source), open_store(target)
    first, second = (pictures_by_stem(store) for store in stores)
    for store, own, other in ((stores[0], first, second), (stores[1], second, first)):
        findings.extend("pair alone", (f"{store.title}: {escape(stem)}" for stem in own if stem not in other))
    seen = [scan_images(store, list(names.values())) for store, names in zip(stores, (first, second), strict=True)]
    for store, scanned in zip(stores, seen, strict=True):
        _add_pictures(scanned, f"{store.title}: ", findings)
    for stem in pairs.stems:
        _compare(escape(stem), seen[0][first[stem]], seen[1][second[stem]], findings)
    every = [each for part in seen for each in part.values()]
    return _report(pairs.title, "pairs in two folders", pairs, every, findings, start), pairs


def examine_side_by_side(folder: Path) -> tuple[Report, PairSet]:
    """Pictures that cannot be halved; and the pairs. Raises DataError as `SideBySide`."""
    start, findings = time.perf_counter(), Findings()
    pairs, store = SideBySide(folder, "AtoB", _any_caption), open_store(folder)
    seen = scan_images(store, list(pictures_by_stem(store).values()))
    _add_pictures(seen, "", findings)
    for name, each in seen.items():
        width = _upright(each)[0]
        if not each.error and width % 2:
            findings.add("pair odd", f"{escape(name)}: {width} pixels wide")
    return _report(pairs.title, "pairs side by side", pairs, [*seen.values()], findings, start), pairs


def examine_styles(source: Path) -> tuple[Report, StyleSet]:
    """Names that one style alone has, styles that cannot be learnt; and the set. Raises DataError as `StyleSet`, such
    as for a single style."""
    start, findings = time.perf_counter(), Findings()
    dataset, store = StyleSet(source, _any_caption), open_store(source)
    seen = scan_images(store, dataset.names)
    _add_pictures(seen, "", findings)
    several = set(dataset.drawn_by_several())
    findings.extend(
        "style alone", (escape(n) for n, s in zip(dataset.names, dataset.stems, strict=True) if s not in several)
    )
    counts = Counter(dataset.styles)
    findings.extend("style small", (escape(style) for style, count in counts.items() if count < 2))
    captioned = Counter(dataset.styles[i] for i in range(len(dataset)) if dataset.captions(i))
    report = _report(store.title, "styles", dataset, [*seen.values()], findings, start)
    report.splits = {style: Split(count, {}, captions=captioned[style]) for style, count in counts.items()}
    return report, dataset


def _compare(name: str, source: ScannedImage, target: ScannedImage, findings: Findings) -> None:
    if source.error or target.error:
        return
    a, b = _upright(source), _upright(target)
    text = f"{name}: {a[0]} x {a[1]} and {b[0]} x {b[1]}"
    if not same_aspect(a, b):
        findings.add("pair aspect", text)
    elif a != b:
        findings.add("pair size", text)
    if source.digest == target.digest:
        findings.add("pair equal", name)


def _add_pictures(seen: Seen, where: str, findings: Findings) -> None:
    """Unreadable pictures and copies."""
    findings.extend("picture unreadable", (f"{where}{each.error}" for each in seen.values() if each.error))
    for group in copies(seen):
        first = escape(group[0])
        findings.extend("picture repeated", (f"{where}{escape(name)} = {first}" for name in group[1:]))


def _report(
    label: str, format: str, dataset: PairSet | StyleSet, seen: Sequence[ScannedImage], findings: Findings, start: float
) -> Report:
    findings.extend("caption unused", dataset.skipped.values())
    findings.extend("assumed", dataset.notes)
    captions = sum(len(dataset.captions(i)) for i in range(len(dataset)))
    sizes = Counter(each.size for each in seen if not each.error)
    report = Report(label, format, {"pairs": Split(len(dataset), {}, captions=captions)}, findings.all())
    report.sizes, report.seconds = dict(sizes.most_common()), time.perf_counter() - start
    return report


def _upright(seen: ScannedImage) -> tuple[int, int]:
    """Width and height."""
    height, width = seen.size
    return (height, width) if seen.orientation > 4 else (width, height)


def _any_caption(text: str) -> None:
    """Every caption is accepted."""
