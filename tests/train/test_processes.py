"""Two processes train as one does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from saccade.train import loop, run, train

from .points import Points, quick
from .test_loop import lines, weights

PATIENCE = 900  # seconds: on a busy machine two processes take minutes to load PyTorch


def start(log: Path, *command: object, **place: object) -> subprocess.Popen[bytes]:
    """A Python process that writes all it says to `log`. place: environment variables."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", **{name: str(value) for name, value in place.items()}}
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, *map(str, command)], env=env, stdout=out, stderr=subprocess.STDOUT)


def finished(processes: dict[Path, subprocess.Popen[bytes]], patience: float = PATIENCE) -> list[str]:
    """The output of each process after all have succeeded. Fails with all outputs; leaves none running."""
    end, why = time.monotonic() + patience, "an error"
    while any(process.poll() is None for process in processes.values()):
        time.sleep(0.1)
        if any(process.poll() for process in processes.values()):  # the others wait for it in vain
            end = min(end, time.monotonic() + 20)
        elif time.monotonic() > end:
            why = f"{patience} seconds"
        if time.monotonic() > end:
            break
    for process in processes.values():
        process.kill()
    codes = [process.wait() for process in processes.values()]
    outputs = [log.read_text(errors="replace") for log in processes]
    assert not any(codes), f"ended after {why} with exit codes {codes}. Their outputs:\n" + "\n---\n".join(outputs)
    return outputs


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_two_processes_give_the_losses_and_weights_of_one_after_56_updates(tmp_path):
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    # As torchrun does: the processes meet at a store that is there already. A port that is only known to be free may
    # be taken by the time the first process has loaded PyTorch and listens on it.
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port, "TORCHELASTIC_USE_AGENT_STORE": True}
    program = Path(__file__).with_name("points.py")
    processes = {
        tmp_path / f"{rank}.txt": start(
            tmp_path / f"{rank}.txt", program, tmp_path / "two", RANK=rank, WORLD_SIZE=2, **meet
        )
        for rank in range(2)
    }
    try:
        train(Points(), quick(epochs=7), tmp_path / "one")
    finally:
        outputs = finished(processes)
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for a, b in zip(one, two, strict=True):
        for key in a.keys() - {"seconds"}:
            assert b[key] == pytest.approx(a[key], rel=1e-5), (key, a, b)
    a, b = weights(tmp_path / "one"), weights(tmp_path / "two")
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=0, atol=1e-5, msg=lambda found, key=key: f"{key}: {found}")
    assert "training on" in outputs[0]
    assert "training on" not in outputs[1]  # only one process speaks


@pytest.mark.parametrize(
    ("last", "patience", "outputs"),
    [("time.sleep(600)", 3.0, r"after 3.0 seconds .*-9"), ("sys.exit(3)", PATIENCE, r"after an error .*\b3\b.*here")],
)
def test_processes_that_do_not_end_well_are_reported_and_ended(tmp_path, last, patience, outputs):
    program = f"import sys, time; print('here', flush=True); {last}"
    processes = {tmp_path / name: start(tmp_path / name, "-c", program) for name in "ab"}
    with pytest.raises(AssertionError, match=f"(?s)ended {outputs}"):
        finished(processes, patience)
    assert all(process.poll() is not None for process in processes.values())


def test_processes_that_do_not_divide_the_shards_are_refused(tmp_path, monkeypatch):
    from saccade.device import Device
    from saccade.errors import SaccadeError

    monkeypatch.setattr(loop, "init_device", lambda *_: Device(torch.device("cpu"), False, 0, 3))
    monkeypatch.setattr(loop, "leave_process_group", lambda device: None)
    with pytest.raises(SaccadeError, match=r"3 processes.*divisor of 8"):
        train(Points(), quick(), tmp_path)


def test_no_process_leaves_before_the_state_is_saved(tmp_path, monkeypatch):
    from saccade.device import Device

    done = []
    monkeypatch.setattr(run, "write_state", lambda folder, state: done.append(state.step))
    monkeypatch.setattr(Device, "barrier", lambda device: done.append("met"))
    train(Points(), quick(epochs=2), tmp_path)
    assert done[-3:] == [16, 16, "met"]
