"""What other tools do to a model (caches, merging, parallelism, other orders of tokens) is known, noted or refused."""

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.nn.attention.bias import causal_lower_right, causal_upper_left

from saccade import attention_weights
from saccade.errors import SaccadeError
from saccade.lens import Trace, cut, drop_heads, edit, scale_heads, swap, watch
from saccade.lens.attention.processes import processes_of

from ..models import Attend


class Biased(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.bias = bias

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias)


@pytest.mark.parametrize("make", [causal_lower_right, causal_upper_left])
@pytest.mark.parametrize(("n", "m"), [(3, 5), (7, 7), (5, 11)])
def test_causal_bias_is_read_from_its_class_and_lengths(make, n, m):
    q, k, v = torch.randn(2, 3, n, 5), torch.randn(2, 3, m, 5), torch.randn(2, 3, m, 5)
    allowed = torch.ones(n, m, dtype=torch.bool).tril(m - n if make is causal_lower_right else 0)
    model, expected = Biased(make(n, m)), attention_weights(q, k, allowed)
    with watch(model) as trace:
        model(q, k, v)
    torch.testing.assert_close(trace[0].weights(), expected)
    with edit(model, {"*": cut(sources=[m - 1])}):
        out = model(q, k, v)
    allowed[:, m - 1] = False
    torch.testing.assert_close(out, attention_weights(q, k, allowed) @ v)


