"""The block of a diffusion transformer against the readable attention, in float64."""

import torch

import saccade
from saccade.layers import BlockConfig, DiTBlock
from saccade.layers.modulation import MODULATION_CHUNKS

WIDTH, SOURCE = 10, 7


def block(random: bool = True) -> DiTBlock:
    made = DiTBlock(BlockConfig(width=WIDTH, heads=2, hidden=11, activation="swiglu"), SOURCE)
    for parameter in made.parameters() if random else ():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.double()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, source = torch.randn(3, 6, WIDTH).double(), torch.randn(3, 5, SOURCE).double()
    return x, source, torch.randn(3, 2, MODULATION_CHUNKS * WIDTH).double()


def readable(layer, target, source, mask=None):
    """The attention layer with all weights in memory."""
    q, k, v = (
        part.unflatten(-1, (2, 5)).transpose(1, 2)
        for part in (layer.query(target), layer.key(source), layer.value(source))
    )
    weights = saccade.attention_weights(layer.query_norm(q), layer.key_norm(k), mask=mask)
    return layer.out((weights @ v).transpose(1, 2).flatten(2))


def test_a_new_block_is_the_identity():
    x, source, modulation = inputs()
    new = block(random=False)
    keys_values = new.cross_attention.keys_values(source)
    assert torch.equal(new(x, torch.zeros_like(modulation), keys_values), x)


def test_the_block_is_its_equation():
    x, source, modulation = inputs()
    made = block()
    mask = torch.rand(3, 1, 1, 5) > 0.4
    mask[..., 0] = True
    parts = (modulation + made.table).repeat_interleave(3, dim=1)  # three tokens a frame
    shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = parts.unflatten(-1, (MODULATION_CHUNKS, WIDTH)).unbind(-2)
    seen = made.attention_norm(x) * (1 + scale) + shift
    expected = x + gate * readable(made.self_attention, seen, seen)
    expected = expected + readable(made.cross_attention, made.cross_norm(expected), source, mask)
    expected = expected + mlp_gate * made.mlp(made.mlp_norm(expected) * (1 + mlp_scale) + mlp_shift)
    found = made(x, modulation, made.cross_attention.keys_values(source), mask=mask)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_keys_and_values_computed_once_are_those_of_the_source():
    x, source, _ = inputs()
    layer = block().cross_attention
    once = layer.keys_values(source)
    for target in (x, x + 1):
        torch.testing.assert_close(layer(target, keys_values=once), layer(target, source), rtol=0, atol=1e-14)
