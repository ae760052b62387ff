"""A case: made from its reader and number, run under limits, reduced, saved and read back."""

import base64
import contextlib
import json
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType

from saccade.errors import SaccadeError
from tests.fuzz.mutate import Tree, mutate
from tests.fuzz.readers import READERS

SECONDS, BYTES = 5.0, 1 << 30
LONGEST = 3000  # characters of a message
TRIES = 400  # runs to reduce a case


class TooSlow(BaseException):
    """Raised inside a case that takes too long; not an Exception, which readers may catch."""


@dataclass(frozen=True)
class Failure:
    """kind: where and what, equal for cases with one cause. text: the traceback."""

    kind: str
    text: str


def make_case(reader: str, number: int) -> Tree:
    """The files of a case: the same in every run."""
    rng, trees = Random(f"{reader} {number}"), _seeds(reader)
    return mutate(rng.choice(trees), trees + _seeds("picture") + _seeds("captions"), rng)


@cache
def _seeds(reader: str) -> list[Tree]:
    return READERS[reader].seeds()


def run_case(reader: str, tree: Tree) -> Failure | None:
    """Run a reader on files; None if it behaves."""
    with _written(tree) as root, _limited_time():
        before, start = _memory("VmRSS"), time.process_time()
        try:
            _reset_peak()
            READERS[reader].run(root)
        except SaccadeError as error:
            message = str(error)
            if not message.isprintable() or len(message) > LONGEST:
                return _failure(error, f"a message that is not one short printable line: {ascii(message)[:300]}")
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            return _failure(error, "")
        if (taken := time.process_time() - start) > SECONDS:
            return Failure(f"{reader}: over {SECONDS:g} s", f"{taken:.1f} s of processor time")
        if (grown := _memory("VmHWM") - before) > BYTES:
            return Failure(f"{reader}: over 1 GB", f"{grown / 2**30:.2f} GB")
    return None


def reduce_case(reader: str, tree: Tree, kind: str) -> Tree:
    """A smaller tree that fails in the same way: files, then pieces of files are left out."""
    left = TRIES

    def fails(smaller: Tree) -> bool:
        nonlocal left
        left -= 1
        found = run_case(reader, smaller) if left >= 0 else None
        return found is not None and found.kind == kind

    for name in sorted(tree):
        if len(tree) > 1 and fails(smaller := {key: data for key, data in tree.items() if key != name}):
            tree = smaller
    for name in sorted(tree):
        size = max(1, len(tree[name]) // 2)
        while left > 0 and tree[name]:
            at = 0
            while at < len(tree[name]):
                smaller = tree | {name: tree[name][:at] + tree[name][at + size :]}
                if fails(smaller):
                    tree = smaller
                else:
                    at += size
            if size == 1:
                break
            size = max(1, size // 2)
    return tree


def save_case(out: Path, reader: str, tree: Tree, failure: Failure) -> Path:
    """Write a case as JSON; the name is that of its reader and a number."""
    out.mkdir(parents=True, exist_ok=True)
    path = next(p for i in range(10**6) if not (p := out / f"{reader.replace(' ', '-')}-{i}.json").exists())
    files = {name: base64.b64encode(data).decode() for name, data in tree.items()}
    path.write_text(
        json.dumps({"reader": reader, "failure": failure.kind, "files": files, "text": failure.text}, indent=1)
    )
    return path


def open_case(path: Path) -> tuple[str, Tree]:
    """The reader and the files of a saved case."""
    held = json.loads(path.read_text())
    return held["reader"], {name: base64.b64decode(data) for name, data in held["files"].items()}


def _failure(error: BaseException, what: str) -> Failure:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.name != "stop"]
    ours = [f for f in frames if "/saccade/" in f.filename] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].name}"
    text = "".join(traceback.format_exception(error, limit=-12))
    return Failure(f"{type(error).__name__} in {place}{' (message)' if what else ''}", f"{what}\n{text}"[-6000:])


@contextlib.contextmanager
def _written(tree: Tree) -> Iterator[Path]:
    fast = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="fuzz-", dir=fast if fast.is_dir() else None))
    try:
        for name, data in tree.items():
            path = root / name.lstrip("/")
            with contextlib.suppress(OSError, ValueError):  # a name that no file system has
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"over {SECONDS:g} s")

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _memory(name: str) -> int:
    """VmRSS or VmHWM of this process in bytes; 0 where /proc has none."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith(f"{name}:")), 0)
