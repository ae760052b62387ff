"""One table of all ratios that timing benchmarks wrote with --json-file.

    python -m benchmarks.common.speed_table FOLDER > docs/speed.md

FOLDER holds a JSON file for each benchmark, named as its module: core.vit.json. A ratio is an object with value, low,
high and, if there is one, an aim (`Ratio.to_dict`); the names around it in the file say what it is of. A file
NAME.failed stands for a benchmark that did not run; it holds why.
"""

import argparse
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common.paired import Ratio, judged

PACKAGES = ("torch", "transformers", "diffusers", "timm", "onnxruntime", "openvino")
NAMES = ("case", "name", "mode", "what", "precision")  # keys whose values name what is measured
LISTS = ("cases", "timings", "ratios", "results", "views")  # keys that say nothing themselves
HEAD = """# Speed

Ratios, each of two ways that took turns in one run, with the smallest and the largest of any turn; written by
`benchmarks/all.sh`. What each benchmark measures, and how, is in its first lines and in
[benchmarks/README.md](../benchmarks/README.md). "ours / peer" is how many times faster ours is; "watched / unwatched"
and the like are what takes how many times longer.
"""


def ratios(found: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Ratio, str]]:
    """(names, ratio, aim) of everything in a benchmark's JSON that is a ratio."""
    if isinstance(found, list):
        for each in found:
            yield from ratios(each, names)
    elif isinstance(found, dict) and {"value", "low", "high"} <= found.keys():
        yield names, Ratio(found["value"], found["low"], found["high"]), found.get("aim", "")
    elif isinstance(found, dict):
        own = [found[key] for key in NAMES if key in found]
        names = (*names, *(each["name"] if isinstance(each, dict) else str(each) for each in own))
        for key, value in found.items():
            yield from ratios(value, names if key in LISTS else (*names, key))


def section(path: Path) -> str:
    """The table of one benchmark, or why there is none."""
    title = f"## {path.stem}\n\n"
    if path.suffix == ".failed":
        return f"{title}Not measured: {path.read_text().strip()}\n"
    rows = [
        f"| {', '.join(names)} | {ratio} | {judged(ratio, aim).removeprefix('aim ')} |\n"
        for names, ratio, aim in ratios(json.loads(path.read_text()))
    ]
    if not rows:
        return f"{title}Not measured: no peer is installed.\n"
    return f"{title}| what | ratio | aim |\n|---|---|---|\n{''.join(rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the benchmarks' JSON files")
    paths = sorted(each for each in parser.parse_args().folder.iterdir() if each.suffix in {".json", ".failed"})
    if not paths:
        raise SystemExit("there is no JSON file of a benchmark in that folder")
    machines = [json.loads(each.read_text())["machine"] for each in paths if each.suffix == ".json"]
    print(HEAD)
    if machines:
        loads = sorted(each["load"] for each in machines)
        described = ", ".join(f"{key} {value}" for key, value in machines[0].items() if key not in {"load", "threads"})
        print(f"Machine: {described}; load at the ends of the benchmarks {loads[0]} to {loads[-1]}.")
    print(f"Versions: {', '.join(versions())}.\n")
    print("\n".join(section(each) for each in paths), end="")


def versions() -> Iterator[str]:
    """Of the packages that are compared, where they are installed."""
    for package in PACKAGES:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue


if __name__ == "__main__":
    main()
