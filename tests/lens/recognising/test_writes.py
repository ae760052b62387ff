"""Writes into what a recorded map is made of never pass unnoticed, in inference mode neither."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import watch

B, H, N, C = 2, 3, 41, 7  # so many rows that most are not compared


class Written(nn.Module):
    """Attention of separate operations. It keeps its weights."""

    def __init__(self, scores=None, weights=None, late=None, out=None):
        super().__init__()
        self.scores, self.write, self.late, self.out = scores, weights, late, out

    def forward(self, q, k, v):
        q, k, mask = q.clone(), k.clone(), torch.zeros(N, N)
        s = q @ k.mT + mask
        if self.scores:
            self.scores(s, q, mask)
        w = torch.softmax(s, dim=-1)
        self.weights = w.clone()
        if self.write:
            self.write(w)
        if self.late:
            self.late(q, k, mask)
        return torch.matmul(w, v, out=q if self.out else None)


def watched(model, inference):
    q, k, v = (torch.randn(B, H, N, C) for _ in range(3))
    with torch.inference_mode(inference), torch.no_grad():
        expected = model(q, k, v)
        with watch(model) as trace:
            assert torch.equal(model(q, k, v), expected)
    return trace


SCORES = {
    "a row": lambda s, q, mask: s[0, 1, 7].mul_(3.0),
    "through views": lambda s, q, mask: s.view(-1, N, N).unbind(0)[4].t()[:, 7].add_(torch.arange(N)),
    "with an operator": lambda s, q, mask: s[1, 2].__imul__(0.5),
    "an assignment": lambda s, q, mask: s[1].__setitem__((2, 7), 5.0),
    "out": lambda s, q, mask: torch.tanh(s[0, 1, 7], out=s[0, 1, 7]),
    "inplace": lambda s, q, mask: F.relu(s[0, 1, 7], inplace=True),
    "several": lambda s, q, mask: torch._foreach_mul_(list(s[0, 1, 5:9].unbind(0)), 3.0),
    "without autograd": lambda s, q, mask: s.data[0, 1, 7].mul_(3.0),
    "below the functions": lambda s, q, mask: torch.ops.aten.mul_.Tensor(s[0, 1, 7], torch.tensor(3.0)),
    "queries": lambda s, q, mask: q[:, :, 7].zero_(),
    "a mask": lambda s, q, mask: mask[7, :20].fill_(-1e9),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", SCORES)
def test_writes_before_the_softmax_leave_the_scores_that_it_saw(name, inference):
    trace = watched(model := Written(scores=SCORES[name]), inference)
    (call,) = trace
    assert "written into" in call.note
    torch.testing.assert_close(call.weights(), model.weights)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize(
    "write", [lambda w: w[0, 1, 7].zero_(), lambda w: w.view(-1, N)[11].mul_(2), lambda w: w[0].clamp_(max=0.2)]
)
def test_writes_into_weights_are_noted(write, inference):
    trace = watched(model := Written(weights=write), inference)
    assert "weights before a write into them" in trace[0].note
    torch.testing.assert_close(trace[0].weights(), model.weights)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        {"late": lambda q, k, mask: q.zero_()},
        {"late": lambda q, k, mask: k[..., 3:4, :].mul_(2.0)},
        {"late": lambda q, k, mask: mask[:, 3].fill_(-1e9)},
        {"out": True},
    ],
)
def test_queries_that_are_gone_when_values_are_met_are_named(how, inference):
    trace = watched(Written(**how), inference)
    assert not len(trace)
    assert "written into before its values were met" in trace.missed["Written"]


@pytest.mark.parametrize("inference", [False, True])
def test_what_writes_nothing_is_no_write(inference):
    def looks(s, q, mask):
        s.requires_grad_(False)
        s.contiguous()
        F.dropout(q, 0.5, training=False)
        torch.relu(s).mul_(2.0)
        _ = mask.is_contiguous(), int(mask.sum()), s.view(-1).data
        kept = [t.detach().cpu().numpy() for t in (s, q, mask)]  # on the CPU it returns the very tensor
        assert len(kept) == 3
        _ = s.resolve_conj(), q.resolve_neg(), s.positive()

    trace = watched(model := Written(scores=looks), inference)
    assert not trace[0].note
    torch.testing.assert_close(trace[0].weights(), model.weights)


def test_weights_that_are_copied_to_the_cpu_are_the_same():
    trace = watched(model := Written(weights=lambda w: w.detach().cpu()), False)
    assert not trace[0].note
    torch.testing.assert_close(trace[0].weights(), model.weights)
