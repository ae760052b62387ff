"""Modules that are built without random weights."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from saccade.models.skip_init import SkipInit
from saccade.tasks.bundled_models import bundled

WITHOUT_COMPILER = """
import sys
from saccade.tasks import load
load(sys.argv[1])
print(sorted(name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules))
"""


def test_the_generator_of_random_numbers_stays_as_it_is():
    before = torch.get_rng_state()
    with SkipInit():
        nn.Sequential(nn.Linear(5, 3), nn.Conv2d(2, 3, 5), nn.Embedding(7, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_shapes_and_gradients_are_those_of_an_initialized_module():
    with torch.device("meta"), SkipInit():
        module = nn.Linear(5, 3)
    assert module.weight.shape == (3, 5)
    assert module.weight.is_meta
    assert module.weight.requires_grad


def test_arithmetic_is_done():
    with SkipInit():
        assert (torch.ones(3) * 2 + torch.zeros(3).fill_(5)).tolist() == [7, 7, 7]


@pytest.mark.parametrize("name", bundled())
def test_opening_a_model_imports_no_compiler(name):
    done = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER, name], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
