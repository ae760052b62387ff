"""Traces: looking up calls, rollout, and files."""

import json
import math
import re

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.lens import Call, Trace, watch

from ..models import Attend, Stack, pooled
from .test_call import Largest


def call(name="blocks.0.attention", kind="self", n=7, m=7, b=2, **options):
    return Call(name, kind, torch.randn(b, 3, n, 5), torch.randn(b, 1, m, 5), **options)


def test_looking_up_calls():
    calls = [call(f"encoder.layer.{i}.attention") for i in (0, 1, 10)] + [call("decoder.cross", "cross", 3, 7)]
    trace = Trace(calls)
    assert len(trace) == 4
    assert list(trace) == calls
    assert trace[1] is calls[1]
    assert trace[-1] is calls[3]
    assert list(trace["*.layer.1.*"]) == [calls[1]]
    assert list(trace["encoder.*"][1:]) == calls[1:3]
    assert len(trace["nothing"]) == 0
    with pytest.raises(IndexError, match=re.escape("trace[4]: it holds 4 calls")):
        trace[4]
    with pytest.raises(SaccadeError, match=r"no name matches 'nothing'; there are encoder.layer.0.a.* 1 more"):
        trace["nothing"].rollout()


def test_repr_is_a_table():
    trace = Trace([call("a"), call("b.c", "cross", 3, 7)], {"d": "because"})
    assert repr(trace).splitlines() == [
        "Trace of 2 attention calls",
        "      name  kind      b    h      n      m",
        "   0  a     self      2    3      7      7",
        "   1  b.c   cross     2    3      3      7",
        "missed: d: because",
    ]
    assert repr(trace[1]) == "Call('b.c', cross, b=2 h=3 n=3 m=7)"


def test_repr_escapes_names():
    said = repr(Trace([call("a\x1b[31m\nb")], {"c\n": "d\x07"}))
    assert said.splitlines()[2].startswith(r"   0  a\x1b[31m\nb  self")
    assert said.splitlines()[3:] == [r"missed: c\n: d\x07"]


def test_an_empty_trace_says_what_was_found_and_what_to_do():
    model = Stack(a=Attend(how=pooled), b=Attend(how=pooled))
    model.set_attn_implementation = lambda name: None
    with watch(model) as trace:
        model(torch.randn(2, 5, 14))
    expected = r"blocks.a \(and 1 more\): softmax of scores .* Call model.set_attn_implementation\(\"sdpa\"\)"
    for ask in (lambda: trace[0], lambda: trace["*"], trace.rollout):
        with pytest.raises(SaccadeError, match=expected):
            ask()
    plain = torch.nn.Linear(3, 2)
    with watch(plain) as trace:
        plain(torch.randn(2, 3))
    with pytest.raises(SaccadeError, match=r"no attention call was made while .* use one of them in Linear"):
        trace[0]


def says(trace, expected):
    """What is said of an empty trace, printed and asked, is true of it: nothing is wrong with the model."""
    for ask in (lambda: trace[0], trace.rollout):
        with pytest.raises(SaccadeError) as raised:
            ask()
        assert str(raised.value) == expected
    assert repr(trace).splitlines()[1:] == [expected]


def test_an_empty_trace_of_a_model_that_attends():
    model, x = Stack(a=Attend(), b=Attend()), torch.randn(2, 5, 14)
    with watch(model) as trace:
        pass
    for empty in (trace, trace[:2], trace.runs(0)):
        says(empty, "The trace is empty: the model did not run inside the block.")
    no_name = "The trace is empty: of what attended no name matches {}; there are blocks.a, blocks.b."
    with watch(model, only="attn.*") as trace:
        model(x)
    for empty in (trace, trace[:2]):
        says(empty, no_name.format("only=['attn.*']"))
    with watch(model) as trace:
        model(x)
    says(trace["nothing"], no_name.format("'nothing'"))
    says(trace["nothing"][1:], no_name.format("'nothing'"))
    says(trace[7:], "The trace is empty: none of the 2 calls is in [7:].")
    says(trace.runs(3), "The trace is empty: no call is of run 3; the last is 0.")


def test_what_was_missed_is_said_before_what_was_not_asked_for():
    model = Stack(a=Attend(), b=Attend(how=pooled))
    with watch(model, only="*.b") as trace:
        model(torch.randn(2, 5, 14))
    with pytest.raises(SaccadeError, match=r"what attended could not be seen. blocks.b: softmax of scores"):
        trace[0]


@pytest.mark.parametrize("token", [0, 3, -1, "weighted"])
def test_rollout_against_the_product_of_matrices(token):
    allowed = torch.rand(7, 7) > 0.3
    allowed[2] = False  # attends to nothing, so it stays itself
    trace = Trace([call(), call(kind="cross", m=11), call(mask=allowed), call(causal=True)])
    r = torch.eye(7)
    for each in (trace[0], trace[2], trace[3]):
        a = 0.5 * each.weights().mean(dim=1) + 0.5 * torch.eye(7)
        r = a / a.sum(-1, keepdim=True) @ r
    weighting = torch.rand(7) if token == "weighted" else torch.eye(7)[token]
    expected = weighting / weighting.sum() @ r
    got = trace.rollout(weighting if token == "weighted" else token)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got.sum(-1), torch.ones(2))


