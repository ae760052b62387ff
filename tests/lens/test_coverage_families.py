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
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from .models import Attend, Stack, eager

FAMILIES = ("clip", "detr", "groupvit", "llava", "mobilenet_v1", "qwen2_vl", "segformer", "siglip", "swin", "vivit")
CAPTURED = {"clip", "detr", "llava", "qwen2_vl", "swin", "vivit"}


@pytest.fixture(scope="module")
def benchmark():
    """The module that compares a watched model with its true maps; `benchmarks` is importable from the root."""
    root = str(Path(__file__).parents[2])
    sys.path.insert(0, root)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield importlib.import_module("benchmarks.coverage.compare")
    finally:
        sys.path.remove(root)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore")
def test_a_family(benchmark, family):
    cases, _ = importlib.import_module("benchmarks.coverage.families.cases").every_case(re.compile(re.escape(family)))
    (case,) = cases
    row = benchmark.examine(case)
    assert row.status in (("captured",) if family in CAPTURED else ("captured", "missed", "none")), row
    assert (row.status == "none") == (family == "mobilenet_v1")
    assert row.eager.status in ("captured", "missed", "none"), row.eager


def look(benchmark, model, *args):
    subject = benchmark.Subject(model.eval(), args)
    truth = benchmark.true_maps(model, subject)
    return benchmark.look_at(model, subject, truth), truth.maps


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


def turned(q, k, v):
    """Channels first, as networks of convolutions have it: the map is turned, which makes it no other map."""
    weights = (q @ k.mT * 0.3).softmax(-1)
    return (v.mT @ weights.mT.expand(2, -1, -1, -1).contiguous()).mT


def forced(q, k, v):
    """A kernel that the model itself insists on."""
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return F.scaled_dot_product_attention(q, k, v, scale=0.3)


def flexed(q, k, v):
    return flex_attention(q, k, v, lambda score, b, h, i, j: score + h - (i - j).abs(), scale=0.3)


WAYS = {"turned": turned, "forced": forced, "flexed": flexed}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore")
def test_the_truth_of_other_ways_to_attend(benchmark, way):
    seen, truth = look(benchmark, Stack(a=Attend(how=WAYS[way])), torch.randn(2, 5, 14))
    assert seen.status == "captured", seen
    assert len(truth) == 1
    torch.testing.assert_close(truth[0].value.sum(-1), torch.ones(2, 2, 5))


def test_a_map_whose_heads_are_mixed_afterwards_is_told_apart(benchmark):
    talking = Attend(how=lambda q, k, v: mixed((q @ k.mT * 0.3).softmax(-1)) @ v)
    talking.mix = nn.Linear(2, 2)

    def mixed(weights):
        return talking.mix(weights.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    seen, _ = look(benchmark, Stack(a=talking, b=Attend()), torch.randn(2, 5, 14))
    assert (seen.status, seen.maps, seen.noted) == ("captured", 2, 1)


def test_attention_of_another_kind_is_counted(benchmark):
    class GatedDelta(nn.Linear):
        pass

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear_attn, self.attention = GatedDelta(14, 14), Attend()

        def forward(self, x):
            return self.attention(self.linear_attn(x))

    seen, _ = look(benchmark, nn.Sequential(Layer()), torch.randn(2, 5, 14))
    assert (seen.status, seen.otherwise) == ("captured", ["0.linear_attn"])


def test_what_rounding_sets_apart_is_compared_in_float64(benchmark):
    """Scores so large that their last digits decide the maps."""
    torch.manual_seed(1)
    model = Stack(a=Attend(), b=Attend(), c=Attend()).eval()
    for p in model.parameters():
        p.data.mul_(8)
    case = benchmark.Case("steep", "timm", lambda: benchmark.Subject(model, (torch.randn(2, 101, 14),)))
    row = benchmark.examine(case)
    assert row.status == "captured", row
    assert row.why == benchmark.DOUBLED


def test_the_page(benchmark):
    report = importlib.import_module("benchmarks.coverage.report")
    look = benchmark.Look(maps=2, matched=2, named={"0.linear_attn": "it ran, but no attention was seen in it"})
    look.otherwise = ["0.linear_attn"]
    rows = [
        benchmark.Row("vit", "transformers", "captured", look=look, eager=look, peers={"default": 0, "eager": 2}),
        benchmark.Row("resnet", "transformers", "none"),
        benchmark.Row("dinat", "transformers", why="it needs natten, which is not installed"),
    ]
    page = report.markdown(rows, ["timm (No module named 'timm')"])
    assert "| transformers | 3 | 1 | 0 | 0 | 0 | 1 | 1 | 1 of 1 (100.0%) |" in page
    assert "| vit | captured | 2/2 | captured 2/2 | none | all | 1 |  |" in page
    assert "No attention: resnet." in page
    assert "- dinat: it needs natten, which is not installed." in page
    assert "timm (No module named 'timm')" in page


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