class Layers(nn.Module):
    """Self-attention in layers, of which a step may leave some out, or a cache answer for the block."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Attend(width=6, heads=2) for _ in range(3)])
        self.block = Block()

    def forward(self, x, last=3, cached=False):
        for layer in self.layers[:last]:
            x = x + layer(x)
        return self.block(x, cached)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = Attend(width=6, heads=2)

    def forward(self, x, cached):
        return x if cached else x + self.attn(x)


def test_layers_that_did_not_attend_in_a_run_are_named_and_no_chain_is_made_of_the_others(tmp_path):
    model, x = Layers(), torch.randn(1, 5, 6)
    with torch.no_grad(), watch(model) as trace:
        model(x)
        model(x, last=1)
        model(x, cached=True)
        model(x, last=2, cached=True)
    assert trace.skipped == {"layers.1": {1}, "layers.2": {1, 3}, "block.attn": {2, 3}}
    assert trace.missed.keys() == trace.skipped.keys()
    assert trace.missed["layers.2"].startswith("it made no attention call in runs 1, 3 of 4, where it or the block")
    assert trace.runs(0).rollout().shape == (1, 5)
    trace.save(tmp_path / "trace.safetensors")
    for each in (trace, Trace.load(tmp_path / "trace.safetensors")):
        with pytest.raises(SaccadeError, match=r"in run 1 there is no call of layers\.1, layers\.2"):
            each.runs(1).rollout()
        with pytest.raises(SaccadeError, match="in run 3 there is no call of"):
            each.runs(3).flow()
        assert each["layers.0"].runs(3).rollout().shape == (1, 5)  # chosen by name: nothing of it is missing


def test_nothing_is_skipped_where_every_run_is_whole():
    model, x = Layers(), torch.randn(1, 5, 6)
    with torch.no_grad(), watch(model) as trace:
        for _ in range(3):
            model(x)
    assert trace.skipped == {} == trace.missed


def test_swap_pairs_calls_by_run():
    model, x = Layers(), torch.randn(1, 5, 6)
    inputs = [x, x + 1, x - 2]
    with torch.no_grad(), watch(model) as trace:
        for i, each in enumerate(inputs):
            model(each, last=1 if i == 1 else 3)
    with torch.no_grad(), edit(model, {"layers.2": swap(trace)}), watch(model) as again:
        model(x)
        with pytest.raises(SaccadeError, match=r"swap of .layers\.2.: the recorded run could not be seen there"):
            model(x)
        model(x)
    for run in (0, 2):  # the second call of that name in the trace is of the third run
        expected = next(call for call in trace["layers.2"] if call.run == run)
        found = next(call for call in again["layers.2"] if call.run == run)
        torch.testing.assert_close(found.weights(), expected.weights())


class Cross(nn.Module):
    """A picture that attends to a text, or to both in either order, of a part of its tokens if `merge`."""

    def __init__(self, order=("text",), merge=1):
        super().__init__()
        self.q, self.kv, self.order, self.merge = nn.Linear(6, 6), nn.Linear(6, 6), order, merge

    def forward(self, hidden_states, encoder_hidden_states):
        given = {"image": hidden_states, "text": encoder_hidden_states}
        source = torch.cat([self.kv(given[name]) for name in self.order], dim=1).unflatten(-1, (2, 3)).transpose(1, 2)
        q = self.q(hidden_states)[:, :: self.merge].unflatten(-1, (2, 3)).transpose(1, 2)
        return F.scaled_dot_product_attention(q, source, source)


def run(model, images=1):
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(images, 16, 6), torch.randn(images, 7, 6))
    return trace


@pytest.mark.parametrize(("order", "start"), [(("image", "text"), 16), (("text", "image"), 0)])
def test_words_of_a_text_among_other_sources_are_counted_in_the_part_that_is_named(order, start):
    trace = run(Cross(order))
    (call,) = trace
    assert call.kind == "cross"
    assert call.source_parts["text"] == slice(start, start + 7)
    with pytest.raises(SaccadeError, match=r"its 23 sources are several sequences put together: .*text \(7\)"):
        trace.words({"cat": [2]}, grid=(4, 4))
    expected = call.columns([start + 2])[..., 0].mean(dim=1).view(1, 4, 4)
    torch.testing.assert_close(trace.words({"cat": [2]}, grid=(4, 4), part="text")["cat"], expected)
    with pytest.raises(SaccadeError, match="token 7 of 'text', which has 7, 0 to 6"):
        trace.words({"cat": [7]}, grid=(4, 4), part="text")
    with pytest.raises(SaccadeError, match="the part 'sound' of 'Cross': it has"):
        trace.words({"cat": [2]}, grid=(4, 4), part="sound")


def test_sources_of_an_order_that_cannot_be_followed_have_no_words():
    class Shuffled(Cross):
        def forward(self, hidden_states, encoder_hidden_states):
            both = torch.cat([hidden_states, encoder_hidden_states], dim=1)[:, torch.randperm(23)]
            source = self.kv(both).unflatten(-1, (2, 3)).transpose(1, 2)
            q = self.q(hidden_states).unflatten(-1, (2, 3)).transpose(1, 2)
            return F.scaled_dot_product_attention(q, source, source)

    trace = run(Shuffled())
    assert trace[0].source_parts == {}
    with pytest.raises(SaccadeError, match="in an order that could not be followed"):
        trace.words({"cat": [2]}, grid=(4, 4))


def test_source_parts_are_saved(tmp_path):
    trace = run(Cross(("image", "text"), merge=4))
    trace.save(tmp_path / "trace.safetensors")
    (call,) = Trace.load(tmp_path / "trace.safetensors")
    assert (call.source_parts, call.tokens_before) == ({"image": slice(0, 16), "text": slice(16, 23)}, 16)


def test_targets_that_are_a_part_of_the_tokens_are_no_picture():
    with pytest.raises(SaccadeError, match="its 4 targets were made of 16 tokens"):
        run(Cross(merge=4)).words({"cat": [2]}, grid=(4, 4))
    assert run(Cross()).words({"cat": [2]}, grid=(4, 4))["cat"].shape == (1, 4, 4)


def test_calls_of_different_batches_have_no_common_words():
    model = Cross()
    with torch.no_grad(), watch(model) as trace:
        for images in (2, 1):
            model(torch.randn(images, 16, 6), torch.randn(images, 7, 6))
    with pytest.raises(SaccadeError, match=r"calls of batch 2 \('Cross', run 0\) and of batch 1 \('Cross', run 1\)"):
        trace.words({"cat": [2]}, grid=(4, 4))
    assert trace.runs(0).words({"cat": [2]}, grid=(4, 4))["cat"].shape == (2, 4, 4)


def test_registers_are_not_counted_as_text():
    class Registers(nn.Module):
        def __init__(self):
            super().__init__()
            self.registers, self.joint = nn.Parameter(torch.randn(1, 3, 6)), Joint()

        def forward(self, hidden_states, encoder_hidden_states):
            registers = self.registers.repeat(len(hidden_states), 1, 1)
            return self.joint(hidden_states, torch.cat([registers, encoder_hidden_states], dim=1))

    class Joint(nn.Module):
        def forward(self, hidden_states, encoder_hidden_states):
            both = torch.cat([encoder_hidden_states, hidden_states], dim=1).unflatten(-1, (2, 3)).transpose(1, 2)
            return F.scaled_dot_product_attention(both, both, both)

    (call,) = run(Registers())
    assert call.name == "joint"
    assert call.parts == {"other": slice(0, 3), "text": slice(3, 10), "image": slice(10, 26)}


def test_one_token_a_step_over_a_cache_of_keys_is_self_attention():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.cache = nn.Linear(6, 6), None

        def forward(self, x):
            new = self.inner(x).unflatten(-1, (2, 3)).transpose(1, 2)
            self.cache = new if self.cache is None else torch.cat([self.cache, new], dim=2)
            return F.scaled_dot_product_attention(new, self.cache, self.cache, is_causal=x.shape[1] > 1)

    model = Decoder()
    with torch.no_grad(), watch(model) as trace:
        for n in (5, 1, 1):
            model(torch.randn(1, n, 6))
    assert [(call.kind, *call.shape[2:]) for call in trace] == [("self", 5, 5), ("self", 1, 6), ("self", 1, 7)]
    with pytest.raises(SaccadeError, match="needs the whole sequence in one pass"):
        trace.runs(1).rollout()


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.0, batch_first=True)

    def forward(self, x):
        return self.layer(x)


class Added(nn.Linear):
    """A layer with a change that only its forward makes, as that of an adapter."""

    def forward(self, x):
        return super().forward(x).square()


Added.__module__ = "adapters"


@pytest.mark.parametrize("inside", ["linear1", "linear2"])
def test_an_edit_off_the_fast_path_that_changes_the_model_itself_is_refused(inside):
    model, x = Encoder().eval(), torch.randn(2, 5, 6)
    with torch.no_grad(), edit(model, {"*": scale_heads(1.0, 0)}):
        model(x)
    with torch.no_grad():
        plain = model(x)
        setattr(model.layer, inside, Added(*((6, 12) if inside == "linear1" else (12, 6))))
        assert model(x).shape == plain.shape
        refused = pytest.raises(SaccadeError, match=r"edit of 'layer': torch.nn's fast path, .* leaves out .*\(Added\)")
        with refused, edit(model, {"*": scale_heads(1.0, 0)}):
            model(x)
        with pytest.raises(SaccadeError, match="changed nothing"), edit(model, {"nothing": drop_heads(0)}):
            model(x)  # runs as it is: no pattern matches anything in it


@pytest.fixture
def mesh(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_distributed_tensors_are_named_and_the_model_runs_on(mesh):
    given = [distribute_tensor(torch.randn(1, 4, 5, 8), mesh, [Shard(1)]) for _ in range(3)]
    model = Biased(None)
    plain = model(*given).full_tensor()
    with watch(model) as trace:
        watched = model(*given).full_tensor()
    torch.testing.assert_close(watched, plain, rtol=0, atol=0)
    assert len(trace) == 0
    assert "distributed over processes (DTensor)" in trace.missed["Biased"]


def test_processes_that_share_the_heads_of_a_module(mesh):
    model = nn.Linear(4, 4)
    assert processes_of(model) == 1
    model.weight = nn.Parameter(distribute_tensor(model.weight.detach(), mesh, [Shard(0)]))
    assert processes_of(model) == 1  # one process has all of them


def test_heads_of_one_of_several_processes(monkeypatch):
    model, x = Attend(width=6, heads=2), torch.randn(1, 5, 6)
    for module in ("watching.trace_recorder", "editing.editor"):
        monkeypatch.setattr(f"saccade.lens.{module}.processes_of", lambda _: 2)
    with watch(model) as trace:
        model(x)
    assert trace[0].note.startswith("these are the 2 heads of one of 2 processes alone")
    with (
        pytest.raises(SaccadeError, match="drop_heads of 'Attend': these are the 2 heads"),
        edit(model, {"*": drop_heads(1)}),
    ):
        model(x)


def test_the_module_that_a_wrapper_holds():
    class Wrapper:  # as of nnsight
        def __init__(self, module):
            self._module = module

    model = nn.Sequential(Attend())
    with watch(Wrapper(model)) as trace:
        model(torch.randn(1, 5, 14))
    assert [call.name for call in trace] == ["0"]


def test_layers_that_a_model_does_not_register():
    class Functional(nn.Module):  # as of Keras
        def __init__(self, *layers):
            super().__init__()
            self.__dict__["layers"] = list(layers)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    Functional.__module__ = "keras.src.models"
    layers = [Attend(), Attend()]
    for layer, name in zip(layers, ("first", "second"), strict=True):
        layer.name = name
    model = Functional(*layers)
    with watch(model) as trace:
        model(torch.randn(1, 5, 14))
    assert [call.name for call in trace] == ["first", "second"]


def test_tokens_of_inputs_and_of_none_together_have_no_name():
    class Mixed(nn.Module):
        """Learned tokens that one input is added to, beside another input."""

        def __init__(self):
            super().__init__()
            self.learned = nn.Parameter(torch.randn(1, 3, 6))

        def forward(self, hidden_states, encoder_hidden_states):
            both = torch.cat([self.learned.expand(len(hidden_states), -1, -1), encoder_hidden_states], dim=1)
            shifted = both[:, :3] + encoder_hidden_states[:, :1]
            joint = torch.cat([hidden_states, shifted, encoder_hidden_states], dim=1)
            joint = joint.unflatten(-1, (2, 3)).transpose(1, 2)
            return F.scaled_dot_product_attention(joint, joint, joint)

    (call,) = run(Mixed())
    assert (call.kind, call.parts, call.shape) == ("self", None, (1, 2, 26, 26))


def test_what_cannot_be_recorded_is_named_and_the_model_runs_on(monkeypatch):
    def broken(self, q, k, axis=-2):
        raise RuntimeError("a tensor of another kind")

    model, x = Attend(), torch.randn(1, 5, 14)
    monkeypatch.setattr("saccade.lens.modules.stack.ModuleStack.parts", broken)
    with torch.no_grad(), watch(model) as trace:
        out = model(x)
    torch.testing.assert_close(out, model(x), rtol=0, atol=0)
    assert trace.missed == {
        "Attend": "what scaled_dot_product_attention did could not be followed: a tensor of another kind"
    }
