"""The table of speed finds every ratio in the JSON of a benchmark, what it is of, and whether its aim is reached."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def ratio(value, **more):
    return {"value": value, "low": value - 0.5, "high": value + 0.5, **more}


def test_a_ratio_is_named_by_what_is_around_it():
    table = importlib.import_module("benchmarks.common.speed_table")
    timings = [{"what": "step", "precision": "fp32", "seconds": {"ours": [1.0]}, "ratios": {"ours / HF": ratio(2.0)}}]
    written = {"machine": {"load": 0.1}, "cases": [{"case": {"name": "small"}, "timings": timings}]}
    ((names, found, aim),) = table.ratios(written)
    assert (names, str(found), aim) == (("small", "step", "fp32", "ours / HF"), "2.00x (1.50 to 2.50)", "")


def test_aims_are_judged():
    paired = importlib.import_module("benchmarks.common.paired")
    assert paired.judged(paired.Ratio(1.05, 1.0, 1.1), "at most 1.05") == "aim at most 1.05: reached"
    assert paired.judged(paired.Ratio(1.06, 1.0, 1.1), "at most 1.05") == "aim at most 1.05: not reached"
    assert paired.judged(paired.Ratio(2.9, 2.0, 4.0), "at least 3") == "aim at least 3: not reached"
    assert paired.judged(paired.Ratio.of_memory(3.0), "at least 3") == "aim at least 3: reached"
    assert paired.judged(paired.Ratio(2.9, 2.0, 4.0), "") == ""


def test_the_page_has_a_table_for_each_benchmark(tmp_path):
    machine = {"processor": "X", "load": 0.25}
    found = {"machine": machine, "b": paired_dict(2.0, "at least 3"), "m": paired_dict(3.5, "at most 4")}
    (tmp_path / "core.one.json").write_text(json.dumps(found))
    (tmp_path / "core.two.failed").write_text("ImportError: no peer\n")
    (tmp_path / "core.three.json").write_text(json.dumps({"machine": machine}))
    command = [sys.executable, "-m", "benchmarks.common.speed_table", str(tmp_path)]
    page = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Machine: processor X; load at the ends of the benchmarks 0.25 to 0.25." in page
    assert "| b | 2.00x (1.90 to 2.10) | at least 3: not reached |" in page
    assert "| m | 3.50x (3.40 to 3.60) | at most 4: reached |" in page
    assert "## core.two\n\nNot measured: ImportError: no peer" in page
    assert "## core.three\n\nNot measured: no peer is installed." in page


def paired_dict(value, aim):
    paired = importlib.import_module("benchmarks.common.paired")
    return paired.Ratio(value, value - 0.1, value + 0.1).to_dict(aim)


def test_an_empty_folder_is_refused(tmp_path):
    command = [sys.executable, "-m", "benchmarks.common.speed_table", str(tmp_path)]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "no JSON file" in refused.stderr


def test_all_of_them_exist_and_write_json():
    text = (ROOT / "benchmarks" / "all.sh").read_text()
    modules = re.findall(r'^  "([a-z]+\.[a-z_]+)', text, re.MULTILINE)
    assert len(modules) >= 10
    for module in modules:
        source = (ROOT / "benchmarks" / module.replace(".", "/")).with_suffix(".py").read_text()
        assert "json_file" in source or "benchmarks.common.forward" in source, module
