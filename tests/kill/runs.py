"""Small training runs of several tasks, each in a process of its own that can be killed."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch._dynamo  # all that a run loads is loaded once, before processes are forked
from PIL import Image

from saccade.cli import main
from saccade.models import PRESETS
from saccade.train import train

from ..train.points import Points, quick

TOY = {"depth": 1, "patch": 4, "positions": ("rotary",), "block": {"width": 16, "heads": 2, "hidden": 24}}
COMMON = ["--epochs", "3", "--batch", "8", "--precision", "fp32", "--compile", "no", "--device", "cpu"]
TEXT = ["--text-width", "32", "--text-depth", "1"]
COMMANDS = {
    "classify": ["--data", "set", "--model", "toy", "--size", "16"],
    "match": ["--data", "captioned", "--model", "toy", "--size", "16", "--width", "8", *TEXT],
    "generate": ["--data", "captioned", "--size", "16", "--width", "32", "--depth", "1", "--views", "1", *TEXT],
}
TASKS = ["points", "classify", "match", "generate"]


def start(
    task: str, folder: Path, before: Callable[[], object] = lambda: None, after: Callable[[], object] = lambda: None
) -> int:
    """Train in a new process, or go on with the run that is there. Returns the process id.

    before, after: called in that process first and last. It is forked, as loading PyTorch would take most of the time.
    """
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(os.open(folder.parent / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), 2)
        torch.set_num_threads(1)
        before()
        code = _train(task, folder)
        after()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(process: int, seconds: float = 900) -> int:
    """The exit status of a process: negative after a signal. Kills it after some time."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.002)


def result(folder: Path) -> dict[str, bytes]:
    """What a finished run has written: the model, the newest state, and the log without its times."""
    newest = sorted((folder / "state").glob("step-*"))[-1]
    files = {f"model/{file.name}": file.read_bytes() for file in (folder / "model").iterdir()}
    files |= {f"{newest.name}/{file.name}": file.read_bytes() for file in newest.iterdir()}
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_bytes().splitlines()]
    files["log.jsonl"] = json.dumps([{k: v for k, v in line.items() if k != "seconds"} for line in lines]).encode()
    return files


def output(folder: Path) -> str:
    """What the processes of a run have printed on standard error."""
    return (folder.parent / "output.txt").read_text(errors="replace")


def leftovers(folder: Path) -> list[str]:
    """Files of writes that were not finished."""
    return [str(place.relative_to(folder)) for place in folder.rglob(".*") if place.name != ".lock"]


def make_data(folder: Path) -> None:
    """The pictures that the runs read, in a folder in which each run has a folder of its own."""
    colours = {"red": (220, 40, 30), "green": (30, 200, 60), "blue": (40, 50, 210)}
    for name, colour in colours.items():
        (folder / "set" / name).mkdir(parents=True)
        (folder / "captioned").mkdir(exist_ok=True)
        for i in range(8):
            image = Image.new("RGB", (16, 16), tuple(c + i for c in colour))
            image.save(folder / "set" / name / f"{i}.png")
            image.save(folder / "captioned" / f"{name}{i}.png")
            (folder / "captioned" / f"{name}{i}.txt").write_text(f"a {name} wall {i}\n")


def _train(task: str, folder: Path) -> int:
    """folder: .../runs/NAME."""
    resume = (folder / ".lock").exists()
    if task == "points":
        train(Points(), quick(epochs=3), folder, resume)
        return 0
    os.chdir(folder.parents[1])
    PRESETS["toy"] = TOY  # type: ignore[index]
    options = [] if (folder / "config.json").exists() else [*COMMANDS[task], *COMMON]
    try:
        main(["train", task, "--name", folder.name, *options, *["--resume"] * resume])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
