"""Ten families of models as the coverage benchmark sees them, and that the benchmark can see a lens that errs."""

import importlib
import re
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from .models import Attend, Stack, eager

FAMILIES = ("clip", "detr", "groupvit", "llava", "mobilenet_v1", "qwen2_vl", "segformer", "siglip", "swin", "vivit")
CAPTURED = {"clip", "detr", "llava", "qwen2_vl", "swin", "vivit"}


@pytest.fixture(scope="module")
def benchmark():
    """The modules of the benchmark, which stand beside one another in a folder of scripts."""
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield importlib.import_module("coverage_look")
    finally:
        sys.path.remove(folder)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore")
def test_a_family(benchmark, family):
    cases, _ = importlib.import_module("tiny_families").every_case(re.compile(re.escape(family)))
    (case,) = cases
    row = benchmark.examine(case)
    assert row.status in (("captured",) if family in CAPTURED else ("captured", "missed", "none")), row
    assert (row.status == "none") == (family == "mobilenet_v1")
    assert row.eager.status in ("captured", "missed", "none"), row.eager


def look(benchmark, model, *args):
    subject = benchmark.Subject(model.eval(), args)
    truth, ran = benchmark.true_maps(model, subject)
    return benchmark.look_at(model, subject, truth, ran), truth


def test_the_truth_is_every_map_by_value(benchmark):
    model, x = Stack(a=Attend(how=eager), b=Attend(), cross=Attend()), torch.randn(2, 5, 14)
    _, truth = look(benchmark, model, x, torch.randn(2, 11, 14))
    assert [one.name for one in truth] == ["blocks.a", "blocks.b", "blocks.cross"]
    first = model.blocks["a"]
    q, k = (first._split(layer(x)) for layer in (first.q, first.k))
    assert benchmark.alike(truth[0].value, (q @ k.mT / 7**0.5).softmax(-1))
    assert not benchmark.alike(truth[0].value, (q @ k.mT / 6**0.5).softmax(-1))


def test_weights_of_the_model_itself_are_no_sources(benchmark):
    class Router(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = nn.Linear(14, 3, bias=False), nn.Parameter(torch.randn(3, 14))

        def forward(self, x):
            return self.gate(x).softmax(-1) @ self.experts

    _, truth = look(benchmark, Router(), torch.randn(2, 5, 14))
    assert not truth


@contextmanager
def tampered(benchmark, monkeypatch, tamper):
    real = benchmark.saccade.watch

    @contextmanager
    def watch(model):
        with real(model) as trace:
            yield trace
        tamper(trace)

    with monkeypatch.context() as patch:
        patch.setattr(benchmark.saccade, "watch", watch)
        yield


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lambda trace: trace._calls.pop(), "silent"),
        (lambda trace: setattr(trace._calls[0], "scale", 1.0), "differing"),
    ],
)
def test_a_lens_that_errs_is_noticed(benchmark, monkeypatch, tamper, found):
    model, x = Stack(a=Attend(), b=Attend()), torch.randn(2, 5, 14)
    with tampered(benchmark, monkeypatch, tamper):
        seen, _ = look(benchmark, model, x)
    assert seen.status == "wrong"
    assert getattr(seen, found)


def test_a_changed_output_is_noticed(benchmark):
    class Counting(nn.Module):
        runs = 0

        def forward(self, x):
            self.runs += 1
            return F.relu(x) + self.runs

    seen, _ = look(benchmark, Counting(), torch.randn(2, 3))
    assert seen.changed
    assert seen.status == "wrong"
