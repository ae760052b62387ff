"""Two processes train as one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from saccade.train import loop, train

from .points import Points, quick
from .test_loop import lines, weights


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder: Path, rank: int, world: int, port: int, program: Path) -> subprocess.Popen[str]:
    place = {"RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, str(program), str(folder)],
        env={**os.environ, **place, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_two_processes_give_the_losses_of_one(tmp_path):
    port = free_port()
    program = Path(__file__).with_name("points.py")
    processes = [start(tmp_path / "two", rank, 2, port, program) for rank in range(2)]
    train(Points(), quick(epochs=5), tmp_path / "one")
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for a, b in zip(one, two, strict=True):
        for key in a.keys() - {"seconds"}:
            assert b[key] == pytest.approx(a[key], rel=1e-5), key
    a, b = weights(tmp_path / "one"), weights(tmp_path / "two")
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-5)
    assert "training on" in said[0]
    assert "training on" not in said[1]  # only one process speaks


def test_processes_that_do_not_divide_the_shards_are_refused(tmp_path, monkeypatch):
    from saccade.device import Device
    from saccade.errors import SaccadeError

    monkeypatch.setattr(loop, "join", lambda *_: Device(torch.device("cpu"), False, 0, 3))
    monkeypatch.setattr(loop, "leave", lambda device: None)
    with pytest.raises(SaccadeError, match=r"3 processes.*divisor of 8"):
        train(Points(), quick(), tmp_path)


def test_no_process_leaves_before_the_state_is_saved(tmp_path, monkeypatch):
    from saccade.device import Device

    done = []
    monkeypatch.setattr(loop, "save_state", lambda *_: done.append("saved"))
    monkeypatch.setattr(Device, "wait", lambda device: done.append("met"))
    train(Points(), quick(epochs=2), tmp_path)
    assert done == ["saved", "met"] * 2
