"""Results of the coverage benchmark as a summary and as the tables of the documentation."""

import importlib.metadata
from collections import Counter
from typing import Any

STATUSES = ("captured", "missed", "wrong", "other", "none", "not run")
LIBRARIES = {"torch": "torch", "transformers": "transformers", "diffusers": "diffusers", "timm": "timm"}
LIBRARIES |= {"vit_pytorch": "vit-pytorch"}
WORDS = """
- **captured**: every map equals the model's own within 1e-4, and the output is unchanged bit for bit;
- **missed**: a map is not captured, and its module is named in `trace.missed` with the reason;
- **wrong**: a map differs, an output changes, or something attends and is neither captured nor named;
- **other**: it attends, but not by a softmax of q·k over sources (linear, deformable, channels, ...), and is named;
- **none**: it has no attention.

A model may have other attention beside maps: the column *otherwise* counts such modules, all of which are named.
*Under eager*: the same model with its attention written out as separate operations. *output_attentions*: how many of
the maps transformers gives itself, by default and under eager attention.
"""
# What look_anything writes on the same page, which is kept when the rest is written anew.
PAGES_START, PAGES_END = "<!-- pages -->", "<!-- /pages -->"
SEEN = {
    "it ran, but no attention was seen in it": "attends in another way (linear, deformable, channels, or a kernel)",
    "not followed from a product of queries and keys": "a softmax of scores that are no product of queries and keys",
    "over nested (ragged) tensors": "ragged (nested) tensors, which have no (b h n m) map",
    "runs over another axis than its product": "its softmax runs over the targets, and its product over the sources",
}


def summary(rows: list[Any], absent: list[str]) -> str:
    """Counts by library, then every family that is not captured with the reason."""
    lines = []
    for group, these in _groups(rows):
        lines.append(f"{group}: {len(these)} families: {_statuses(these)}; {share(these)}")
        eager = [row for row in these if row.eager is not None]
        if eager:
            listed = ", ".join(f"{n} {s}" for s, n in Counter(row.eager.status for row in eager).most_common())
            lines.append(f"  under eager attention: {listed}")
        if any(row.peers for row in these):
            lines += [f"  output_attentions, {way}: {_peers(these, way)}" for way in ("default", "eager")]
    lines += [f"not covered: {name}" for name in absent]
    for status in ("wrong", "missed", "other", "not run"):
        some = [row for row in rows if row.status == status]
        lines += [f"{status}: {row.family} {row.look.matched}/{row.look.maps}: {reason(row)}" for row in some]
    return "\n".join(lines)


def _groups(rows: list[Any]) -> list[tuple[str, list[Any]]]:
    present = sorted({row.group for row in rows}, key=list(LIBRARIES).index)
    return [(group, [row for row in rows if row.group == group]) for group in present]


def _statuses(rows: list[Any]) -> str:
    counts = Counter(row.status for row in rows)
    return ", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s])


def _peers(rows: list[Any], way: str) -> str:
    counts = Counter(peer(row, way) for row in rows if row.peers and row.look.maps)
    return ", ".join(f"{counts[s]} {s}" for s in ("all", "some", "none") if counts[s])


def share(rows: list[Any]) -> str:
    """How many of the families that attend plainly are captured."""
    plain = [row for row in rows if row.look.maps or row.status == "missed"]
    captured = sum(row.status == "captured" for row in plain)
    return f"captured {captured} of {len(plain)} that attend ({captured / max(1, len(plain)):.1%})"


def peer(row: Any, way: str) -> str:
    """Whether output_attentions gives all, some or none of the true maps."""
    given, maps = row.peers.get(way, 0), row.look.maps
    return "-" if not maps or not row.peers else "all" if given == maps else "some" if given else "none"


