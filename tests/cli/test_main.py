"""What every command shares: help, exit codes, one line on what went wrong."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from saccade.cli import main as main_function
from saccade.cli import models

COMMANDS = [
    ["look"], ["train", "classify"], ["train", "detect"], ["train", "segment"], ["val"], ["predict"], ["models"],
    ["scenes"], ["doctor"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(saccade, command):
    completed = saccade(*command, "--help")
    assert (completed.code, completed.err) == (0, "")
    assert re.search(r"[Ee]xamples?:", completed.out)
    assert "saccade " + " ".join(command) in completed.out


def test_help_lists_the_commands(saccade):
    for arguments in ([], ["--help"], ["-h"]):
        completed = saccade(*arguments)
        assert completed.code == 0
        for command in ("look", "models", "predict", "train", "val"):
            assert re.search(rf"^│ {command} ", completed.out, re.MULTILINE)


def test_version(saccade):
    import saccade as library

    assert saccade("--version").out.strip() == library.__version__


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["fly"], "fly"),
        (["look", "--colour", "red"], "--colour"),
        (["models", "cifar", "b.png"], "b.png"),
        (["look", "--size", "big"], "--size"),
        (["look", "--size", "0"], "--size"),
        (["look", "--size"], "--size"),
        (["predict"], "pictures"),
        (["predict", "x.png", "--top", "0"], "--top"),
        (["predict", "x.png", "--top", "few"], "--top"),
        (["predict", "x.png", "--json", "--csv"], "exclude each other"),
        (["predict", "x.png", "--on-error", "ignore"], "--on-error"),
        (["val"], "data"),
        (["val", "x", "--device", "tpu"], "--device"),
        (["train", "classify"], "--data"),
        (["train", "fly"], "fly"),
        (["train", "classify", "--data", "x", "--epochs", "0"], "--epochs 0"),
        (["train", "classify", "--data", "x", "--epochs", "many"], "--epochs many"),
        (["train", "classify", "--data", "x", "--adam-lr", "-1"], "--adam-lr -1"),
        (["train", "classify", "--data", "x", "--crop", "round"], "--crop round"),
        (["train", "classify", "--data", "x", "--val-fraction", "1"], "--val-fraction"),
        (["generate", "a red star", "--look"], "see saccade generate --help"),
        (["train", "detect"], "--data"),
        (["train", "detect", "--data", "x", "--queries", "0"], "--queries 0"),
    ],
)
def test_a_wrong_command_line_is_2_and_says_what(saccade, arguments, named):
    completed = saccade(*arguments)
    assert completed.code == 2
    assert named in completed.line
    assert "pydantic" not in completed.line
    assert "nullable" not in completed.line


@pytest.mark.parametrize("arguments", [["look", "none.png"], ["predict", "none.png"], ["val", "none"]])
def test_data_that_is_not_there_is_1(saccade, model, arguments):
    completed = saccade(*arguments, "--model", model)
    assert completed.code == 1
    assert "none" in completed.line
    assert "does not exist" in completed.line


@pytest.mark.parametrize("command", [["look"], ["predict"], ["val"]])
def test_a_model_that_is_not_there_is_1(saccade, red, command):
    completed = saccade(*command, red, "--model", "nosuch")
    assert completed.code == 1
    assert "no model 'nosuch'" in completed.line


def test_debug_shows_where_it_came_from(saccade):
    plain, debug = saccade("look", "none.png"), saccade("look", "none.png", "--debug")
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err
    assert "DataError" in debug.err
    assert debug.err.splitlines()[-1] == plain.line
    assert debug.code == plain.code == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 3 GiB"), 1, "not enough memory.*--size"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), 1, "not enough memory"),
        (RuntimeError("odd\nthings"), 1, "should not have happened: RuntimeError: odd things"),
        (ZeroDivisionError(), 1, "should not have happened: ZeroDivisionError"),
        (PermissionError(13, "Permission denied", "x"), 1, "Permission denied.*x"),
    ],
)
def test_every_error_is_one_line(saccade, monkeypatch, red, error, code, message):
    def fail(path):
        raise error

    monkeypatch.setattr("saccade.data.images.read_image", fail)
    result = saccade("look", red)
    assert result.code == code
    assert re.search(message, result.line)


def test_an_error_is_no_markup_and_no_terminal_codes(saccade):
    completed = saccade("look", "[red]no[/red] \x1b[31m\nthere.png")
    assert "[red]no[/red]" in completed.line
    assert "\x1b" not in completed.err


def test_models_lists_what_is_embedded(saccade, monkeypatch, model):
    monkeypatch.setattr(models, "bundled", lambda: ["tiny"])
    monkeypatch.setattr(models, "bundled_folder", lambda name: model)
    completed = saccade("models")
    assert completed.code == 0
    for part in ("tiny", "classify", "16 x 16", "top1 0.500"):
        assert part in completed.out
    import json

    assert json.loads(saccade("models", "--json").out)["tiny"]["scores"] == {"top1": 0.5}


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "saccade", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        **options,
    )


def test_as_a_program_in_a_plain_locale(tmp_path):
    plain = {**os.environ, "LC_ALL": "C", "COLUMNS": "200"}
    completed = process("look", "한 글.png", cwd=tmp_path, env=plain)
    assert completed.returncode == 1
    assert completed.stdout == ""
    assert re.fullmatch(r"saccade: .*does not exist.*\n", completed.stderr)


def test_a_closed_pipe_is_no_error(tmp_path, model):
    from ..tasks import tiny

    tiny.folder(tmp_path / "photos", each=2)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        completed = subprocess.run(
            [sys.executable, "-m", "saccade", "predict", "photos", "--csv", "--model", str(model)],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            timeout=240,
            check=False,
        )
    assert completed.stderr == ""
    assert completed.returncode not in (2, 120)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize("module", ["cyclopts", "torch"])
def test_ctrl_c_while_the_library_is_loaded_is_one_line(tmp_path, module):
    """Python imports `module` a moment after the signal, which comes while the one before it is being loaded."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.abc, os, signal, sys\n"
        "class Interrupts(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
    )
    (tmp_path / "a.png").touch()
    completed = process("predict", tmp_path / "a.png", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (completed.returncode, completed.stdout, completed.stderr) == (130, "", "saccade: interrupted\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device to write to")
def test_a_full_disk_behind_standard_output_is_one_line():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "saccade", "models"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("saccade: standard output, or a temporary file, cannot be written (No space left")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize(("number", "said"), [(signal.SIGTERM, "terminated"), (signal.SIGHUP, "the terminal closed")])
def test_a_terminated_command_leaves_nothing_half_written(saccade, model, red, monkeypatch, tmp_path, number, said):
    from saccade.data import output

    def write(file, out, durable=True):
        signal.raise_signal(number)
        raise AssertionError("it went on")

    monkeypatch.setattr(output, "move_into_place", write)
    done = saccade("predict", red, "--model", model, "--json", "--out", "result.json")
    assert (done.code, done.err) == (128 + number, f"saccade: {said}\n")
    assert [file.name for file in tmp_path.iterdir()] == ["red.png"]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_loading_the_commands_leaves_ctrl_c_as_it_was():
    from saccade.cli.interrupt import exit_on_signal

    before = signal.getsignal(signal.SIGINT)
    with exit_on_signal():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(exit_on_signal().__enter__).exception() is None
    assert signal.getsignal(signal.SIGINT) is before


def test_the_face_shows_what_it_promises_and_loads_it_late():
    ask = (
        "import sys, saccade; assert 'torch' not in sys.modules; assert not set(saccade.__all__) - set(dir(saccade)); "
        "from saccade import *; print(all(name in globals() for name in saccade.__all__)); "
        "print(saccade.ops.attend is attend, saccade.lens.watch is watch, hasattr(saccade, 'wath'))"
    )
    completed = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=240, check=False)
    assert (completed.stdout.split(), completed.stderr) == (["True", "True", "True", "False"], "")


def test_main_is_what_the_script_calls():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="saccade")
    assert script.load() is main_function


def test_an_interrupt_that_something_wrapped_is_still_one(saccade, monkeypatch):
    def interrupted(*_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("while a module was loaded") from error

    monkeypatch.setattr(models, "bundled", interrupted)
    completed = saccade("models")
    assert completed.code == 130
    assert completed.line == "saccade: interrupted"


@pytest.mark.parametrize(
    "arguments",
    [
        ("look", ""), ("predict", ""), ("doctor", ""), ("doctor", "--pairs", "a", ""), ("scenes", " "), ("val", ""),
        ("train", "detect", "--data", ""), ("generate", "a star", "--film", ""), ("generate", "a star", "--image", ""),
    ],
)  # fmt: skip
def test_an_empty_path_is_not_the_current_folder(saccade, arguments):
    refused = saccade(*arguments)
    assert refused.code in (1, 2)
    assert "an empty path" in refused.line
