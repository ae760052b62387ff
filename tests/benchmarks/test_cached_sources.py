"""The benchmark of sources that are encoded once runs, and compares equal pictures."""

import json

from benchmarks.generation import cached_sources


def test_it_runs(capsys, tmp_path):
    cached_sources.main(quick=True, side=32, json_file=tmp_path / "cached.json")
    assert "once and at each step: equal" in capsys.readouterr().out
    found = json.loads((tmp_path / "cached.json").read_text())
    assert set(found["ratios"]) == {"once / each step", "once / in the sequence, each step"}
    assert found["largest difference"] <= 1e-5