def reason(row: Any) -> str:
    """What there is to say of a family, in a line."""
    look = row.look
    parts = [row.why] if row.why else []
    parts += ["the library computes something else under eager attention"] * look.apart
    parts += ["the output changes"] * look.changed
    parts += [f"silent: {', '.join(look.silent[:3])}"] * bool(look.silent)
    parts += [f"equals no true map: {', '.join(look.differing[:3])}"] * bool(look.differing)
    parts += [f"{look.noted} mixed, gated or extended after the softmax, as the call's note says"] * bool(look.noted)
    parts += [f"{look.learned} with queries that are weights of the model"] * bool(look.learned)
    parts += ["in 16 bits, whose kernels differ: compared within 2e-3"] * look.coarse
    missing = set(look.named) - set(look.otherwise)
    listed = missing or (look.named if row.status in ("other", "missed") else ())
    whys = Counter(_short(look.named[name]) for name in listed)
    return "; ".join(parts + [f"{why} ({n})" for why, n in whys.most_common(2)])


def _short(why: str) -> str:
    return next((short for words, short in SEEN.items() if words in why), why)


def markdown(rows: list[Any], absent: list[str]) -> str:
    """The page: what the words mean, a summary, then one table a library."""
    lines = ["# What the lens captures", ""]
    lines += [
        "Made by `python -m benchmarks.coverage.run --markdown docs/coverage.md` in one run on a CPU: tiny models with",
        "random weights of every family, as the libraries list them, each watched and compared with its own attention,",
        f"which is found without the lens. {versions(rows)}",
        *WORDS.splitlines(),
        "",
        "| library | families | captured | missed | wrong | other | none | not run | captured of those with maps |",
        "|" + "---|" * 9,
    ]
    for group, these in _groups(rows):
        counts = Counter(row.status for row in these)
        numbers = " | ".join(str(counts[s]) for s in STATUSES)
        some = share(these).removeprefix("captured ").replace(" that attend", "")
        lines.append(f"| {LIBRARIES[group]} | {len(these)} | {numbers} | {some} |")
    lines += ["", f"All together: {share(rows)}."]
    if any(row.peers for row in rows):
        ways = {"default": "by default", "eager": "under eager attention"}
        listed = "; ".join(f"{ways[way]} {_peers(rows, way)} of the maps" for way in ways)
        lines.append(f"transformers' own `output_attentions` gives, by families: {listed}.")
    lines += [f"Not covered, because it does not import: {name}." for name in absent]
    for group, these in _groups(rows):
        lines += ["", f"## {LIBRARIES[group]}", "", *_table(group, these)]
    return "\n".join(lines) + "\n"


def versions(rows: list[Any]) -> str:
    """Of the libraries of these families."""
    found = [f"{name} {importlib.metadata.version(name)}" for g, name in LIBRARIES.items() if _has(rows, g)]
    return f"Versions: {', '.join(found)}."


def _has(rows: list[Any], group: str) -> bool:
    return any(row.group == group for row in rows)


def _table(group: str, rows: list[Any]) -> list[str]:
    """A table of the families with attention; the others as lists."""
    peers, eager = any(row.peers for row in rows), any(row.eager for row in rows)
    heads = ["family", "lens", "maps", *["under eager"] * eager]
    heads += ["output_attentions: default", "eager"] * peers + ["otherwise", "note"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in (row for row in rows if row.status not in ("none", "not run")):
        look = row.look
        cells = [_name(row), row.status, f"{look.matched}/{look.maps}"]
        cells += [f"{row.eager.status} {row.eager.matched}/{row.eager.maps}" if row.eager else "-"] * eager
        cells += [peer(row, "default"), peer(row, "eager")] * peers
        cells += [str(len(look.otherwise) or ""), reason(row).replace("|", "/")]
        lines.append(f"| {' | '.join(cells)} |")
    if without := [_name(row) for row in rows if row.status == "none"]:
        lines += ["", f"No attention: {', '.join(without)}."]
    if left := [row for row in rows if row.status == "not run"]:
        lines += ["", "Not run:", "", *(f"- {_name(row)}: {row.why}." for row in left)]
    return lines


def _name(row: Any) -> str:
    return row.family.removeprefix(f"{row.group}.")


def pages_of(page: str) -> str:
    """The part of a page that look_anything wrote, with its marks; "" where there is none."""
    _, start, rest = page.partition(PAGES_START)
    return f"{start}{rest.partition(PAGES_END)[0]}{PAGES_END}" if start else ""


def with_pages(page: str, tables: str) -> str:
    """The page with these tables in place of those it has, or at its end."""
    if before := pages_of(page):
        return page.replace(before, tables)
    return f"{page.rstrip()}\n\n{tables}\n" if tables else page
