"""Killed runs end as those that are not. A few of the kills of `python -m tests.kill`, in a process of its own:
it forks, and must have no other threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_runs_are_resumed_and_differ_in_nothing():
    command = ["-m", "tests.kill", "--tasks", "points", "--kills", "3", "--every", "23", "--power-cuts", "0"]
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 runs killed at random moments: 0 faults" in done.stdout
