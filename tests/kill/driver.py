"""Kills runs at random moments, at every operation on a file, and by power cuts, and resumes them."""

import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from saccade.data import output as writing
from saccade.train import state

from .runs import leftovers, output, result, start, wait

CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.truncate", "shutil.rmtree")
WRITING = os.O_WRONLY | os.O_RDWR


class Straight:
    """A run that is never killed, and what all others must end with."""

    def __init__(self, task: str, place: Path):
        self.task, self.place = task, place
        folder = self.new("straight")
        loaded = folder.parent / "modules"
        assert wait(start(task, folder, after=lambda: loaded.write_text("\n".join(sys.modules)))) == 0, output(folder)
        for name in loaded.read_text().split():  # once, and not in each of the processes that are forked from this one
            with suppress(ImportError):
                importlib.import_module(name)
        self.files = result(folder)
        began = time.monotonic()
        assert wait(start(task, self.new("timed"))) == 0
        self.seconds = time.monotonic() - began

    def new(self, name: str) -> Path:
        """The folder of another run of this task, under the same name: it is part of the model."""
        return self.under(self.place / name)

    def under(self, root: Path) -> Path:
        """The same in a folder of its own, from which it finds its data."""
        (root / "runs").mkdir(parents=True)
        for data in ("set", "captioned"):
            (root / data).symlink_to(self.place.parent / data)
        return root / "runs" / self.task

    def finish(self, folder: Path) -> list[str]:
        """Resume a run until it ends, and say what is wrong with it then."""
        return self.faults(folder, wait(start(self.task, folder)))

    def faults(self, folder: Path, code: int) -> list[str]:
        """What is wrong with a run that has ended. code: the exit status of its last process."""
        if code:
            return [f"it ends with {code}: {output(folder)[-500:]}"]
        files = result(folder)
        other = [name for name in files.keys() | self.files.keys() if files.get(name) != self.files.get(name)]
        return [*(f"{name} differs" for name in sorted(other)), *(f"{name} is left" for name in leftovers(folder))]


def at_random_moments(straight: Straight, kills: int, seed: int, most: int = 3) -> list[str]:
    """Kill that many runs, each up to `most` times, at moments of the time that a run takes. Returns what is wrong."""
    chance, wrong = random.Random(seed), []
    for i in range(kills):
        folder = straight.new(f"random-{i}")
        for _ in range(chance.randint(1, most)):
            process = start(straight.task, folder)
            time.sleep(chance.random() * straight.seconds)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            wait(process)
        wrong += [f"kill {i}: {fault}" for fault in straight.finish(folder)]
    return wrong


def count_events(straight: Straight) -> tuple[int, list[int]]:
    """Number of operations on files of a run; and the numbers at which tensors are written in part, counting these."""
    counted, parted = straight.new("counted"), straight.new("counted-half")
    for folder, half in ((counted, False), (parted, True)):

        def note(i: int, in_part: bool, folder: Path = folder) -> None:
            with (folder.parent / "events").open("a") as file:
                file.write(f"{i * in_part}\n")

        watch = partial(_watch, folder, note, half)
        assert wait(start(straight.task, folder, watch)) == 0
    events, parts = ((folder.parent / "events").read_text().split() for folder in (counted, parted))
    return len(events), [int(i) for i in parts if i != "0"]


def at_file_events(straight: Straight, events: list[int], half: bool = False, jobs: int = 8) -> list[str]:
    """Kill a run just before its operation number n on a file, for each of these. half: tensors are written in part
    before. jobs: runs at a time. Returns what is wrong."""
    wrong = []
    for some in (events[i : i + jobs] for i in range(0, len(events), jobs)):
        folders = {n: straight.new(f"event-{n}{'-half' * half}") for n in some}
        watches = {n: partial(_watch, folders[n], partial(_kill_at, n), half) for n in some}
        killed = [start(straight.task, folders[n], watches[n]) for n in some]
        codes = [wait(each) for each in killed]
        resumed = [start(straight.task, folders[n]) for n in some]
        for n, code, process in zip(some, codes, resumed, strict=True):
            faults = straight.faults(folders[n], wait(process))
            if code == 0:
                print(f"{straight.task}: operation {n} was not reached", flush=True)
            elif code != -signal.SIGKILL:
                faults.append(f"it ended with {code} before: {output(folders[n])[-500:]}")
            wrong += [f"event {n}: {fault}" for fault in faults]
            if not faults:
                shutil.rmtree(folders[n].parents[1])
    return wrong


