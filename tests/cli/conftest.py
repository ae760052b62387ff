"""Commands run in this process, in a folder of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from saccade.cli import main

from ..tasks import tiny


@dataclass
class Completed:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error, which is all there is on stderr."""
        (line,) = self.err.splitlines()
        assert line.startswith("saccade: ")
        assert "Traceback" not in line
        assert self.out == ""
        return line


@pytest.fixture
def saccade(capsys, tmp_path, monkeypatch) -> Callable[..., Completed]:
    """saccade("look", picture) -> its exit code and output; the current folder is tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Completed:
        capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
        return Completed(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """The folder of a classifier of blue, green and red with random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.task().save(folder, scores={"top1": 0.5})
    return folder


@pytest.fixture
def red(tmp_path) -> Path:
    tiny.picture("red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


@pytest.fixture
def photos(tmp_path) -> Path:
    """photos/{blue,green,red}/{0,1}.png"""
    return tiny.folder(tmp_path / "photos", each=2)
