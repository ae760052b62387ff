"""The report of `saccade doctor` on the terminal."""

from typing import TYPE_CHECKING

from rich.cells import set_cell_size
from rich.table import Table
from rich.text import Text

from saccade.cli import console
from saccade.errors import printable
from saccade.language import localize_text

if TYPE_CHECKING:
    from saccade.data.doctor.findings import Finding, Report, Split

COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
MAX_CLASSES = 12
MAX_PLACES = 5  # of a finding; --json has all


def print_report(report: "Report") -> None:
    """Print a report: classes and splits, sizes, and the first places of each finding."""
    stdout = console.stdout()
    pictures = sum(report.sizes.values())
    items = report.items if pictures != 1 else report.items.removesuffix("s")
    console.print_styled_line(
        stdout,
        (report.source, "bold"),
        f": {report.format}, {pictures} readable {items}, {report.seconds:.1f} s",
    )
    if pictures:
        stdout.print(_splits(report))
    console.print_styled_line(stdout, _sizes(report))
    stdout.print()
    for each in report.findings:
        mark = (set_cell_size(localize_text(each.severity), 8), COLOURS[each.severity])
        console.print_styled_line(
            stdout, mark, (f"{each.count:6} ", "bold"), f"{describe_finding(each)}: {localize_text(each.advice)}"
        )
        for place in each.places[:MAX_PLACES]:
            console.print_styled_line(stdout, (f"{'':15} {place}", "dim"))
        if each.count > MAX_PLACES:
            console.print_styled_line(
                stdout, (" " * 16 + localize_text(f"and {each.count - MAX_PLACES} more: --json has all"), "dim")
            )
    counts = [(s, sum(each.severity == s for each in report.findings)) for s in COLOURS]
    said = ", ".join(
        localize_text(f"{count} kind{'s' * (count > 1)} of {severity}") for severity, count in counts if count
    )
    console.print_styled_line(stdout, (said or "nothing is wrong with it", "green" if report.sound else "red"))


# Findings of one place that holds several things.
GROUPS = {
    "identical pictures in two classes": "group of identical pictures in two classes",
    "classes whose names differ only in case, spaces or the form of their characters": "group of classes whose names "
    "differ only in case, spaces or the form of their characters",
    "pictures that EXIF turns so that their sizes do not say of which pixels the annotations are": "picture that EXIF "
    "turns so that its size does not say of which pixels the annotations are",
    "classes in validation or test that are not in training": "class in validation or test that is not in training",
}
ONE = {
    "boxes": "box", "classes": "class", "entries": "entry", **{f"{noun}s": noun for noun in (
        "annotation", "assumption", "caption", "film", "id", "mask", "name", "object", "pair", "part", "picture",
        "relation", "segmentation", "set", "split", "style",
    )}, "files": "file",
}  # fmt: skip
VERBS = {"are": "is", "were": "was", "do": "does", "extend": "extends"}


def describe_finding(finding: "Finding") -> str:
    """What a finding is, in words that follow its count: `picture that cannot be decoded` after 1."""
    text = localize_text(finding.what)
    return singular(finding.what) if finding.count == 1 and text == finding.what else text


def singular(what: str) -> str:
    """The English of a finding for one thing; its first noun says which."""
    if what in GROUPS:
        return GROUPS[what]
    words = what.split(" ")
    at = next(i for i, word in enumerate(words) if word in ONE)
    words[at] = ONE[words[at]]
    if words[at + 1 : at + 2] == ["that"]:
        words[at + 2] = VERBS.get(words[at + 2], words[at + 2])
    return " ".join(words if "whose" in words else ["its" if word == "their" else word for word in words])


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
    table.add_row(localize_text(report.items), *(str(split.pictures) for split in splits.values()), style="bold")
    if any(split.captions is not None for split in splits.values()):
        table.add_row(localize_text("captions"), *(str(split.captions) for split in splits.values()))
    if any(split.seconds is not None for split in splits.values()):
        table.add_row(localize_text("seconds"), *(f"{split.seconds or 0:.1f}" for split in splits.values()))
    half = MAX_CLASSES // 2
    shown = names if len(names) <= MAX_CLASSES else names[:half] + names[-half:]
    for i, name in enumerate(shown):
        if len(names) > MAX_CLASSES and i == half:
            table.add_row(Text(localize_text(f"… {len(names) - MAX_CLASSES} more classes"), style="dim"))
        table.add_row(Text(printable(name)), *(_examples(split, name) for split in splits.values()))
    if any(split.ignored for split in splits.values()):
        table.add_row(
            Text(localize_text("ignored"), style="dim"),
            *(_share(split, split.ignored or 0) for split in splits.values()),
        )
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