def _kill_at(number: int, event: int, in_part: bool) -> None:
    if event >= number:
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(folder: Path, event: Callable[[int, bool], None], half: bool = False) -> None:
    """Call `event` before each operation of this process that changes the folder or a file in it, with its number and
    whether the file is written in part."""
    seen, inside = 0, os.fsencode(folder.absolute())

    def happens(in_part: bool = False) -> None:
        nonlocal seen
        seen += 1
        event(seen, in_part)

    def audit(name: str, arguments: tuple[Any, ...]) -> None:
        changes = name in CHANGES or (name == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING)
        if changes and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsencode(os.fspath(arguments[0])))
            if path.startswith(inside):
                happens()

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            happens()
            return function(*arguments, **options)

        return called

    def in_part(tensors: Any, file: Path, *rest: Any) -> None:
        write(tensors, file, *rest)
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        happens(in_part=True)
        file.write_bytes(content)

    sys.addaudithook(audit)
    os.fsync = before(os.fsync)
    writing._exchange = before(writing._exchange)
    write = before(state.write_tensors)
    state.write_tensors = in_part if half else write


class Disk:
    """An ext4 file system in a file, mounted at `place`. Needs root.

    Raises OSError where it cannot be mounted."""

    def __init__(self, image: Path, place: Path):
        self.image, self.place = image, place
        place.mkdir(parents=True, exist_ok=True)
        if not image.exists():
            with image.open("wb") as file:
                file.truncate(64 << 20)
            self._run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", str(image))
        self._run("mount", "-o", "loop", str(image), str(place))

    def cut_power(self, process: int, copy: Path) -> None:
        """Copy what would be on the disk if the power failed now: what the system has not written yet is not in it."""
        os.kill(process, signal.SIGSTOP)
        try:
            self._run("cp", "--sparse=always", str(self.image), str(copy))
        finally:
            os.kill(process, signal.SIGCONT)

    def close(self) -> None:
        self._run("umount", str(self.place))

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def by_power_cuts(straight: Straight, moments: int, seed: int, before: Callable[[], None]) -> list[str]:
    """Copy the disk of one run at that many moments, some of them just after a state got its name, and go on from each
    copy. before: called in the run.

    Returns what is wrong, and for each moment how far the run had come and from where it went on."""
    chance, said = random.Random(seed), []
    disk = Disk(straight.place / "disk.img", straight.place / "disk")
    folder = straight.under(disk.place)
    os.sync()
    copies: list[tuple[Path, str]] = []
    try:
        process = start(straight.task, folder, before)
        at = sorted(time.monotonic() + chance.random() * straight.seconds for _ in range(moments // 2))
        while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and len(copies) < moments:
            newest = _newest(folder)
            is_new = newest and newest not in [seen for _, seen in copies]  # it has just got its name
            if is_new or (at and time.monotonic() > at[0]):
                at = at if is_new else at[1:]
                copies.append((straight.place / f"cut-{len(copies)}.img", newest))
                disk.cut_power(process, copies[-1][0])
            time.sleep(0.001)
        assert wait(process) == 0
    finally:
        disk.close()
    for i, (image, newest) in enumerate(copies):
        after = Disk(image, straight.place / f"cut-{i}")
        try:
            there = after.place / "runs" / straight.task
            found = _newest(there)
            said.append(f"cut {i}: {newest or 'no state'} before, {found or 'no state'} after")
            if newest and not found:
                said.append(f"cut {i}: WRONG: no state survived")
            if (there / ".lock").exists():
                said += [f"cut {i}: WRONG: {fault}" for fault in straight.finish(there)]
        finally:
            after.close()
            image.unlink()
    return said


def _newest(folder: Path) -> str:
    return max((place.name for place in state.list_states(folder / "state")), default="")
