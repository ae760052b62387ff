"""What every test shares: checked shapes and fixed seeds.

The shapes written in the signatures of ops, layers and models ("b h n k") are checked at every call a test makes.
The hook must be there before anything imports those modules, so it is installed here, when pytest starts.
"""

import random
import signal
from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from hypothesis import settings

jaxtyping.install_import_hook(["saccade.ops", "saccade.layers", "saccade.models"], "beartype.beartype")

# The same examples on every run, and no deadline: machines that test are busy.
settings.register_profile("saccade", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("saccade")

# A job that a shell starts in the background ignores Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests are made of tiny operations, which several threads only slow down.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """The library as its users run it, without shape checks: to see its own errors, and for torch.compile,
    which cannot trace the checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
