"""Samplers against flows whose solution is known, in float64."""

import math
from types import SimpleNamespace

import pytest
import torch

from saccade.errors import SaccadeError
from saccade.layers import KeysValues
from saccade.models.generator import SourceKeysValues
from saccade.tasks.generate.sample import Sampling, check_sampler, sample

MEAN, STD = 0.7, 0.3
NOISE = torch.randn(2, 1, 1, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def sources(b: int = 2) -> SourceKeysValues:
    """Keys that tell prompts (2) from negative prompts (-1)."""
    keys = torch.cat([torch.full((b, 1, 1, 1), 2.0), torch.full((b, 1, 1, 1), -1.0)])
    return SourceKeysValues((KeysValues(keys, keys),), torch.ones(2 * b, 1, 1, 1, dtype=torch.bool), {})


class Gaussian:
    """The exact prediction where the data are normal: the mean of the data, given their noised version."""

    def __init__(self):
        self.calls = []

    def predict(self, z, t, sources, interval=None, guidance=None):
        self.calls.append((t[0, 0].item(), len(z)))
        t = t.double()[:, :, None, None, None]
        return MEAN + t * STD**2 / (t**2 * STD**2 + (1 - t) ** 2) * (z - t * MEAN)


class Constant:
    """Predicts what the sources say."""

    def __init__(self):
        self.calls = []

    def predict(self, z, t, sources, interval=None, guidance=None):
        self.calls.append((round(t[0, 0].item(), 6), len(z)))
        return torch.zeros_like(z) + sources.keys_values[0].keys[:, :, :, :, None]


def error(sampler: str, steps: int) -> float:
    """Distance to the solution of the flow, which moves the noise ε to the data μ + σ ε."""
    found = sample(Gaussian(), NOISE, sources(), Sampling(steps, 1.0, sampler=sampler))
    return (found - (MEAN + STD * NOISE)).abs().max().item()


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_falls_with_the_order_of_the_sampler(sampler, order):
    coarse, fine = error(sampler, 100), error(sampler, 200)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)
    assert fine < (0.02, 1e-4)[order - 1]


def test_euler_by_hand():
    z = NOISE
    for i in range(7):
        t = i / 7
        data = MEAN + t * STD**2 / (t**2 * STD**2 + (1 - t) ** 2) * (z - t * MEAN)
        z = z + (data - z) / (1 - t) / 7
    found = sample(Gaussian(), NOISE, sources(), Sampling(7, 1.0))
    torch.testing.assert_close(found, z, rtol=0, atol=1e-7)  # times reach the network in float32


@pytest.mark.parametrize("sampler", ["euler", "heun"])
@pytest.mark.parametrize("steps", [1, 2, 13])
def test_one_prediction_is_reached_in_any_number_of_steps(sampler, steps):
    found = sample(Constant(), NOISE, sources(), Sampling(steps, 1.0, sampler=sampler))
    torch.testing.assert_close(found, torch.full_like(NOISE, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0, 7.5])
def test_guidance_is_its_equation(scale):
    model = Constant()
    found = sample(model, NOISE, sources(), Sampling(1, scale))
    torch.testing.assert_close(found, torch.full_like(NOISE, 2 + (scale - 1) * (2 - -1)), rtol=0, atol=1e-12)
    assert model.calls == [(0.0, 4)], "both predictions in one batch"


def test_guidance_of_one_needs_no_negative_prompts():
    model = Constant()
    sample(model, NOISE, sources().part(slice(0, 2)), Sampling(3, 1.0))
    assert [b for _, b in model.calls] == [2, 2, 2]


def test_the_interval_holds_both_of_its_ends():
    model = Constant()
    sample(model, NOISE, sources(), Sampling(10, 3.0, (0.3, 0.6)))
    assert [t for t, b in model.calls if b == 4] == [0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize(("sampler", "expected"), [("euler", 5), ("heun", 9)])
def test_evaluations_and_progress(sampler, expected):
    model, reported, observed = Gaussian(), [], []
    sampling = Sampling(5, 1.0, sampler=sampler)
    sample(model, NOISE, sources(), sampling, lambda *each: reported.append(each), lambda t, x: observed.append(t))
    assert len(model.calls) == len(observed) == expected
    assert reported == [(i, 5) for i in range(1, 6)]


def test_mean_flow_passes_the_interval_and_the_guidance():
    class Mean:
        def predict(self, z, t, sources, interval=None, guidance=None):
            found.append((t[0, 0].item(), interval[0, 0].item(), guidance[0, 0].item(), len(sources.mask)))
            return torch.full_like(z, 2)

    found = []
    result = sample(Mean(), NOISE, sources(), Sampling(4, 5.0, sampler="mean-flow"))
    assert found == [(i / 4, 0.25, 5.0, 2) for i in range(4)]
    torch.testing.assert_close(result, torch.full_like(NOISE, 2), rtol=0, atol=1e-12)


def test_predictions_in_bf16_move_pictures_in_float32():
    class Half(Constant):
        def predict(self, z, t, sources, interval=None, guidance=None):
            return super().predict(z, t, sources).bfloat16()

    for sampler in ("euler", "heun"):
        found = sample(Half(), NOISE.float(), sources(), Sampling(4, 3.0, sampler=sampler))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, torch.full_like(found, 8), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "0 steps"),
        ({"steps": 1001}, "1 to 1000"),
        ({"guidance": -1}, "guidance of -1"),
        ({"guidance": 101}, "0 to 100"),
        ({"guidance": math.nan}, "guidance of nan"),
        ({"interval": (0.5, 0.2)}, "0.5 to 0.2"),
        ({"interval": (0, 1.5)}, "0 to 1.5"),
        ({"interval": (math.nan, 1)}, "nan to 1"),
        ({"sampler": "ddim"}, "no sampler 'ddim'"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(SaccadeError, match=message):
        Sampling(**options)


@pytest.mark.parametrize(
    ("contained", "options", "negative", "message"),
    [
        (None, {}, False, "was not trained for the sampler mean-flow"),
        ((1, 8), {}, True, "takes no negative prompt"),
        ((1, 8), {"interval": (0.1, 1.0)}, False, "takes no guidance interval"),
        ((1, 8), {"guidance": 9.0}, False, "contains 1 to 8"),
    ],
)
def test_what_mean_flow_does_not_take(contained, options, negative, message):
    model = SimpleNamespace(config=SimpleNamespace(contained_guidance=contained))
    with pytest.raises(SaccadeError, match=message):
        check_sampler(model, Sampling(**options, sampler="mean-flow"), negative)
    check_sampler(model, Sampling(), negative)
