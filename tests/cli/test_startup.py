"""Help, versions and mistakes are answered at once: before PyTorch, NumPy or Pillow are imported."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from saccade.cli.main import COMMANDS
from saccade.cli.task_options import options_to_parameters
from saccade.options import DataOptions
from saccade.tasks.registry import TASKS, task_commands
from saccade.train.config import TrainConfig

HEAVY = {"torch", "numpy", "PIL", "jaxtyping", "einops", "transformers", "torchmetrics", "tqdm"}


def imported_by(*arguments: str) -> tuple[set[str], int, str]:
    """Top-level packages that a command imports, the number of modules, and its output."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "saccade", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    names = re.findall(r"^import time:.*\|\s+(\S+)$", done.stderr, re.MULTILINE)
    return {name.split(".")[0] for name in names}, len(names), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--help"], "Commands"),
        (["--version"], r"\d+\.\d+"),
        (["predict", "--help"], "--masks"),
        (["train", "detect", "--help"], "--denoising-queries"),
        (["val", "--help"], "mIoU"),
        (["look", "--help"], "--text"),
        (["doctor", "--help"], "--fix"),
        (["scenes", "--help"], "--apart"),
        (["predict", "photo.jpg", "--nosuch"], "--nosuch"),
        (["predict", "none.jpg"], "does not exist"),
        (["look", "none.jpg"], "does not exist"),
        (["val", "none"], "does not exist"),
        (["doctor", "none"], "does not exist"),
        (["train", "classify", "--data", "none"], "does not exist"),
        (["generate", "--help"], "--guidance"),
        (["generate", " "], "the prompt is empty"),
        (["generate", "a red star", "--out", "star.jpg"], "ends in .png"),
        (["generate", "--like", "none.png"], "does not exist"),
        (["search", "--help"], "--sheet"),
        (["search", " ", "photos"], "the text is empty"),
        (["search", "a red star", "none"], "does not exist"),
        (["models"], "cifar"),
    ],
)
def test_nothing_heavy_is_imported(arguments, answer):
    packages, modules, output = imported_by(*arguments)
    assert re.search(answer, output)
    assert not packages & HEAVY
    assert modules < 900


@pytest.mark.parametrize(("command", "most"), [("predict", 110), ("look", 360)])
def test_a_picture_needs_no_compiler_and_few_modules(command, most, tmp_path):
    """Beside those of `import torch`, which takes most of the time. most: modules of this package and the others."""
    out = tmp_path / ("page.html" if command == "look" else "labels.txt")
    picture = Path(__file__).parents[2] / "docs" / "ship.jpg"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "saccade", command, str(picture), "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert out.exists(), done.stderr
    names = set(re.findall(r"^import time:.*\|\s+(\S+)$", done.stderr, re.MULTILINE))
    assert not {"torch._dynamo", "torch._inductor", "torch.distributed.tensor", "sympy", "transformers"} & names
    own = [name for name in names if name.split(".")[0] == "saccade"]
    assert len(own) < most
    if command == "predict":
        assert not any(name.startswith(("saccade.lens", "saccade.studio", "saccade.checkpoints")) for name in own)


HELP_WITHOUT_CLASS_SOURCES = """
import inspect, sys
find = inspect.findsource
def modules_only(object):
    if not inspect.ismodule(object):
        raise AssertionError(f"the source of {object} is searched, which takes 20 ms a class")
    return find(object)
inspect.findsource = modules_only
from saccade.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "command", [["train", "classify"], ["train", "match"], ["predict"], ["val"], ["look"], ["generate"]]
)
def test_help_searches_no_source_for_classes_and_renders_no_markdown(command):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", HELP_WITHOUT_CLASS_SOURCES, *command, "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage: saccade" in done.stdout
    assert "rich.markdown" not in done.stderr


def test_help_for_one_task_imports_no_other():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "saccade", "train", "classify", "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert set(re.findall(r"saccade\.tasks\.(\w+)\.", done.stderr)) == {"classify"}


@pytest.mark.parametrize("name", TASKS)
def test_every_option_has_a_help_text(name):
    task = task_commands(name)
    for options in (DataOptions, TrainConfig, task.recipe, task.predict_options, task.val_options):
        for parameter in options_to_parameters(options, "any"):
            assert parameter.annotation.__metadata__[-1].help, parameter


def test_the_overview_says_what_the_commands_say():
    for function, summary in COMMANDS.values():
        module, _, name = function.partition(":")
        docstring = inspect.cleandoc(getattr(import_module(module), name).__doc__)
        assert " ".join(docstring.split("\n\n")[0].split()) == summary
