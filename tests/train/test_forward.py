import shutil
import subprocess
import sys

import pytest
import torch
from torch import nn

from saccade.train import forward, train

from .points import Points, quick


def failing_compiler(monkeypatch):
    def backend(graph, inputs):
        raise TypeError("cannot determine truth value")

    def compiled(model):
        return torch.compile(model, backend=backend)

    monkeypatch.setattr(forward, "should_compile", lambda config, device, steps: config.compile != "no")
    task = Points()
    task.compiled = compiled
    return task


def test_a_run_goes_on_where_the_compiler_fails(tmp_path, monkeypatch, capsys):
    task = failing_compiler(monkeypatch)
    train(task, quick(compile="auto"), tmp_path / "auto")
    said = capsys.readouterr().out
    assert said.count("goes on without torch.compile") == 1
    assert "cannot determine truth value" in said
    train(uncompiled := Points(), quick(compile="no"), tmp_path / "no")
    assert task.losses == uncompiled.losses
    assert len(task.losses) == 8


def test_a_compiler_that_was_asked_for_must_not_fail(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="cannot determine truth value"):
        train(failing_compiler(monkeypatch), quick(compile="yes"), tmp_path)


def test_an_error_of_the_model_is_not_taken_for_one_of_the_compiler(tmp_path, monkeypatch):
    task = Points()
    monkeypatch.setattr(forward, "should_compile", lambda config, device, steps: True)
    task.compiled = lambda model: nn.Linear(5, 3)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        train(task, quick(compile="auto"), tmp_path)


COMPILED = """
import torch
from saccade.layers.block import BlockConfig
from saccade.models.vit import ViT, ViTConfig
from saccade.tasks.training import Training

block = BlockConfig(width=16, heads=2, hidden=16)
model = ViT(ViTConfig(patch=4, window=8, grid=(5, 5), positions=("rotary",), depth=1, block=block))
compiled = Training.compiled(object.__new__(Training), model)
for side in (12, 20):
    x = torch.randn(2, 3, side, side)
    found = compiled(x)
    torch.testing.assert_close(found, model(x))
    found.sum().backward()
"""


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler")
def test_a_model_is_compiled_at_every_size_of_a_run():
    """torch 2.13 compiles for sizes in general from the second one on unless told not to, which fails on a CPU. In a
    process of its own, as the checks of shapes in tests cannot be compiled."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
