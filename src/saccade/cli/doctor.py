"""`saccade doctor`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts
from rich.table import Table
from rich.text import Text

from saccade.cli import console
from saccade.cli.console import Json
from saccade.cli.interrupt import import_library
from saccade.errors import UsageError, printable

if TYPE_CHECKING:
    from saccade.data.doctor.findings import Report, Split

COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
MAX_CLASSES = 12


def doctor(
    data: Path | None = None,
    *,
    pairs: Annotated[tuple[Path, ...], cyclopts.Parameter(consume_multiple=True, negative_iterable=())] = (),
    split_at: Literal["middle"] | None = None,
    styles: Path | None = None,
    split: str | None = None,
    as_json: Json = False,
    fix: Path | None = None,
) -> None:
    """Say what is wrong with a data set, how often and where: pictures in one folder a class, with boxes as COCO, VOC
    or YOLO, with masks, with captions, in pairs, or in several styles.

    Every picture is decoded, every annotation read: unreadable files, bad boxes, copies, pictures both for training
    and for validation, classes. The exit code is 1 if there are errors, 0 if there are none; with --fix,
    the clean copy is examined, too, and the errors left in it count.

    Examples:

        saccade doctor pets/

        saccade doctor blood.tar --json

        saccade doctor blood/ --fix blood-clean/

        saccade doctor --pairs sketches/ photos/

        saccade doctor --styles emoji/

    Parameters
    ----------
    data
        Folder or tar, or a COCO .json, a YOLO data.yaml or a table of captions.
    pairs
        Two folders of pictures with equal names, as `saccade train generate` reads them; one with --split-at.
    split_at
        middle: each picture of the one folder of --pairs holds both pictures side by side.
    styles
        Folder with a folder for each style, which hold the same content under equal names.
    split
        Examine one split only.
    as_json
        The whole report as JSON.
    fix
        A new folder for a clean copy in the same format, without what is bad. The set itself is not changed.
    """
    _check_together(data, pairs, split_at, styles, split, fix)
    if data is not None:
        console.check_data(data)
    import_library()
    from saccade.data.doctor import CHECKS, check_empty, examine, write_clean

    if data is None:
        _finish(_examine_pictures(pairs, styles), as_json)
        return
    if fix is not None:
        check_empty(fix, data)
    examined = examine(data, split)
    report, changes, left = examined.report, {}, examined.report
    if fix is not None:
        changes = write_clean(examined, fix)
        left = examine(fix).report
    if as_json:
        fixed = {"fixed": {"to": str(fix), "sound": left.sound, **changes}} if fix else {}
        print(json.dumps(report.to_dict() | fixed, ensure_ascii=False))
    else:
        _show(report, {kind: (each.what, each.advice) for kind, each in CHECKS.items()})
        if fix is not None:
            done = ", ".join(f"{count} x {change}" for change, count in changes.items()) or "nothing to change"
            console.line(console.stdout(), f"A clean copy is in {fix} ({done}).")
            for each in left.findings:
                if each.severity == "error":
                    console.line(console.stdout(), (f"still in it: {each.count} {CHECKS[each.kind].what}", "red"))
    _exit(left)


def _check_together(
    data: Path | None,
    pairs: tuple[Path, ...],
    split_at: str | None,
    styles: Path | None,
    split: str | None,
    fix: Path | None,
) -> None:
    """Raises UsageError for options that do not go together."""
    given = [name for name, value in (("DATA", data), ("--pairs", pairs), ("--styles", styles)) if value]
    if len(given) != 1:
        found = f"{' and '.join(given)} are given" if given else "there is nothing to examine"
        raise UsageError(f"{found}: give one of DATA, --pairs and --styles")
    if data is None and (split is not None or fix is not None):
        raise UsageError(f"{'--split' if fix is None else '--fix'} is not for pairs and styles; leave it out")
    if split_at is not None and not pairs:
        raise UsageError("--split-at says how --pairs are read: give their folder, or leave it out")
    if pairs and len(pairs) != (expected := 1 if split_at else 2):
        raise UsageError(
            f"--pairs names {len(pairs)}; {expected} expected {'with' if split_at else 'without'} --split-at"
        )


def _examine_pictures(pairs: tuple[Path, ...], styles: Path | None) -> "Report":
    """Of --pairs and --styles."""
    from saccade.data.doctor import examine_pairs, examine_side_by_side, examine_styles

    if styles is not None:
        return examine_styles(styles)
    return examine_side_by_side(pairs[0]) if len(pairs) == 1 else examine_pairs(*pairs)


def _finish(report: "Report", as_json: bool) -> None:
    """Print a report, and exit with 1 if there are errors."""
    from saccade.data.doctor import CHECKS

    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        _show(report, {kind: (each.what, each.advice) for kind, each in CHECKS.items()})
    _exit(report)


def _exit(report: "Report") -> None:
    if not report.sound:
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
        sys.exit(1)


def _show(report: "Report", words: dict[str, tuple[str, str]]) -> None:
    stdout = console.stdout()
    pictures = sum(report.sizes.values())
    console.line(
        stdout, (report.source, "bold"), f": {report.format}, {pictures} readable pictures, {report.seconds:.1f} s"
    )
    stdout.print(_splits(report))
    console.line(stdout, _sizes(report))
    stdout.print()
    for each in report.findings:
        what, advice = words[each.kind]
        mark = (f"{each.severity:8}", COLOURS[each.severity])
        console.line(stdout, mark, (f"{each.count:6} ", "bold"), f"{what}: {advice}")
        for place in each.places:
            console.line(stdout, (f"{'':15} {place}", "dim"))
        if each.count > len(each.places):
            console.line(stdout, (f"{'':15} and {each.count - len(each.places)} more", "dim"))
    counts = [(s, sum(each.severity == s for each in report.findings)) for s in COLOURS]
    said = ", ".join(f"{count} kind{'s' * (count > 1)} of {severity}" for severity, count in counts if count)
    console.line(stdout, (said or "nothing is wrong with it", "green" if report.sound else "red"))


def _splits(report: "Report") -> Table:
    """Examples of each class a split; of many classes the most and the least frequent."""
    splits = report.splits
    total: dict[str, int] = {}
    for split in splits.values():
        for name, count in split.objects.items():
            total[name] = total.get(name, 0) + count
    names = sorted(total, key=lambda name: -total[name])
    said = {name: "" if split.pixels is None else ": pictures, pixels" for name, split in splits.items()}
    heads = [printable(name + end) for name, end in said.items()]
    table = Table("", *heads, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("pictures", *(str(split.pictures) for split in splits.values()), style="bold")
    if any(split.captions is not None for split in splits.values()):
        table.add_row("captions", *(str(split.captions) for split in splits.values()))
    half = MAX_CLASSES // 2
    shown = names if len(names) <= MAX_CLASSES else names[:half] + names[-half:]
    for i, name in enumerate(shown):
        if len(names) > MAX_CLASSES and i == half:
            table.add_row(Text(f"… {len(names) - MAX_CLASSES} more classes", style="dim"))
        table.add_row(Text(printable(name)), *(_examples(split, name) for split in splits.values()))
    if any(split.ignored for split in splits.values()):
        table.add_row(Text("ignored", style="dim"), *(_share(split, split.ignored or 0) for split in splits.values()))
    return table


def _examples(split: "Split", name: str) -> str:
    """How many there are of a class; with masks, in how many pictures it is and its share of the pixels."""
    count = str(split.objects.get(name, 0))
    return count if split.pixels is None else f"{count}  {_share(split, split.pixels.get(name, 0))}"


def _share(split: "Split", pixels: int) -> str:
    whole = sum((split.pixels or {}).values()) + (split.ignored or 0)
    return f"{pixels / max(1, whole):7.2%}"


def _sizes(report: "Report") -> str:
    if not report.sizes:
        return "no readable pictures"
    if len(report.sizes) == 1:
        ((height, width),) = report.sizes
        return f"all of {width} x {height} pixels"
    (height, width), count = max(report.sizes.items(), key=lambda item: item[1])
    low, high = min(map(min, report.sizes)), max(map(max, report.sizes))
    return f"{len(report.sizes)} sizes, sides of {low} to {high} pixels, most often {width} x {height} ({count})"
