"""The thread that writes states: one at a time, of a run that does not change while it is copied."""

import threading
import time

import pytest

from saccade.train.state import State
from saccade.train.state_writer import StateWriter


class Disk:
    """Writes when `go` is set."""

    def __init__(self):
        self.go, self.copy_now = threading.Event(), threading.Event()
        self.copy_now.set()
        self.written = []

    def copy(self, fields):
        assert self.copy_now.wait(10)
        return State(fields["step"], {}, fields)

    def write(self, state):
        assert self.go.wait(10)
        if state.fields.get("fails"):
            raise OSError("full")
        self.written.append(state.step)

    def writer(self):
        return StateWriter(self.copy, self.write)


def test_one_at_a_time_and_the_last_before_it_finishes():
    disk = Disk()
    with disk.writer() as writer:
        assert writer.start((1,), {"step": 1})
        assert not writer.start((2,), {"step": 2})
        writer.wait_for_copy()
        assert disk.written == []
        disk.go.set()
        writer.finish((3,), {"step": 3})
        writer.finish((3,), {"step": 3})
    assert disk.written == [1, 3]


def test_the_run_waits_for_the_copy():
    disk = Disk()
    disk.copy_now.clear()
    with disk.writer() as writer:
        writer.start((1,), {"step": 1})
        threading.Timer(0.2, disk.copy_now.set).start()
        began = time.monotonic()
        writer.wait_for_copy()
        assert time.monotonic() - began > 0.15
        disk.go.set()
        writer.finish((1,), {"step": 1})


def test_an_error_is_raised_in_the_run_once():
    disk = Disk()
    disk.go.set()
    with disk.writer() as writer:
        writer.start((1,), {"step": 1, "fails": True})
        with pytest.raises(OSError, match="full"):
            writer.finish((1,), {"step": 1})
        writer.finish((1,), {"step": 1})
    assert disk.written == [1]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "state writer"]


def test_its_thread_ends():
    with Disk().writer():
        assert threads()
    end = time.monotonic() + 10
    while threads() and time.monotonic() < end:
        time.sleep(0.01)
    assert not threads()


def test_no_thread_is_left_that_could_free_tensors_while_the_interpreter_ends():
    disk = Disk()
    disk.go.set()
    with disk.writer() as writer:
        writer.finish((1,), {"step": 1})
    assert not writer._thread.is_alive()


def test_a_second_ctrl_c_does_not_wait_for_the_disk():
    disk = Disk()
    writer = disk.writer().__enter__()
    writer.start((1,), {"step": 1})
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert writer._thread.is_alive()
    disk.go.set()
    writer._thread.join(10)
