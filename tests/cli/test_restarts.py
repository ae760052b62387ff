"""torchrun starts a run again after a process is lost, with the same command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not torch.distributed.is_available(), reason="kills a process of torch.distributed"
)


def test_a_lost_process_does_not_end_the_run(tmp_path: Path):
    rng = np.random.default_rng(5)
    for label in ("light", "dark"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(48):
            picture = rng.integers(0, 128, (17, 19, 3), dtype=np.uint8) + (label == "light") * np.uint8(127)
            Image.fromarray(picture).save(tmp_path / "set" / label / f"{i}.png")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "2", "--monitor-interval", "0.1", "-m", "saccade", "train", "classify"]
    command += ["--data", "set", "--name", "elastic", "--model", "tiny", "--size", "16", "--batch", "16"]
    command += ["--epochs", "20", "--compile", "no", "--save-every", "0.01", "--precision", "fp32"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        states = tmp_path / "runs/elastic/state"
        deadline = time.monotonic() + 90
        while not list(states.glob("step-*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(ranks.split()[-1]), signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
    finally:
        subprocess.run(["pkill", "-KILL", "-P", str(process.pid)], check=False)  # processes that wait for one another
        process.kill()
        process.communicate()
    assert process.returncode == 0, stderr.decode(errors="replace")[-3000:]
    lines = [json.loads(line) for line in (tmp_path / "runs/elastic/log.jsonl").read_text().splitlines()]
    epochs = [line["epoch"] for line in lines if "epoch" in line and "top1" in line]
    assert epochs == sorted(set(epochs))
    assert (tmp_path / "runs/elastic/model/model.safetensors").exists()
    assert stderr.count(b"no validation split was found") == 2  # each time that it began
