"""Attention flow against a linear program of the same graph, and by hand."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from saccade.errors import SaccadeError
from saccade.lens import Call, Trace


def by_linear_program(maps, source, sink):
    """The most that can flow: one variable an edge, as much out of every node between as into it."""
    layers, n, _ = maps.shape
    edges = [(a, i, j) for a in range(layers) for i in range(n) for j in range(n)]
    bounds = [(0, maps[a, i, j]) for a, i, j in edges]
    balance = np.zeros(((layers - 1) * n, len(edges)))
    for e, (a, i, j) in enumerate(edges):
        if a < layers - 1:
            balance[a * n + i, e] += 1  # leaves the token i of layer a + 1
        if a > 0:
            balance[(a - 1) * n + j, e] -= 1
    reached = np.array([a == 0 and j == sink for a, i, j in edges], dtype=float)
    for e, (a, i, _) in enumerate(edges):
        if a == layers - 1 and i != source:
            bounds[e] = (0, 0)
    found = linprog(-reached, A_eq=balance, b_eq=np.zeros(len(balance)), bounds=bounds)
    return -found.fun


@pytest.mark.parametrize("token", [0, -1])
def test_flow_against_a_linear_program(token):
    allowed = torch.rand(5, 5) > 0.4
    allowed[2] = False  # attends to nothing, so it stays itself
    q = [torch.randn(2, 3, 5, 7) * 3 for _ in range(3)]
    calls = [Call("a", "self", q[0], q[1]), Call("b", "self", q[1], q[2], mask=allowed), Call("c", "self", q[2], q[0])]
    trace = Trace([*calls, Call("d", "cross", q[0], torch.randn(2, 3, 11, 7))])
    got = trace.flow(token)
    assert got.shape == (2, 5)
    for picture in range(2):
        maps = np.stack([(c.weights()[picture].mean(dim=0).double() + torch.eye(5)).numpy() for c in calls])
        maps /= maps.sum(-1, keepdims=True)
        for sink in range(5):
            assert float(got[picture, sink]) == pytest.approx(by_linear_program(maps, token % 5, sink), abs=1e-6)
    assert got.max() < 1.0001
    assert got.min() < 0.5  # there is something to find


def test_flow_by_hand():
    """Two layers of two tokens: what token 1 attends to by 1/4 once, and all of itself the other time."""
    mask = torch.tensor([[0.0, -torch.inf], [0.0, 0.0]])
    one = Call("a", "self", torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 2, 3), mask=mask)
    got = Trace([one, one]).flow(1)
    # To token 0: 1/4 at once, then on from 0 by all of it; or 3/4 to 1, and 1/4 of that edge to 0.
    torch.testing.assert_close(got, torch.tensor([[0.5, 0.75]]))


def test_what_flow_refuses():
    q = torch.zeros(1, 1, 600, 3)
    with pytest.raises(SaccadeError, match=r"1 layers of 600 tokens solves 600 problems of 360000 edges; .* up to 26"):
        Trace([Call("a", "self", q, q)]).flow()
    small = Call("a", "self", q[:, :, :3], q[:, :, :3])
    for token in (3, "a", 0.5, torch.ones(3)):
        with pytest.raises(SaccadeError, match="expected the index of one of 3 tokens"):
            Trace([small]).flow(token)
    with pytest.raises(SaccadeError, match="flow needs self-attention; all 1"):
        Trace([Call("a", "cross", q[:, :, :3], q)]).flow()


def test_flow_from_a_token_of_each_picture():
    q = torch.randn(2, 1, 4, 3)
    trace = Trace([Call("a", "self", q, q.flip(2)), Call("b", "self", q.flip(2), q)])
    each = trace.flow([1, 3])
    torch.testing.assert_close(each, torch.stack([trace.flow(1)[0], trace.flow(3)[1]]))
    with pytest.raises(SaccadeError, match="or 2 of them"):
        trace.flow([1, 2, 3])
