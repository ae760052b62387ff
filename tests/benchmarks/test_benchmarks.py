"""The list of benchmarks, and the helper that all timings go through."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_every_script_is_listed_with_one_line():
    listed = dict(importlib.import_module("benchmarks.__main__").scripts())
    assert {"benchmarks.core.vit", "benchmarks.coverage.run", "benchmarks.training.segment_ablation"} <= set(listed)
    assert all(line.endswith((".", "?")) and len(line) <= 115 for line in listed.values()), listed
    printed = subprocess.run([sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in printed.stdout.splitlines()] == list(listed)


def test_every_script_says_how_it_is_run():
    for module, _ in importlib.import_module("benchmarks.__main__").scripts():
        assert f"python -m {module}" in (ROOT / module.replace(".", "/")).with_suffix(".py").read_text()


def test_every_folder_is_in_the_readme():
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    folders = {path.name for path in (ROOT / "benchmarks").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {name for name in folders if f"`{name}/`" in readme} == folders


def test_ways_take_turns_and_warmup_is_discarded():
    paired = importlib.import_module("benchmarks.common.paired")
    calls = []
    ways = {name: lambda name=name: calls.append(name) or len(calls) for name in "ab"}
    assert paired.interleave(ways, repeats=2, warmup=1) == {"a": [3, 5], "b": [4, 6]}
    assert calls == list("ababab")


def test_times_are_by_the_given_clock():
    paired = importlib.import_module("benchmarks.common.paired")
    ticks = iter([0.0, 1.0, 10.0, 13.0, 20.0, 25.0])
    assert paired.measure({"a": lambda: None}, repeats=2, clock=lambda: next(ticks)) == {"a": [3.0, 5.0]}


def test_a_speedup_is_the_ratio_of_medians_with_the_spread_of_turns():
    paired = importlib.import_module("benchmarks.common.paired")
    ratio = paired.speedup({"fast": [1.0, 2.0, 4.0], "slow": [6.0, 10.0, 8.0]}, "fast", "slow")
    assert (ratio.value, ratio.low, ratio.high) == (4.0, 2.0, 6.0)
    assert str(ratio) == "4.00x (2.00 to 6.00)"
