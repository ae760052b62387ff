"""`saccade doctor`."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts

from saccade.cli import console
from saccade.cli.console import Json
from saccade.cli.doctor_report import describe_finding, print_report
from saccade.cli.interrupt import import_torch
from saccade.data.output import check_writable
from saccade.errors import UsageError

if TYPE_CHECKING:
    from saccade.data.doctor.findings import Report


@dataclass(frozen=True)
class DoctorOutput:
    """What was written. sheet: the picture. clean: the folder of the clean copy. changes: what was left out of it, with
    counts. left: the report of it."""

    sheet: Path | None = None
    clean: Path | None = None
    changes: dict[str, int] = field(default_factory=dict)
    left: "Report | None" = None

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        parts: dict[str, Any] = {} if self.sheet is None else {"sheet": str(self.sheet)}
        if self.clean is not None and self.left is not None:
            remaining = [each.to_dict() for each in self.left.findings if each.severity == "error"]
            parts["fixed"] = {"to": str(self.clean), "sound": self.left.sound, "left": remaining, **self.changes}
        return parts


def doctor(
    data: Path | None = None,
    *,
    pairs: Annotated[tuple[Path, ...], cyclopts.Parameter(consume_multiple=True, negative_iterable=())] = (),
    split_at: Literal["middle"] | None = None,
    styles: Path | None = None,
    split: str | None = None,
    as_json: Json = False,
    draw: Path | None = None,
    fix: Path | None = None,
) -> None:
    """Say what is wrong with a data set, how often and where: pictures in one folder per class, with boxes as COCO, VOC
    or YOLO, with masks, with captions, in pairs, or in several styles; films with captions.

    Every picture is decoded, every annotation read: unreadable files, bad boxes, copies, pictures both for training
    and for validation, classes. The exit code is 1 if there are errors, 0 if there are none; with --fix,
    the clean copy is examined, too, and the errors left in it count.

    Examples:

        saccade doctor pets/

        saccade doctor blood.tar --json

        saccade doctor pets/ --draw pets.png

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
    draw
        A picture file: some pictures of the set with what was read of them, their boxes, masks, classes or captions.
    fix
        A new folder for a clean copy in the same format, without what is bad. The set itself is not changed.
    """
    _check_together(data, pairs, split_at, styles, split, fix)
    if data is not None:
        console.check_data(data)
    if draw is not None:
        check_writable(draw, filter(None, (data, *pairs, styles)))
    import_torch()
    from saccade.data.doctor import check_empty, examine, open_parts, write_clean

    done = DoctorOutput(draw)
    if data is None:
        report, pictures = _examine_pictures(pairs, styles)
        kind, sets = "pairs", {"all": pictures}
    else:
        if fix is not None:
            check_empty(fix, data)
        examined = examine(data, split)
        report, kind = examined.report, examined.subject.kind
        sets = {} if draw is None else open_parts(examined)
        if fix is not None:
            done = replace(done, clean=fix, changes=write_clean(examined, fix), left=examine(fix).report)
    if draw is not None:
        _draw(draw, kind, sets, report)
    _print(report, done, as_json)
    _exit(done.left or report)


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


def _examine_pictures(pairs: tuple[Path, ...], styles: Path | None) -> "tuple[Report, Any]":
    """Of --pairs and --styles: the report, and the set."""
    from saccade.data.doctor import examine_pairs, examine_side_by_side, examine_styles

    if styles is not None:
        return examine_styles(styles)
    return examine_side_by_side(pairs[0]) if len(pairs) == 1 else examine_pairs(*pairs)


def _draw(out: Path, kind: str, sets: Mapping[str, Any], report: "Report") -> None:
    """Write the sheet of --draw."""
    from saccade.tasks.registry import all_task_commands
    from saccade.tasks.sample_sheet import write_sample_sheet

    task = next(each for each in all_task_commands() if kind in each.examines)
    write_sample_sheet(out, sets, task, f"{report.source}, read as {report.format}")


def _print(report: "Report", done: DoctorOutput, as_json: bool) -> None:
    if as_json:
        text = json.dumps(report.to_dict() | done.to_dict(), ensure_ascii=False)
        print(text.encode(errors="backslashreplace").decode())  # names that are not valid Unicode
        return
    print_report(report)
    stdout = console.stdout()
    if done.sheet is not None:
        console.print_styled_line(stdout, f"What was read of it is drawn in {done.sheet}: look at it.")
    if done.clean is not None:
        assert done.left is not None
        changes = ", ".join(f"{count} x {change}" for change, count in done.changes.items()) or "nothing to change"
        console.print_styled_line(stdout, f"A clean copy is in {done.clean} ({changes}).")
        for each in done.left.findings:
            if each.severity == "error":
                console.print_styled_line(stdout, (f"still in it: {each.count} {describe_finding(each)}", "red"))


def _exit(report: "Report") -> None:
    """Exit with 1 if there are errors."""
    if not report.sound:
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
        sys.exit(1)
