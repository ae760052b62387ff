"""Signals save the state, in training and in validation, and those that end a run do so with their exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from saccade.train import Interrupted, train
from saccade.train import run as run_module
from saccade.train.state import list_states, write_state

from .points import Points, quick
from .test_loop import assert_same, lines, weights

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "straight"
    train(Points(), quick(epochs=2), folder)
    return folder


def assert_resumed_like(folder, straight):
    train(Points(seed=9), quick(epochs=2), folder, resume=True)
    for kind in ("weights", "average", "optimizer-0", "optimizer-1", "best"):
        assert_same(weights(folder, kind), weights(straight, kind))
    shown = [[{k: v for k, v in line.items() if k != "seconds"} for line in lines(run)] for run in (folder, straight)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("number", ENDING)
def test_validation_is_interrupted_and_repeated(tmp_path, straight, number):
    class Stopped(Points):
        def evaluate(self, *given):
            signal.raise_signal(number)
            raise AssertionError("still validating")

    with pytest.raises(Interrupted, match="stopped after step 8") as stopped:
        train(Stopped(), quick(epochs=2), tmp_path)
    assert stopped.value.exit_code == 128 + number
    assert [place.name for place in list_states(tmp_path / "state")] == ["step-000000008"]
    assert not (tmp_path / "model").exists()
    assert_resumed_like(tmp_path, straight)


@pytest.mark.parametrize("number", ENDING)
def test_an_update_is_not_interrupted(tmp_path, straight, monkeypatch, number):
    update = AveragedModel.update_parameters

    def stopped(average, model):
        update(average, model)
        if average.n_averaged == 5:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(AveragedModel, "update_parameters", stopped)
        with pytest.raises(Interrupted, match="stopped after step 5"):
            train(Points(), quick(epochs=2), tmp_path)
    assert_resumed_like(tmp_path, straight)


@pytest.mark.parametrize("where", ["loss", "evaluate"])
def test_the_state_is_saved_on_sigusr1_and_the_run_goes_on(tmp_path, straight, where):
    found = []

    class Saved(Points):
        def loss(self, *given):
            if where == "loss" and len(self.losses) == 5:
                self.save_now()
            return super().loss(*given)

        def evaluate(self, *given):
            if where == "evaluate":
                self.save_now()
            return super().evaluate(*given)

        def save_now(self):
            signal.raise_signal(signal.SIGUSR1)
            end = time.monotonic() + 10
            while not list_states(tmp_path / "state") and time.monotonic() < end:
                time.sleep(0.01)
            found.append(list_states(tmp_path / "state")[-1].name)

    train(Saved(), quick(epochs=2), tmp_path)
    assert found[0] == {"loss": "step-000000005", "evaluate": "step-000000008"}[where]
    assert_same(weights(tmp_path), weights(straight))


def test_what_nohup_ignores_is_ignored(tmp_path):
    class Left(Points):
        def loss(self, *given):
            signal.raise_signal(signal.SIGHUP)
            return super().loss(*given)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        train(Left(), quick(), tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_process_and_to_its_group_is_one(tmp_path, straight, monkeypatch, number):
    class Stopped(Points):
        def loss(self, *given):
            if len(self.losses) == 3:
                signal.raise_signal(number)
            return super().loss(*given)

    def slow(folder, state):
        os.kill(os.getpid(), number)
        time.sleep(0.1)
        write_state(folder, state)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_state", slow)
        with pytest.raises(Interrupted):
            train(Stopped(), quick(epochs=2), tmp_path)
    assert_resumed_like(tmp_path, straight)


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from saccade.device import exit_process
from saccade.train import Interrupted, run, train
from tests.train.points import Points, quick

class Slow(Points):
    def loss(self, *given):
        if len(self.losses) == 3:
            Path(sys.argv[2], f"begun-{__import__('os').environ.get('RANK', 0)}").touch()
        time.sleep(0.1)
        return super().loss(*given)

if sys.argv[3] == "stuck":
    run.write_state = lambda *_: time.sleep(600)
try:
    train(Slow(), quick(epochs=1000), Path(sys.argv[2]))
except Interrupted as stopped:
    exit_process(stopped.exit_code)
    sys.exit(stopped.exit_code)
"""


def begin(folder: Path, how: str, *launcher: str) -> subprocess.Popen[bytes]:
    folder.mkdir()
    (folder.parent / "program.py").write_text(PROGRAM)
    command = [sys.executable, *launcher, str(folder.parent / "program.py"), str(Path(__file__).parents[2])]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, str(folder), how], env=env, start_new_session=True, stderr=subprocess.PIPE)


def wait_for(*files: Path, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not all(file.exists() for file in files):
        assert time.monotonic() < end, files
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_the_process_at_once(tmp_path, number):
    process = begin(tmp_path / "run", "stuck")
    try:
        wait_for(tmp_path / "run" / "begun-0")
        process.send_signal(number)
        time.sleep(1)
        assert process.poll() is None  # it is saving
        process.send_signal(number)
        assert process.wait(10) == 128 + number
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_processes_of_torchrun_save_although_each_gets_sigterm_twice(tmp_path):
    """A scheduler sends it to torchrun and to all processes, and torchrun sends it to the processes again."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = begin(tmp_path / "run", "save", *launcher)
    try:
        wait_for(tmp_path / "run" / "begun-0", tmp_path / "run" / "begun-1")
        began = time.monotonic()
        ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        for each in [*map(int, ranks.split()), process.pid]:
            os.kill(each, signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert list_states(tmp_path / "run" / "state"), said.decode(errors="replace")
        assert time.monotonic() - began < 20
    finally:
        process.kill()
        process.communicate()