@pytest.mark.parametrize("token", [0, 3, "weighted"])
@pytest.mark.parametrize("kind", ["plain", "mask", "rows", "causal", "float64"])
def test_a_summary_is_what_its_parts_are_one_by_one(token, kind):
    n, grid = 11, (3, 3)
    allowed = torch.rand(n, n) > 0.3
    allowed[2] = kind != "rows"  # a target that may attend to nothing
    options = {"mask": {"mask": allowed}, "rows": {"mask": allowed}, "causal": {"causal": True}}.get(kind, {})
    if kind == "float64":
        q = torch.randn(2, 3, n, 5, dtype=torch.float64)
        calls = [Call("a", "self", q, q), call(n=n, m=n)]
    else:
        calls = [call(n=n, m=n, **options), call(kind="cross", n=n, m=5), call(n=n, m=n)]
    trace = Trace(calls)
    token = torch.rand(n) if token == "weighted" else token
    got = trace.summary(grid, token)
    assert got.calls == [each for each in calls if each.kind == "self"]
    torch.testing.assert_close(got.rollout, trace.rollout(token))
    for each, entropy, distance in zip(got.calls, got.entropy, got.distance, strict=True):
        torch.testing.assert_close(entropy, each.entropy())
        torch.testing.assert_close(distance, each.distance(grid))


def test_a_summary_walks_over_each_map_once(monkeypatch):
    trace, tiles = Trace([call(n=300, m=300), call(n=300, m=300)]), []
    logs = Call._logs
    monkeypatch.setattr(Call, "_logs", lambda self, *given: tiles.append(self) or logs(self, *given))
    trace.summary((10, 30))
    assert tiles == [trace[1]] * 3 + [trace[0]] * 3
    with Largest() as largest:
        trace.summary((10, 30))
    assert largest.elements < 2 * 3 * 300 * 300 / 2


def test_views_under_autocast_are_exact():
    seen = call(n=14, m=14)
    expected = seen.entropy(), seen.distance((2, 6)), seen.received(), Trace([seen, seen]).rollout()
    with torch.autocast("cpu", torch.bfloat16):
        got = seen.entropy(), seen.distance((2, 6)), seen.received(), Trace([seen, seen]).rollout()
    for a, b in zip(got, expected, strict=True):
        assert torch.equal(a, b)


def test_rollout_of_numbers_of_other_libraries():
    trace = Trace([call(), call()])
    for token in (np.int64(3), torch.tensor(3), np.uint8(3)):
        assert torch.equal(trace.rollout(token), trace.rollout(3))


def test_rollout_in_float64():
    q = torch.randn(2, 3, 7, 5, dtype=torch.float64)
    trace = Trace([Call("a", "self", q, q), call()])
    assert trace.rollout().dtype == torch.float64


def test_rollout_makes_no_tensor_of_n_times_n():
    trace = Trace([call(n=521, m=521, b=1), call(n=521, m=521, b=1)])
    with Largest() as largest:
        trace.rollout()
    assert largest.elements < 3 * 521 * 521 / 4


@pytest.mark.parametrize(
    ("calls", "token", "message"),
    [
        ([("self", 7, 7, 0), ("self", 5, 5, 0)], 0, r"of one size; found 1 of 7 tokens \(batch 2\), 1 of 5 tokens"),
        ([("cross", 7, 5, 0)], 0, "all 1 calls are cross-attention"),
        ([("self", 7, 7, 0), ("self", 7, 7, 1)], 0, "one forward pass; the trace holds 2"),
        ([("self", 7, 7, 0)], 7, "rollout of token 7: there are 7 tokens, 0 to 6"),
        ([("self", 7, 7, 0)], torch.ones(5), r"weights of shape \(5,\): expected \(7,\)"),
        ([("self", 7, 7, 0)], torch.zeros(7), "not all 0"),
        ([("self", 7, 7, 0)], -torch.ones(7), "0 or more"),
        ([("self", 7, 7, 0)], np.int64(7), "rollout of token 7"),
        ([("self", 7, 7, 0)], torch.tensor(1.0), r"weights of shape \(\)"),
        ([("self", 7, 7, 0)], torch.tensor([1]), r"weights of shape \(1,\)"),
        ([("self", 7, 7, 0)], "a", "rollout of 'a': expected the index of a token"),
        ([("self", 7, 7, 0)], None, "rollout of None"),
    ],
)
def test_rollout_refuses_what_it_cannot_mean(calls, token, message):
    trace = Trace([call(kind=kind, n=n, m=m, run=run) for kind, n, m, run in calls])
    with pytest.raises(SaccadeError, match=message):
        trace.rollout(token)


