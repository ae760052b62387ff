"""Numbers as vectors, and the modulation of tokens by them."""

import math

import torch

from saccade.layers.modulation import (
    MODULATION_CHUNKS,
    Modulation,
    ScalarEmbedding,
    SinusoidalEmbedding,
    TimestepEmbed,
    modulate,
    repeat_over_tokens,
)


def test_a_number_is_embedded_by_its_equation():
    embed = TimestepEmbed(5)
    embed.waves, embed.up = SinusoidalEmbedding(3), torch.nn.Linear(6, 5)
    number = torch.tensor([[0.0], [0.37]])
    frequencies = [1000 * 10000 ** (-i / 3) for i in range(3)]
    waves = [[f(t * w) for f in (math.sin, math.cos) for w in frequencies] for t in number.flatten().tolist()]
    hidden = torch.tensor(waves) @ embed.up.weight.T + embed.up.bias
    expected = hidden * hidden.sigmoid() @ embed.down.weight.T + embed.down.bias
    torch.testing.assert_close(embed(number)[:, 0], expected, rtol=0, atol=1e-4)


def test_close_times_differ():
    vectors = TimestepEmbed(11)(torch.linspace(0, 1, 101))
    assert torch.cdist(vectors, vectors).fill_diagonal_(1).min() > 1e-3


def test_a_projection_starts_at_zero():
    embed = ScalarEmbedding(5)
    assert not embed(torch.rand(3, 2)).any()
    embed(torch.rand(3, 2)).sum().backward()
    assert embed.project.weight.grad.any()


def test_modulation_starts_as_the_identity():
    parts = Modulation(7)(torch.randn(3, 2, 7))
    assert parts.shape == (3, 2, 7 * MODULATION_CHUNKS)
    assert not parts.any()
    x = torch.randn(3, 4, 7)
    shift, scale = parts[..., :7], parts[..., 7:14]
    assert torch.equal(modulate(x, repeat_over_tokens(shift, 4), repeat_over_tokens(scale, 4)), x)


def test_modulate_is_its_equation():
    x, shift, scale = torch.randn(2, 5, 3), torch.randn(2, 1, 3), torch.randn(2, 1, 3)
    torch.testing.assert_close(modulate(x, shift, scale), x * (1 + scale) + shift)


def test_each_frame_has_its_own_modulation():
    modulation = torch.randn(2, 3, 7)
    found = repeat_over_tokens(modulation, 15)
    for token in range(15):
        assert torch.equal(found[:, token], modulation[:, token // 5])
    assert repeat_over_tokens(modulation[:, :1], 15).shape == (2, 1, 7), "it is left to broadcast"
