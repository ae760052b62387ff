"""Which vision models open in a page, and whether its numbers are true: a tiny model of every captured family.

    python -m benchmarks.coverage.look_anything --markdown docs/coverage.md      # ten minutes on 2 cores
    python -m benchmarks.coverage.look_anything --only "swin|timm[.]eva"          # by pattern

The families are those of transformers and timm that docs/coverage.md lists as captured and that take pictures. Of each,
a tiny model with random weights is written to a folder with the usual files of its library, and opened as
`saccade look PICTURE --model FOLDER` does; where that refuses it, with a question, of models that write (`--ask`), or
as `saccade.look(model, picture, preprocess=...)` does. A page is open when it is written, and wrong when

  - an attention call on it equals none of the model's own maps within 1e-4, which are found without the lens, under
    eager attention and with fused kernels taken apart (`true_maps.py`);
  - what the first word of an answer attends to is not the row of these maps;
  - other pixels in a cell of a grid of 4 x 4 or more change what stands for another cell most, beyond the neighbours to
    which convolutions spread the change.

Each family runs in a process of its own under a limit of time and memory. Nothing is fetched from a network.
"""

import json
import re
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.coverage.families.cases import every_case
from benchmarks.coverage.open_page import Opened, import_processors, open_family
from benchmarks.coverage.report import LIBRARIES, PAGES_END, PAGES_START, versions, with_pages
from benchmarks.coverage.run import argument_parser, examine_all

DOCS = Path(__file__).parents[2] / "docs" / "coverage.md"
STATUSES = ("open", "wrong", "refused", "not run")
GROUPS = ("transformers", "timm")
SECONDS = 60


def captured(page: str) -> set[str]:
    """The families of transformers and timm that a page of documentation lists as captured."""
    found = set()
    for group in GROUPS:
        _, _, section = page.partition(f"\n## {group}\n")
        names = re.findall(r"^\| ([^|]+) \| captured \|", section.partition("\n## ")[0], re.MULTILINE)
        found |= {name if group == "transformers" else f"{group}.{name}" for name in names}
    return found


def markdown(rows: list[Opened]) -> str:
    """The tables, between the two comments that mark them in the documentation."""
    lines = [PAGES_START, "## Pages", ""]
    lines += [
        "Made by `python -m benchmarks.coverage.look_anything --markdown docs/coverage.md`: a tiny model with random",
        "weights of every family above that is captured and takes pictures, opened from a folder as `saccade look`",
        "does (*command*); where that refuses it, of models that write with `--ask` (*question*: inputs stand in for",
        "picture and text, as there is no tokenizer), or by `saccade.look` (*Python*: a function stands in for the",
        "processor, which resizes the picture and cuts it into the tiles or patches that the model takes).",
        f"{versions(rows)}",
        "",
        "- **open**: the page is written, every map on it equals the model's own within 1e-4, and its grid lies where",
        "  the picture does: other pixels in a cell change the token that stands for it most (in grids of 4 x 4 or",
        "  more, but for neighbours to which convolutions spread the change);",
        "- **wrong**: one of these does not hold;",
        "- **refused**: no page, with the reason.",
        "",
        "| library | families | open | by command | wrong | refused | share open |",
        "|" + "---|" * 7,
    ]
    for group in GROUPS:
        these = [row for row in rows if row.group == group and row.status != "not run"]
        counts, ways = Counter(row.status for row in these), Counter(row.way for row in these)
        cells = [LIBRARIES[group], len(these), counts["open"], ways["command"], counts["wrong"], counts["refused"]]
        share = counts["open"] / max(1, len(these))
        lines.append("| " + " | ".join(map(str, [*cells, f"{share:.1%}"])) + " |")
    for group in GROUPS:
        these = [row for row in rows if row.group == group]
        lines += ["", f"### Pages of {LIBRARIES[group]}", "", *_table(these)]
    return "\n".join([*lines, PAGES_END])


def _table(rows: list[Opened]) -> list[str]:
    lines = ["| family | page | by | grid | calls on it, of maps | note |", "|" + "---|" * 6]
    for row in (row for row in rows if row.status != "not run"):
        grid = " x ".join(map(str, row.grid))
        calls = f"{row.calls} of {row.seen}" if row.way else ""
        note = "; ".join(row.wrong[:2]) or (row.why.rpartition("Python: ")[2])
        cells = [
            row.family.removeprefix(f"{row.group}."),
            row.status,
            row.way,
            grid,
            calls,
            note.replace("|", "/")[:300],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if left := [row for row in rows if row.status == "not run"]:
        lines += ["", "Not counted:", "", *(f"- {row.family}: {row.why}." for row in left)]
    return lines


def summary(rows: list[Opened]) -> str:
    """Counts, and every family that is not open with the reason."""
    counts = Counter(row.status for row in rows)
    of = max(1, len(rows) - counts["not run"])
    lines = [", ".join(f"{counts[status]} {status}" for status in STATUSES) + f": {counts['open'] / of:.1%} open"]
    lines += [f"{row.status}: {row.family}: {'; '.join(row.wrong) or row.why}" for row in rows if row.status != "open"]
    return "\n".join(lines)


def main() -> None:
    parser = argument_parser(__doc__, "the documentation whose table of pages is written anew")
    parser.set_defaults(seconds=SECONDS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.perf_counter()
    known = captured(DOCS.read_text(encoding="utf-8"))
    cases = [case for case in every_case(re.compile(args.only))[0] if case.family in known]
    import_processors()
    rows: list[Opened] = []
    for row in examine_all(cases, args.jobs, args.seconds, open_family, Opened):
        rows.append(row)
        reason = "; ".join(row.wrong) or row.why
        where = f"{row.way} {row.view} {row.grid} {row.calls}/{row.seen}" if row.way else ""
        print(f"{len(rows):4}/{len(cases)} {row.family}: {row.status} {where} {row.seconds:.1f} s {reason}", flush=True)
        if args.json_file:
            args.json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    rows.sort(key=lambda row: (row.group, row.family.lower()))
    print(f"\n{summary(rows)}\n{(time.perf_counter() - begun) / 60:.1f} minutes with {args.jobs} processes")
    if args.markdown:
        page = args.markdown.read_text(encoding="utf-8")
        args.markdown.write_text(with_pages(page, markdown(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