def test_save_and_load(tmp_path):
    mask = torch.rand(7, 7) > 0.2
    options = [{}, {"mask": mask, "scale": 0.3}, {"mask": mask, "causal": True}, {"mask": torch.randn(2, 1, 1, 7)}]
    trace = Trace([call(f"layers.{i}", run=i, **o) for i, o in enumerate(options)], {"other": "reason"})
    q = torch.randn(2, 7, 3, 5, dtype=torch.bfloat16).transpose(1, 2)
    trace.append(Call("층.4", "cross", q, q, q))  # one tensor three times, not contiguous; a name in Korean
    path = tmp_path / "look.safetensors"
    trace.save(path)
    loaded = Trace.load(path)
    assert repr(loaded) == repr(trace)
    assert loaded.missed == trace.missed
    for a, b in zip(trace, loaded, strict=True):
        assert (a.scale, a.causal, a.run) == (b.scale, b.causal, b.run)
        assert torch.equal(a.q, b.q)
        assert torch.equal(a.lse, b.lse)
        assert (a.v is None) == (b.v is None)
        torch.testing.assert_close(a.weights(), b.weights())


def about(**changes):
    return json.dumps([{"name": "a", "kind": "cross", "scale": 1.0, "causal": False, "run": 0} | changes])


@pytest.mark.parametrize("kind", ["none", "bool", "float", "causal", "huge"])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_load_refuses_a_log_sum_exp_of_others(tmp_path, kind, groups):
    path = tmp_path / "look.safetensors"
    mask = {"bool": torch.rand(1, 7, 7) > 0.5, "float": torch.randn(2, 1, 1, 7)}.get(kind)
    if kind == "bool":
        mask[:, 2] = False
    elif kind == "huge":
        mask = torch.full((7,), -1e30)
    q, k = torch.randn(2, 6, 7, 5), torch.randn(2, groups, 7, 5)
    Trace([Call("a", "self", q, k, mask=mask, causal=kind == "causal")]).save(path)
    assert torch.equal(Trace.load(path)[0].q, q)
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    far = 1e28 if kind == "huge" else 0.1
    for wrong in (tensors["0.lse"] * 1.1 + far, tensors["0.lse"].flip(0) + far, tensors["0.lse"] * math.nan):
        save_file(tensors | {"0.lse": wrong}, path, metadata)
        with pytest.raises(CheckpointError, match="log-sum-exp of call 0 does not belong"):
            Trace.load(path)
    for name in ("0.q", "0.k", "0.lse"):
        save_file(tensors | {name: tensors[name].long()}, path, metadata)
        with pytest.raises(CheckpointError, match="do not fit together"):
            Trace.load(path)


def test_load_refuses_other_files(tmp_path):
    path = tmp_path / "look.safetensors"
    with pytest.raises(DataError, match="there is no such file"):
        Trace.load(path)
    with pytest.raises(DataError, match="cannot be written"):
        Trace([call()]).save(tmp_path / "missing" / "look.safetensors")
    Trace([call()]).save(path)
    whole = path.read_bytes()
    for damaged in (whole[:-7], whole[:20], b"", b"\x80\x04pickle", b"PNG" * 100):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="truncated, damaged or not a safetensors file"):
            Trace.load(path)
    save_file({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"a safetensors file of 'layer.weight', not a trace"):
        Trace.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "2"}, "a trace of version '2', this library reads '1'"),
        ({"calls": "[{"}, "damaged"),
        ({"calls": "{}"}, "damaged"),
        ({"calls": json.dumps([{"name": "a", "kind": "self"}])}, "damaged"),
        ({"calls": json.dumps([{"name": "a", "kind": "no", "scale": 1, "causal": False, "run": 0}])}, "damaged"),
        ({"missed": "[]"}, "damaged"),
        ({"calls": about(kind="joint")}, "do not fit together"),
        ({"calls": about(scale=math.inf)}, "the scale of call 0 is inf"),
    ],
)
def test_load_refuses_a_damaged_header(tmp_path, change, message):
    path = tmp_path / "look.safetensors"
    metadata = {"format": "saccade.trace", "version": "1", "calls": about(), "missed": "{}"}
    tensors = {
        "0.q": torch.zeros(1, 2, 3, 5),
        "0.k": torch.zeros(1, 1, 7, 5),
        "0.lse": torch.full((1, 2, 3), math.log(7)),
    }
    save_file(tensors, path, metadata)
    assert Trace.load(path)[0].shape == (1, 2, 3, 7)
    save_file(tensors, path, metadata | change)
    with pytest.raises(CheckpointError, match=message):
        Trace.load(path)
    save_file(tensors | {"0.k": torch.zeros(1, 1, 7, 2)}, path, metadata)
    with pytest.raises(CheckpointError, match="do not fit together"):
        Trace.load(path)
