"""The documents are true: the tree lists what there is, the README's example runs, its commands and links exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from saccade.tasks.generate.settings import Settings

from .tasks.generate import generators

ROOT = Path(__file__).parents[1]


def listed_paths() -> set[str]:
    """Paths in the tree of CONTRIBUTING.md, relative to the root; folders end with a slash."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.split("<!-- tree -->")[1].split("```")[1]
    paths, parents = set(), []
    for line in tree.strip().splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        parents = [*parents[:depth], name]
        paths.add("".join(parents))
    return paths


def test_what_the_tree_lists_is_there():
    for path in listed_paths():
        assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file(), path


def test_the_tree_lists_what_is_there():
    source = ROOT / "src" / "saccade"
    packages = {path.parent for path in source.glob("*/**/__init__.py")} - {source}
    folders = {f"{path.relative_to(ROOT).as_posix()}/" for path in packages if len(path.relative_to(source).parts) <= 2}
    modules = {path.relative_to(ROOT).as_posix() for path in source.glob("[a-z]*.py")}
    assert folders | modules <= listed_paths()


def test_every_task_has_the_same_files():
    tasks = ROOT / "src" / "saccade" / "tasks"
    usual = {"task", "result", "recipe", "training", "loss", "batches", "scores", "draw", "report", "commands"}
    for room in ("classify", "detect", "segment"):
        assert usual <= {path.stem for path in (tasks / room).glob("*.py")}, room


def test_the_example_of_the_readme_runs_as_pasted():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = text.split("<!-- python-example -->")[1].split("```")[1].removeprefix("python\n")
    assert len([line for line in example.splitlines() if line.strip()]) == 5
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "docs/ship.jpg: ship 89%" in done.stdout


def test_the_example_of_the_page_on_generation_runs(tmp_path, monkeypatch):
    """With a generator of a few thousand weights in place of the bundled one."""
    generators.task().save(tmp_path / "tiny")
    text = (ROOT / "docs" / "generate.md").read_text(encoding="utf-8")
    example = text.split("<!-- generate-example -->")[1].split("```")[1].removeprefix("python\n")
    monkeypatch.chdir(tmp_path)
    exec(example.replace('"painter"', '"tiny"'), names := {})
    assert names["again"].settings == Settings.from_metadata(tmp_path / "star.png")


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "docs/README.md", "docs/generate.md", "findings/README.md"]
)
def test_links_lead_somewhere(document):
    file = ROOT / document
    for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target
