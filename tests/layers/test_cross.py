"""Cross-attention blocks and attention pooling, beside their equations."""

import pytest
import torch
from torch import nn

from saccade.errors import SaccadeError
from saccade.layers import AttentionPool, BlockConfig, BytePool, CrossBlock
from saccade.ops import rotary_angles

CONFIG = BlockConfig(width=12, heads=3, hidden=7)


def randomised(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def test_three_residual_lines():
    block = randomised(CrossBlock(CONFIG.model_copy(update={"layer_scale": True}), source_width=5))
    x, source, angles = torch.randn(2, 7, 12), torch.randn(2, 11, 5), rotary_angles((7,), 4)
    mask = (torch.rand(2, 1, 1, 7) > 0.3) | (torch.arange(7) == 0)
    expected = x + block.attention_branch(block.self_attention(block.attention_norm(x), mask=mask, angles=angles))
    expected = expected + block.cross_branch(block.cross_attention(block.cross_norm(expected), source))
    expected = expected + block.mlp_branch(block.mlp(block.mlp_norm(expected)))
    torch.testing.assert_close(block(x, source, mask=mask, angles=angles), expected)


def test_targets_that_share_a_source():
    block = randomised(CrossBlock(CONFIG, source_width=5))
    x, source = torch.randn(6, 7, 12), torch.randn(2, 11, 5)
    torch.testing.assert_close(block(x, source), block(x, source.repeat_interleave(3, dim=0)))


def test_attention_pool_sees_no_padding():
    pool = randomised(AttentionPool(6, 3, source_width=5))
    tokens, mask = torch.randn(2, 7, 5), torch.arange(7) < torch.tensor([[4], [7]])
    pooled = pool(tokens, mask)
    torch.testing.assert_close(pooled[:1], pool(tokens[:1, :4]))
    torch.testing.assert_close(pooled[1:], pool(tokens[1:]))
    with pytest.raises(SaccadeError, match="does not divide"):
        AttentionPool(7, 3, source_width=5)


def test_byte_pool_is_its_equation():
    pool = randomised(BytePool(CONFIG, max_bytes=5))
    ids, mask = torch.tensor([[97, 255, 98]]), torch.ones(1, 3, dtype=torch.bool)
    letters = pool.norm(pool.embed(ids) + pool.positions[:3])
    mean = letters.mean(dim=1, keepdim=True)
    torch.testing.assert_close(pool(ids, mask), (mean + pool.attention(mean + pool.query, letters))[:, 0])


def test_byte_pool_knows_the_order_of_bytes():
    pool = randomised(BytePool(CONFIG, max_bytes=5))
    left, felt = torch.tensor([list(b"left")]), torch.tensor([list(b"felt")])
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert (pool(left, mask) - pool(felt, mask)).abs().max() > 0.05


def test_byte_pool_refuses_longer_words():
    pool = BytePool(CONFIG, max_bytes=5)
    with pytest.raises(SaccadeError, match="words of 7 bytes, more than the 5"):
        pool(torch.ones(2, 7, dtype=torch.long), torch.ones(2, 7, dtype=torch.bool))
