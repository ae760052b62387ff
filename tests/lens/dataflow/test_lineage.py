"""Calls of one size that are no layers of one chain: side by side, or of the same tokens in other places."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade import attention_weights
from saccade.errors import SaccadeError
from saccade.lens import Trace, watch

B, N, WIDTH, HEADS = 2, 7, 12, 3
BESIDE, MOVED = "attend side by side", "tokens in other places"


class Block(nn.Module):
    """A residual block; `map` is the map of its last call."""

    def __init__(self, fused=True):
        super().__init__()
        self.norm, self.qkv, self.fused = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), fused

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        self.map = attention_weights(q, k)
        out = (
            F.scaled_dot_product_attention(q, k, v) if self.fused else (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
        )
        return x + out.transpose(1, 2).flatten(2)


class Joined(nn.Module):
    """A forward that is a function of its blocks and inputs."""

    def __init__(self, forward, *blocks):
        super().__init__()
        self.blocks, self.joined = nn.ModuleList(blocks), forward
        self.register_buffer("order", torch.tensor([3, 0, 6, 1, 2, 5, 4]))

    def forward(self, *inputs):
        return self.joined(self, *inputs)


def heads_apart(net, x):
    return x + torch.cat([head(x) for head in net.blocks], dim=-1)[..., :WIDTH]


def one_tower_twice(net, x, y):
    first, second = net.blocks
    return second(first(x)) * second(first(y))


def pictures_in_turn(net, xs):
    first, second = net.blocks
    return sum(second(first(x * 2)) for x in xs.unbind(1))


def two_branches(net, x):
    return net.blocks[0](x) + net.blocks[1](x)


def rows_then_columns(net, x):
    b = len(x)
    rows = net.blocks[0](x.flatten(0, 1)).unflatten(0, (b, N))
    return net.blocks[1](rows.transpose(1, 2).flatten(0, 1)).unflatten(0, (b, N)).transpose(1, 2)


def in_another_order(net, x):
    return net.blocks[1](net.blocks[0](x)[:, net.order])


def shifted_windows(net, x):
    """Of 2 x 2, over a picture of 4 x 4."""

    def windows(x):
        return x.unflatten(1, (2, 2)).unflatten(3, (2, 2)).transpose(2, 3).flatten(3, 4).flatten(0, 2)

    x = (
        net.blocks[0](windows(x))
        .unflatten(0, (-1, 2, 2))
        .unflatten(3, (2, 2))
        .transpose(2, 3)
        .flatten(3, 4)
        .flatten(1, 2)
    )
    return net.blocks[1](windows(torch.roll(x, (-1, -1), (1, 2))))


def watched(net, *inputs):
    with torch.no_grad(), watch(net.eval()) as trace:
        net(*inputs)
    return trace


def by_definition(*blocks):
    """Rollout of token 0 by whole maps."""
    row = torch.eye(N)[:1]
    for block in reversed(blocks):
        row = row @ ((block.map.mean(1) + torch.eye(N)) / 2)
    return row[:, 0]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(
    ("forward", "shapes", "why"),
    [
        (heads_apart, [(B, N, WIDTH)], BESIDE),
        (one_tower_twice, [(B, N, WIDTH)] * 2, BESIDE),
        (pictures_in_turn, [(B, 2, N, WIDTH)], BESIDE),
        (two_branches, [(B, N, WIDTH)], BESIDE),
        (rows_then_columns, [(B, N, N, WIDTH)], MOVED),
        (in_another_order, [(B, N, WIDTH)], MOVED),
        (shifted_windows, [(B, 4, 4, WIDTH)], MOVED),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_what_is_no_chain_of_layers_is_refused(forward, shapes, why, fused):
    trace = watched(Joined(forward, Block(fused), Block(fused)), *(torch.randn(shape) for shape in shapes))
    for view in (trace.rollout, trace.flow, lambda: trace.summary(grid=(1, 1))):
        with pytest.raises(SaccadeError, match=why):
            view()


@pytest.mark.parametrize("fused", [True, False])
def test_what_is_a_chain_is_not(fused):
    def residual(net, x):
        first, second = net.blocks
        y = x + first(x)  # the same input again, and a block that runs twice
        z = torch.empty_like(y)
        z[:, :2], z[:, 2:] = y[:, :2], y[:, 2:]
        z.view(-1, WIDTH).mul_(0.5)
        return second(second(z).clone().add_(y))

    net = Joined(residual, Block(fused), Block(fused))
    trace = watched(net, torch.randn(B, N, WIDTH))
    assert len(trace) == 3
    assert trace[2].node.queries.calls == 0b11
    assert torch.allclose(trace[2:].rollout(0), by_definition(net.blocks[1]), atol=1e-6)
    assert trace.rollout(0).shape == (B, N)


def test_space_of_space_and_time_is_a_chain():
    def divided(net, x):
        b, frames = x.shape[:2]
        space, time, again = net.blocks
        x = space(x.flatten(0, 1)).unflatten(0, (b, frames)).transpose(1, 2)
        x = time(x.flatten(0, 1)).unflatten(0, (b, N)).transpose(1, 2)
        return again(x.flatten(0, 1))

    net = Joined(divided, Block(), Block(), Block())
    trace = watched(net, torch.randn(B, 5, N, WIDTH))
    assert torch.allclose(trace[0:3:2].rollout(0), by_definition(net.blocks[0], net.blocks[2]), atol=1e-6)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_layers_of_torch(batch_first, training):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, dropout=0.0, batch_first=batch_first)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train(training)
    turn = (lambda x: x) if batch_first else (lambda x: x.transpose(0, 1))

    def axial(net, x):
        first, second = net.blocks
        return second(turn(turn(first(turn(x))).transpose(0, 1)))

    with torch.no_grad(), watch(encoder) as trace:
        encoder(torch.randn(B, N, WIDTH))
    assert all(call.node.places_in(trace[0].node) is not None for call in trace[1:])
    assert trace.rollout(0).shape == (trace[0].shape[0], trace[0].shape[2])
    net = Joined(axial, *encoder.layers).train(training)
    with torch.no_grad(), watch(net) as trace:
        net(torch.randn(N, N, WIDTH))
    with pytest.raises(SaccadeError, match=MOVED):
        trace.rollout(0)


def test_what_came_about_unseen_is_not_judged():
    def by_hand(net, x):
        return net.blocks[1](x + torch.from_numpy(net.blocks[0](x).numpy() * 2))

    trace = watched(Joined(by_hand, Block(), Block()), torch.randn(B, N, WIDTH))
    assert trace[1].node.queries is None
    assert trace.rollout(0).shape == (B, N)


def test_copies_and_files_know_it_too(tmp_path):
    trace = watched(Joined(one_tower_twice, Block(), Block()), *torch.randn(2, B, N, WIDTH))
    moved = watched(Joined(rows_then_columns, Block(), Block()), torch.randn(B, N, N, WIDTH))
    trace.save(tmp_path / "t.safetensors")
    for again in (Trace.load(tmp_path / "t.safetensors"), copy.deepcopy(trace), pickle.loads(pickle.dumps(trace))):
        assert torch.equal(again[2:].rollout(0), trace[2:].rollout(0))
        with pytest.raises(SaccadeError, match=BESIDE):
            again.rollout(0)
    with pytest.raises(SaccadeError, match=MOVED):
        copy.deepcopy(moved).rollout(0)


def test_relevance_of_two_towers():
    net = Joined(one_tower_twice, Block(), Block())
    with watch(net, gradients=True) as trace:
        net(*torch.randn(2, B, N, WIDTH)).sum().backward()
    assert trace[:2].relevance(0).shape == (B, N)
    with pytest.raises(SaccadeError, match=BESIDE):
        trace.relevance(0)
