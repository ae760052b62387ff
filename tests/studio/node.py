"""The viewer's modules in node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import saccade.studio

VIEWER = Path(saccade.studio.__file__).parent / "viewer"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def put_modules(folder: Path) -> Path:
    """Copy the viewer where node takes its files for modules."""
    shutil.copytree(VIEWER, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def evaluate(folder: Path, program: str) -> Any:
    """What a program beside the modules in `folder` writes, as JSON."""
    return _run(folder, "--input-type=module", "-e", program)


def decode(folder: Path, script: Path, page: Path, asked: Any) -> Any:
    """What a script reads from a page with the modules in `folder`."""
    return _run(folder, str(script), str(folder), str(page), json.dumps(asked))


def _run(folder: Path, *arguments: str) -> Any:
    done = subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=60, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
