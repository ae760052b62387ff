"""Packed queries and keys against exact ones in float64."""

import pytest
import torch

from saccade.studio.page.pack import pack_attention_call, quantize_queries_keys, rotate_queries_keys


@pytest.fixture(params=[(3, 3, 23, 11), (6, 2, 41, 7), (2, 2, 5, 13), (5, 1, 1, 3)], ids=str)
def qk(request):
    heads, groups, tokens, width = request.param
    q = 2 * torch.randn(heads, tokens, width) + torch.randn(heads, 1, width)
    return q, torch.randn(groups, tokens, width) + 5 * torch.randn(groups, 1, width)


def exact_scores(q, k, scale):
    return scale * q.double() @ k.double().repeat_interleave(len(q) // len(k), 0).transpose(1, 2)


def test_rotation_leaves_products(qk):
    q, k = qk
    call = rotate_queries_keys(q, k, 0.3)
    turned = exact_scores(call.q, call.k, 0.3) + 0.3 * call.shift[..., None].double()
    torch.testing.assert_close(turned, exact_scores(q, k, 0.3), atol=1e-4, rtol=1e-5)


def test_most_important_direction_first(qk):
    call = rotate_queries_keys(*qk, 1.0)
    power = call.k.square().sum(1)
    assert (power[:, 1:] <= power[:, :-1] * 1.0001 + 1e-6).all()


@pytest.mark.parametrize("error", [0.003, 0.03, 0.1])
def test_error_of_scores_and_weights(error):
    q, k = 2 * torch.randn(3, 97, 16), torch.randn(3, 97, 16) + 4
    exact = exact_scores(q, k, 0.25)
    rounded = quantize_queries_keys(rotate_queries_keys(q, k, 0.25), error)
    difference = rounded.scores().double() - exact
    difference -= difference.mean(-1, keepdim=True)  # a constant in a row changes no weight
    assert difference.square().mean().sqrt() < 1.1 * error
    relative = rounded.scores().double().softmax(-1) / exact.softmax(-1)
    assert (relative.log().abs() < 8 * error).all()


def test_few_directions_suffice_for_keys_of_low_rank():
    q = torch.randn(1, 60, 32)
    k = torch.randn(1, 60, 3) @ torch.randn(1, 3, 32)
    assert int((quantize_queries_keys(rotate_queries_keys(q, k, 0.2), 0.01).gain > 0).sum()) == 3


def test_tokens_of_the_prefix_are_more_exact():
    """The first token asks in a direction of its own, in which the keys differ but no other token asks."""
    q, k = torch.randn(2, 200, 16), torch.randn(2, 200, 16)
    q[:, 1:, 8:] *= 0.01
    q[:, 0, :8] = 0
    exact = exact_scores(q, k, 0.5)

    def wrong(prefix):
        scores = quantize_queries_keys(rotate_queries_keys(q, k, 0.5, prefix), 0.1).scores().double()
        return (scores.softmax(-1) - exact.softmax(-1))[:, 0].abs().max()

    assert wrong(prefix=1) < 0.5 * wrong(prefix=0)


def test_sums_are_those_of_the_rounded_numbers(qk):
    rounded = quantize_queries_keys(rotate_queries_keys(*qk, 0.3), 0.05)
    lse, mean = rounded.row_statistics(first=0, rows=4)
    weights = rounded.scores().softmax(-1)
    torch.testing.assert_close(lse, rounded.scores().logsumexp(-1))
    torch.testing.assert_close(mean, weights.mean(1))


def test_smooth_pictures_take_fewer_bytes():
    y, x = torch.meshgrid(torch.linspace(0, 3, 24), torch.linspace(0, 3, 24), indexing="ij")
    waves = torch.sin(torch.stack([y + a * x for a in torch.linspace(-2, 2, 8)], -1).reshape(1, -1, 8))
    shuffled = waves[:, torch.randperm(24 * 24)]
    smooth, rough = (
        len(pack_attention_call(rotate_queries_keys(z, z, 1.0), 0.02, (24, 24))[0].data) for z in (waves, shuffled)
    )
    assert smooth < 0.8 * rough


def test_silent_heads():
    packed, rounded = pack_attention_call(
        rotate_queries_keys(torch.zeros(2, 7, 4), torch.zeros(2, 7, 4), 0.5), 0.01, (2, 3)
    )
    assert rounded.scores().abs().max() == 0
    assert packed.data
