"""Flow matching: the line from noise to data, its velocity, and steps along it."""

import pytest
import torch

from saccade.ops.flow_matching import MIN_NOISE, euler_step, logit_normal, noised, velocity

SHAPE = (3, 2, 5, 7)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(SHAPE, dtype=torch.float64), torch.randn(SHAPE, dtype=torch.float64)


def times(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None, None]


def test_the_line_runs_from_noise_to_data():
    data, noise = pair()
    z = noised(data, noise, times(0, 1, 0.25))
    torch.testing.assert_close(z[0], noise[0], rtol=0, atol=0)
    torch.testing.assert_close(z[1], data[1], rtol=0, atol=0)
    torch.testing.assert_close(z[2], 0.25 * data[2] + 0.75 * noise[2], rtol=0, atol=1e-15)


def test_the_velocity_of_the_data_is_that_of_the_line():
    data, noise = pair()
    t = times(0, 0.4, 0.9)
    torch.testing.assert_close(velocity(data, noised(data, noise, t), t), data - noise, rtol=0, atol=1e-13)


def test_the_velocity_near_the_data_is_bounded():
    data, noise = pair()
    t = times(1, 1 - MIN_NOISE / 2, 1 - MIN_NOISE)
    found = velocity(data + 1, noised(data, noise, t), t) - velocity(data, noised(data, noise, t), t)
    torch.testing.assert_close(found, torch.full(SHAPE, 1 / MIN_NOISE, dtype=torch.float64), rtol=1e-12, atol=0)


def test_a_step_follows_the_velocity():
    prediction, z = pair()
    t, until = times(0, 0.3, 0.5), times(0.2, 0.9, 1)
    expected = z + (until - t) * velocity(prediction, z, t)
    torch.testing.assert_close(euler_step(prediction, z, t, until), expected, rtol=0, atol=1e-14)
    assert torch.equal(euler_step(prediction, z, t, torch.ones_like(t)), prediction)


def test_steps_to_one_prediction_compose():
    prediction, z = pair()
    t, middle, until = times(0, 0.1, 0.2), times(0.4, 0.5, 0.6), times(0.8, 0.9, 1)
    both = euler_step(prediction, euler_step(prediction, z, t, middle), middle, until)
    torch.testing.assert_close(both, euler_step(prediction, z, t, until), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("mean", "std"), [(-0.6, 1.0), (0.5, 0.3)])
def test_logit_normal_times(mean, std):
    found = logit_normal((20_011,), torch.Generator().manual_seed(3), mean, std)
    assert torch.equal(found, logit_normal((20_011,), torch.Generator().manual_seed(3), mean, std))
    assert 0 < found.min() < found.max() < 1
    logits = found.double().logit()
    assert logits.mean().item() == pytest.approx(mean, abs=0.03)
    assert logits.std().item() == pytest.approx(std, rel=0.02)
