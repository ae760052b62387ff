"""Several threads: what one does never counts as what another watches, and blocks may end in any order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from saccade.errors import SaccadeError
from saccade.lens import drop_heads, edit, watch

from ..models import Attend, Stack
from .test_watch import assert_untouched

X = torch.randn(2, 5, 14)
WAIT = 10.0


class Stepwise(Stack):
    """Runs its blocks when it is told to, if it is told."""

    def __init__(self, **blocks):
        super().__init__(**blocks)
        self.started, self.go = threading.Event(), None

    def forward(self, x, context=None):
        for i, block in enumerate(self.blocks.values()):
            x = x + block(x)
            if i == 0 and threading.current_thread() is not threading.main_thread() and self.go is not None:
                self.started.set()
                assert self.go.wait(WAIT)
        return x


def model():
    return Stepwise(a=Attend(), b=Attend()).eval()


@torch.no_grad()
def test_four_threads_and_the_one_that_watches():
    net = model()
    expected = net(X)
    with ThreadPoolExecutor(4) as pool, watch(net) as trace:
        for _ in range(3):
            done = [pool.submit(torch.no_grad()(net), X) for _ in range(4)]
            assert torch.equal(net(X), expected)
            assert all(torch.equal(each.result(WAIT), expected) for each in done)
    assert [(call.name, call.run) for call in trace] == [(f"blocks.{i}", run) for run in range(3) for i in "ab"]
    assert "another thread" in trace.missed["Stepwise"]


@torch.no_grad()
@pytest.mark.parametrize("watched", [True, False])
def test_a_forward_pass_that_began_before_the_block_and_ended_after_it(watched):
    net = model()
    expected = net(X)
    net.go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(torch.no_grad()(net), X)
        assert net.started.wait(WAIT)
        with watch(net) as trace:
            if watched:
                assert torch.equal(net(X), expected)
            net.go.set()
            assert torch.equal(other.result(WAIT), expected)  # its second half ran within the block
    assert len(trace) == 2 * watched
    assert "another thread" in trace.missed["blocks.b"]
    if not watched:
        with pytest.raises(SaccadeError, match="another thread"):
            trace[0]
    assert_untouched(net)


@torch.no_grad()
def test_a_forward_pass_that_began_in_the_block_and_ended_after_it():
    net = model()
    expected = net(X)
    net.go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with watch(net) as trace:
            other = pool.submit(torch.no_grad()(net), X)
            assert net.started.wait(WAIT)
        net.go.set()
        assert torch.equal(other.result(WAIT), expected)
    assert len(trace) == 0
    assert "another thread" in trace.missed["Stepwise"]
    assert torch.equal(net(X), expected)


@torch.no_grad()
def test_edits_are_those_of_one_thread_and_say_so():
    net = model()
    expected = net(X)
    with ThreadPoolExecutor(1) as pool, edit(net, {"*": drop_heads(0)}) as edits:
        other = pool.submit(torch.no_grad()(net), X)
        assert not torch.equal(net(X), expected)
        assert torch.equal(other.result(WAIT), expected)
    assert edits.applied == {"blocks.a": 1, "blocks.b": 1}
    assert "another thread" in edits.missed["Stepwise"]


@pytest.mark.parametrize(
    "make", [model, lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(14, 2, 22, batch_first=True), 2).eval()]
)
def test_each_thread_may_watch_for_itself_and_end_when_it_likes(make):
    net, names = make(), ["blocks.a", "blocks.b"]
    together = threading.Barrier(3)
    expected = net(X)

    def look(i):
        out, traces = [], []
        together.wait(WAIT)
        for _ in range(5 + 3 * i):
            with torch.no_grad(), watch(net) as trace:
                out.append(net(X))
            traces.append(trace)
        return out, traces

    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(look, i) for i in range(3)]
        for each in done:
            out, traces = each.result(6 * WAIT)
            for x, trace in zip(out, traces, strict=True):
                torch.testing.assert_close(x, expected)
                seen = [call.name for call in trace]
                assert seen == (names if make is model else ["layers.0.self_attn", "layers.1.self_attn"])
    assert_untouched(net)


def test_settings_of_the_process_are_as_before():
    """Blocks that overlap and end in the order in which they began."""
    import torch._dynamo
    from torch._dynamo.eval_frame import _stance

    before = _stance.stance
    net = model()
    one, two = watch(net), watch(net)
    one.__enter__()
    ready, leave = threading.Event(), threading.Event()

    def other():
        with two:
            ready.set()
            assert leave.wait(WAIT)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(other)
        assert ready.wait(WAIT)
        one.__exit__(None, None, None)
        assert torch._dynamo.eval_frame._stance.stance == "force_eager"  # the other still watches
        leave.set()
        done.result(WAIT)
    assert torch._dynamo.eval_frame._stance.stance == before


class Features(Dataset):
    def __init__(self, net):
        self.net = net

    def __len__(self):
        return 3

    def __getitem__(self, i):
        with torch.no_grad():
            return self.net(X)[i % 2].clone()


def test_another_process_runs_unseen():
    """Workers that load data: PyTorch has no way to tell this process of what ran there."""
    net = model()
    with torch.no_grad():
        expected = net(X)
        with watch(net) as trace:
            found = list(DataLoader(Features(net), batch_size=None, num_workers=1, multiprocessing_context="fork"))
            net(X)
    assert torch.equal(torch.stack(found), expected[[0, 1, 0]])
    assert [call.name for call in trace] == ["blocks.a", "blocks.b"]
