"""What the coverage benchmark found, as a summary and as the table of the documentation."""

from collections import Counter
from typing import Any

STATUSES = ("captured", "missed", "wrong", "other", "none", "not run")


def summary(rows: list[Any], absent: list[str]) -> str:
    """Counts by group, then every family that is not captured with the reason."""
    lines = []
    for group in dict.fromkeys(row.group for row in rows):
        these = [row for row in rows if row.group == group]
        counts = Counter(row.status for row in these)
        told = ", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s])
        lines.append(f"{group}: {len(these)} families: {told}; {share(these)}")
        eager = [row for row in these if row.eager is not None]
        if eager:
            told = ", ".join(f"{n} {s}" for s, n in Counter(row.eager.status for row in eager).most_common())
            lines.append(f"  under eager attention: {told}")
            for way in ("default", "eager"):
                told = ", ".join(f"{n} {s}" for s, n in Counter(peer(row, way) for row in eager).most_common())
                lines.append(f"  output_attentions, {way}: {told}")
    lines += [f"not covered: {name}" for name in absent]
    for status in ("wrong", "missed", "other", "not run"):
        lines += [
            f"{status}: {row.family} {row.look.matched}/{row.look.maps}: {reason(row)}"
            for row in rows
            if row.status == status
        ]
    return "\n".join(lines)


def share(rows: list[Any]) -> str:
    """How many of the families that attend plainly are captured."""
    plain = [row for row in rows if row.look.maps]
    captured = sum(row.status == "captured" for row in plain)
    return f"captured {captured} of {len(plain)} that attend ({captured / max(1, len(plain)):.1%})"


def peer(row: Any, way: str) -> str:
    """Whether output_attentions gives all, some or none of the true maps."""
    given, maps = row.peers.get(way, 0), row.look.maps
    return "-" if not maps else "all" if given == maps else "some" if given else "none"


def reason(row: Any) -> str:
    """Why a family is not captured, in a line."""
    look = row.look
    parts = [row.why] if row.why else []
    parts += ["the output changes"] * look.changed
    parts += [f"silent: {', '.join(look.silent[:3])}"] * bool(look.silent)
    parts += [f"equals no true map: {', '.join(look.differing[:3])}"] * bool(look.differing)
    whys = Counter(look.named.values())
    parts += [f"{why} ({n} module{'s' * (n > 1)})" for why, n in whys.most_common(2)]
    return "; ".join(parts)


def markdown(rows: list[Any], absent: list[str]) -> str:
    """The table: one line a family."""
    lines = [
        "# What the lens captures",
        "",
        "Made by `python benchmarks/coverage.py --markdown docs/coverage.md`, whose first lines say what words mean:",
        "tiny models with random weights of every family, each watched and compared with its own readable attention.",
        "",
    ]
    for group in dict.fromkeys(row.group for row in rows):
        these = [row for row in rows if row.group == group]
        counts = Counter(row.status for row in these)
        told = ", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s])
        lines += [f"## {group}", "", f"{len(these)} families: {told}; {share(these)}.", ""]
        lines += [
            "| family | lens | maps | under eager | output_attentions: default | eager | note |",
            "|" + "---|" * 7,
        ]
        for row in these:
            look, eager = row.look, row.eager
            under = f"{eager.status} {eager.matched}/{eager.maps}" if eager else "-"
            peers = f"{peer(row, 'default')} | {peer(row, 'eager')}" if eager else "- | -"
            note = "" if row.status == "none" else reason(row).replace("|", "/")
            lines.append(
                f"| {row.family} | {row.status} | {look.matched}/{look.maps} | {under} | {peers} | {note[:200]} |"
            )
        lines.append("")
    lines += [f"Not covered: {', '.join(absent)}.", ""] if absent else []
    return "\n".join(lines)
